"""A map that is broken off goes on from what it had finished, and gives the same."""

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.chain import layers as chain_layers
from landslide_mapper.landslide_plugin.chain import map_command
from landslide_mapper.landslide_plugin.chain.derive import derive
from landslide_mapper.landslide_plugin.chain.map_command import map as map_landslides
from landslide_mapper.landslide_plugin.chain.plan import Given
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.core.provenance import Provenance
from landslide_mapper.landslide_plugin.inference import sizes
from landslide_mapper.landslide_plugin.inference.resume import Journal
from shapely import box

BANDS = ["red", "slope", "river_distance"]


class BrokenOffError(BaseException):
    """As a signal ends a run: nothing in it takes this for an error of its own."""


@pytest.fixture
def asked(make_raster, layers, make_model, monkeypatch):
    """A map of several units, of image, DEM and river."""
    monkeypatch.setitem(sizes.SIDES, "cpu", 64)
    monkeypatch.setitem(sizes.PIXELS_PER_BATCH, "cpu", 64**2)
    layers |= {
        "image": make_raster(
            "high.tif",
            np.random.default_rng(0).integers(200, 3000, (2, 800, 70)).astype(np.uint16),
            bands=["B04", "B08"],
        ),
        "dem": make_raster(
            "dem.tif", np.random.default_rng(1).normal(300, 1, (800, 70)).astype(np.float32)
        ),
    }
    return {**layers, "model": make_model(BANDS, mean=500.0, std=900.0), "threshold": 0.0}


@pytest.fixture
def derived(monkeypatch):
    """The outputs of all derivations, in order."""
    results = []

    def counting(*arguments):
        results.append(derive(*arguments))
        return results[-1]

    monkeypatch.setattr(chain_layers, "derive", counting)
    return results


def break_off(monkeypatch, where, name, after=0):
    """Have a function end the run at its call after so many; return how to undo that."""
    calls, real = [], getattr(where, name)

    def breaking(*arguments, **options):
        calls.append(name)
        if len(calls) > after:
            raise BrokenOffError
        return real(*arguments, **options)

    monkeypatch.setattr(where, name, breaking)
    return lambda: monkeypatch.setattr(where, name, real)


def hidden(asked):
    folder = Path(asked["probability"]).parent
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def outcome(asked):
    inventory = gpd.read_file(asked["inventory"], layer="inventory")
    with rasterio.open(asked["probability"]) as probability:
        return probability.read(1), inventory.geometry.to_wkb(), probability.tags()


@pytest.fixture
def undisturbed(asked, tmp_path):
    """What the same map gives that is not broken off."""
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    one = asked | {key: str(folder / Path(asked[key]).name) for key in ("inventory", "probability")}
    map_landslides(**one)
    return outcome(one)


def assert_same(asked, undisturbed):
    values, shapes, tags = outcome(asked)
    np.testing.assert_array_equal(values, undisturbed[0])
    assert list(shapes) == list(undisturbed[1]) and tags == undisturbed[2]
    assert hidden(asked) == []


def test_layers_are_derived_once_and_finished_rows_mapped_once(
    asked, undisturbed, derived, monkeypatch
):
    mend = break_off(monkeypatch, Journal, "keep", after=2)
    with pytest.raises(BrokenOffError):
        map_landslides(**asked)
    assert len(hidden(asked)) == 1 and not Path(asked["probability"]).exists()
    mend()
    kept, keep = [], Journal.keep

    def noting(journal, unit, part):
        kept.append(unit.number)
        keep(journal, unit, part)

    monkeypatch.setattr(Journal, "keep", noting)
    map_landslides(**asked)
    assert len(derived) == 1
    assert kept and min(kept) == 2
    assert_same(asked, undisturbed)


def test_nor_is_it_predicted_again_where_the_inventory_failed(asked, undisturbed, monkeypatch):
    mend = break_off(monkeypatch, map_command, "vectorize")
    with pytest.raises(BrokenOffError):
        map_landslides(**asked)
    mend()
    monkeypatch.setattr(map_command, "predict", None)
    map_landslides(**asked)
    assert_same(asked, undisturbed)


def test_a_finished_raster_that_tells_of_other_parameters_is_not_taken(asked, monkeypatch):
    mend = break_off(monkeypatch, map_command, "vectorize")
    with pytest.raises(BrokenOffError):
        map_landslides(**asked, origin=Provenance("landslide:map", {"workers": 0, "min_area": 0}))
    mend()
    other = Provenance("landslide:map", {"workers": 0, "min_area": 9})
    map_landslides(**asked, origin=other)
    assert outcome(asked)[2]["LANDSLIDE_PARAMETERS"] == '{"min_area": 9, "workers": 0}'


def test_warnings_of_the_layers_are_told_again(asked, monkeypatch):
    flat = rasterio.open(asked["image"]).read()
    flat[:, :40, :40] = 0
    with rasterio.open(asked["image"], "r+") as image:
        image.write(flat)
    told = []
    mend = break_off(monkeypatch, map_command, "predict")
    with pytest.raises(BrokenOffError):
        map_landslides(**{**asked, "progress": Progress(told.append)})
    mend()
    first, told[:] = [event for event in told if event["type"] == "warning"], []
    map_landslides(**{**asked, "progress": Progress(told.append)})
    assert first and all(warning in told for warning in first)


def test_a_shapefile_is_all_of_its_files(tmp_path):
    geology = gpd.GeoDataFrame({"name": ["tuff"]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:32632")
    given = Given(geology=str(tmp_path / "g.shp"))
    geology.to_file(given.geology)
    before = chain_layers.facts_of(given, "")
    os.utime(tmp_path / "g.dbf", ns=(10**18, 10**18))
    assert chain_layers.facts_of(given, "") != before


@pytest.mark.parametrize("changed", ["dem", "rivers", "image", "model", "smoothing", "area"])
def test_what_is_not_the_same_begins_anew(
    asked, derived, monkeypatch, changed, make_model, tmp_path
):
    mend = break_off(monkeypatch, map_command, "predict")
    with pytest.raises(BrokenOffError):
        map_landslides(**asked)
    mend()
    [old] = hidden(asked)
    if changed == "model":
        make_model([*BANDS, "nir"])
    elif changed == "smoothing":
        asked["smoothing"] = 20.0
    elif changed == "area":
        asked["area"] = str(tmp_path / "area.gpkg")
        ground = box(500000, 4993000, 500400, 4999000)
        gpd.GeoDataFrame(geometry=[ground], crs="EPSG:32632").to_file(asked["area"])
    else:
        os.utime(asked[changed], ns=(10**18, 10**18))
    mend = break_off(monkeypatch, map_command, "predict")
    with pytest.raises(BrokenOffError):
        map_landslides(**asked)
    assert len(derived) == 2
    assert len(hidden(asked)) == 1 and old not in hidden(asked)


def test_a_derivation_that_is_broken_off_leaves_nothing(asked, monkeypatch):
    break_off(monkeypatch, chain_layers, "stack")
    with pytest.raises(BrokenOffError):
        map_landslides(**asked)
    assert not list(Path(asked["probability"]).parent.iterdir())
