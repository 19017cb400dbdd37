"""What stands as words in `contract/` is what the engine has."""

import importlib

import pytest
from landslide_mapper.landslide_plugin.contract.architectures import (
    ENCODERS,
    INSTANCE,
    SEMANTIC,
    WEAK,
)
from landslide_mapper.landslide_plugin.contract.choices import (
    Distance,
    ExportModel,
    Predict,
    SpectralIndices,
    Stack,
    TerrainFactors,
    Train,
    TrainWeak,
)
from landslide_mapper.landslide_plugin.factors import distance, spectral, terrain
from landslide_mapper.landslide_plugin.inference.exportmodel_command import ENDINGS
from landslide_mapper.landslide_plugin.inference.runtimes import runtime
from landslide_mapper.landslide_plugin.raster import bands, heights
from landslide_mapper.landslide_plugin.training.loop import losses, schedule
from landslide_mapper.landslide_plugin.training.tiles import augmentation
from landslide_mapper.models import weak
from landslide_mapper.models.pretrained import encoder_names
from rasterio.enums import Resampling


@pytest.mark.parametrize(
    ("kind", "table", "others"),
    [
        (TerrainFactors.FACTORS, terrain.FACTORS, ()),
        (TerrainFactors.Z_UNIT, heights.Z_UNITS, ("auto",)),
        (SpectralIndices.INDICES, spectral.INDICES, ()),
        (SpectralIndices.SENSOR, bands.SENSORS, ("auto", "custom")),
        (Distance.LEVELS, distance.LEVELS, ("none",)),
        (Train.LOSS, losses.LOSSES, ()),
        (Train.SCHEDULE, schedule.SCHEDULES, ()),
        (TrainWeak.DIFFERENCE, weak.DIFFERENCES, ("auto",)),
        (Train.AUGMENTATION, augmentation.NAMES, ("none",)),
        (Predict.RUNTIME, runtime.PACKAGES, ("auto",)),
        (ExportModel.FORMAT, ENDINGS, ()),
    ],
    ids=lambda item: getattr(item, "key", ""),
)
def test_a_choice_offers_what_the_engine_has(kind, table, others):
    assert set(kind.words) == {*table, *others}


def test_each_resampling_is_one_of_rasterios():
    assert set(Stack.RESAMPLING.words) <= set(Resampling.__members__)


@pytest.mark.parametrize("name", [*SEMANTIC, *INSTANCE, *WEAK])
def test_an_architecture_is_where_its_table_says(name):
    entry = (SEMANTIC | INSTANCE | WEAK)[name]
    module = importlib.import_module(f"landslide_mapper.models.{entry.module}")
    assert hasattr(module, entry.class_name)
    assert tuple(module.BACKBONES) == entry.backbones
    assert entry.default in ("", *entry.backbones)


def test_encoders_that_dialogs_offer_are_there():
    assert {*ENCODERS, *TrainWeak.ENCODER.hints} <= set(encoder_names())
