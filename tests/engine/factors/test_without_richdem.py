"""An engine whose Python has no richdem2: streams and twi say so, all else works."""

import importlib.abc
import sys

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.errors import MissingPackageError
from landslide_mapper.landslide_plugin.factors.commands import streams
from landslide_mapper.landslide_plugin.factors.terrain import FACTORS
from landslide_mapper.landslide_plugin.factors.terrain_command import terrainfactors
from landslide_mapper.landslide_plugin.progress import Progress


class _Broken(importlib.abc.MetaPathFinder):
    """Finds richdem, whose compiled part then does not load."""

    def find_spec(self, name, path, target=None):
        if name == "richdem":
            raise ImportError("DLL load failed while importing _richdem")


@pytest.fixture
def dem(make_raster):
    row, column = np.mgrid[:40, :30].astype(np.float32)
    return make_raster("dem.tif", 1000 - row + 10 * np.abs(column - 15))


@pytest.fixture(params=["absent", "broken"])
def said(request, monkeypatch):
    """What the sentence holds, in an engine that lacks the package, and one that can't load it."""
    monkeypatch.delitem(sys.modules, "richdem", raising=False)
    if request.param == "absent":
        monkeypatch.setitem(sys.modules, "richdem", None)
        return r"richdem2, which this engine \(Python 3\.\d+\.\d+\) lacks.*a Python from 3\.11"
    monkeypatch.setattr(sys, "meta_path", [_Broken(), *sys.meta_path])
    return r"richdem2, which can't be loaded \(DLL load failed while importing _richdem\)"


def test_streams_say_one_sentence(dem, said, tmp_path):
    output = tmp_path / "streams.gpkg"
    with pytest.raises(MissingPackageError, match=said):
        streams(input=dem, output=str(output), min_area=0.01, progress=Progress())
    assert not output.exists()


def test_so_does_twi(dem, said, tmp_path):
    output = tmp_path / "twi.tif"
    with pytest.raises(MissingPackageError, match=said):
        terrainfactors(input=dem, output=str(output), factors=["twi"], progress=Progress())
    assert not output.exists()


def test_all_other_factors_are_derived(dem, said, tmp_path):
    output, others = str(tmp_path / "terrain.tif"), [name for name in FACTORS if name != "twi"]
    terrainfactors(input=dem, output=output, factors=others, progress=Progress())
    with rasterio.open(output) as found:
        assert list(found.descriptions) == others
