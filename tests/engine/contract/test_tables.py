"""What stands as words in `contract/` is what the engine has."""

import importlib

import pytest
from landslide_mapper.landslide_plugin.contract.architectures import INSTANCE, SEMANTIC, WEAK


@pytest.mark.parametrize("name", [*SEMANTIC, *INSTANCE, *WEAK])
def test_an_architecture_is_where_its_table_says(name):
    entry = (SEMANTIC | INSTANCE | WEAK)[name]
    module = importlib.import_module(f"landslide_mapper.models.{entry.module}")
    assert hasattr(module, entry.class_name)
    assert tuple(module.BACKBONES) == entry.backbones
    assert entry.default in ("", *entry.backbones)
