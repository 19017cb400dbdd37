"""An engine whose Python lacks richdem2, or can't load it: the same results, more slowly."""

import importlib.abc
import sys

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import flow
from landslide_mapper.landslide_plugin.factors.streams import no_portions
from landslide_mapper.landslide_plugin.factors.streams_command import streams
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.factors.wetness import flow_portions
from landslide_mapper.landslide_plugin.raster import Grid
from rasterio.crs import CRS
from rasterio.transform import from_origin

NODATA = -9999.0


class _Broken(importlib.abc.MetaPathFinder):
    """Finds richdem, whose compiled part then does not load."""

    def find_spec(self, name, path, target=None):
        if name == "richdem":
            raise ImportError("DLL load failed while importing _richdem")


@pytest.fixture(params=["absent", "broken"])
def lacking(request, monkeypatch):
    """Take the package away: a function, so that it can be used before."""

    def take_away():
        monkeypatch.delitem(sys.modules, "richdem", raising=False)
        if request.param == "absent":
            monkeypatch.setitem(sys.modules, "richdem", None)
        else:
            monkeypatch.setattr(sys, "meta_path", [_Broken(), *sys.meta_path])

    return take_away


@pytest.fixture
def dem(make_raster):
    """A rough valley with pits, a lake and a hole in the data."""
    row, column = np.mgrid[:60, :50]
    heights = (
        1000 - row + 3 * np.abs(column - 25) + np.random.default_rng(0).uniform(0, 4, (60, 50))
    )
    heights[20:30, 20:30] = 960
    heights[40:43, 10:12] = NODATA
    return make_raster("dem.tif", heights.astype(np.float32), nodata=NODATA)


def derived(dem, folder):
    """Return streams and twi of a DEM, and what was said."""
    folder.mkdir()
    events = []
    progress = Progress(events.append)
    streams(input=dem, output=str(folder / "s.gpkg"), min_area=0.01, progress=progress)
    terrainfactors(input=dem, output=str(folder / "t.tif"), factors=["twi"], progress=progress)
    with rasterio.open(folder / "t.tif") as twi:
        said = [event["text"] for event in events if event["type"] == "message"]
        return gpd.read_file(folder / "s.gpkg"), twi.read(1), said


def test_streams_and_twi_are_those_of_richdem(dem, lacking, tmp_path):
    pytest.importorskip("richdem")
    lines, twi, _ = derived(dem, tmp_path / "with")
    lacking()
    other_lines, other_twi, _ = derived(dem, tmp_path / "without")
    assert other_lines.geometry.geom_equals(lines.geometry).all()
    np.testing.assert_array_equal(other_lines.strahler, lines.strahler)
    np.testing.assert_allclose(other_lines.drained_km2, lines.drained_km2, rtol=1e-12)
    np.testing.assert_allclose(other_twi, twi, rtol=1e-6)


def test_it_is_said_that_it_takes_longer(dem, lacking, tmp_path):
    lacking()
    *_, said = derived(dem, tmp_path / "without")
    assert sum("richdem2 is not there or does not load" in text for text in said) == 2


class TestFilling:
    def test_a_pit_is_lifted_to_its_rim_and_a_smallest_step(self):
        heights = np.pad([[5.0, 5, 5], [4, 1, 6], [5, 5, 5]], 1, constant_values=NODATA)
        flow.fill_depressions(heights, NODATA)
        assert heights[2, 2] == np.nextafter(4, 5)

    @given(arrays(float, (9, 8), elements=st.integers(1000, 1004)))
    def test_each_cell_has_a_lower_way_out_and_none_is_lowered(self, heights):
        filled = np.pad(heights, 1, constant_values=NODATA)
        flow.fill_depressions(filled, NODATA)
        windows = np.lib.stride_tricks.sliding_window_view(filled, (3, 3))
        assert (windows.min(axis=(2, 3)) < filled[1:-1, 1:-1]).all()
        assert (filled[1:-1, 1:-1] >= heights).all()

    @given(arrays(float, (9, 8), elements=st.integers(1000, 1004)))
    def test_it_is_richdem_s(self, heights):
        richdem = pytest.importorskip("richdem")
        filled = np.pad(heights, 1, constant_values=NODATA)
        theirs = richdem.rdarray(filled.copy(), no_data=NODATA)
        theirs.geotransform = (0, 1, 0, 0, 0, -1)
        richdem.FillDepressions(theirs, epsilon=True, in_place=True)
        flow.fill_depressions(filled, NODATA)
        np.testing.assert_allclose(filled, np.asarray(theirs), atol=1e-9)


def portions_of(heights):
    """Return where water goes from each cell, and what each has of its own."""
    grid = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), *heights.shape[::-1])
    portions, _ = flow_portions(heights, grid)
    amount = np.pad(np.arange(1.0, heights.size + 1).reshape(heights.shape), 1)
    return portions, amount


class TestAccumulation:
    def test_what_meets_is_summed(self):
        """Of three cells in a row the outer ones drain to the middle one, and that half below."""
        portions = no_portions((2, 3))
        portions[1, 1, 5] = portions[1, 3, 1] = 1
        portions[1, 2, 7], portions[1, 2, 6] = 0.5, 0.5
        amount = np.pad([[1.0, 2, 4], [8, 16, 32]], 1)
        flow.accumulate(portions, amount)
        np.testing.assert_array_equal(amount[1:-1, 1:-1], [[1, 7, 4], [8, 19.5, 35.5]])

    @given(arrays(float, (6, 5), elements=st.integers(0, 9)))
    def test_the_outlets_hold_all(self, heights):
        portions, amount = portions_of(heights)
        held = amount.sum()
        flow.accumulate(portions, amount)
        outlets = portions[..., 0] == -1
        assert amount[outlets].sum() == pytest.approx(held, rel=1e-6)

    @given(arrays(float, (6, 5), elements=st.floats(0, 9, width=32)))
    def test_it_is_richdem_s(self, heights):
        richdem = pytest.importorskip("richdem")
        portions, amount = portions_of(heights)
        theirs = richdem.rdarray(amount.copy(), no_data=-1)
        shares = richdem.rd3array(portions, no_data=-2)
        theirs.geotransform = shares.geotransform = (0, 1, 0, 0, 0, -1)
        richdem.FlowAccumFromProps(shares, weights=theirs, in_place=True)
        flow.accumulate(portions, amount)
        np.testing.assert_allclose(amount, np.asarray(theirs), rtol=1e-12)
