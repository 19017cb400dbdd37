"""The whole chain in one call, with an untrained network on a synthetic hill."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.chain.map_command import map as map_landslides
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.inference import crew
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.reproduce_command import reproduce
from rasterio.transform import from_origin
from shapely import box

OUTPUTS = ("inventory", "probability")


def results(layers):
    return sorted(path.name for path in Path(layers["probability"]).parent.iterdir())


@pytest.mark.parametrize("rivers", [True, False], ids=["rivers given", "streams derived"])
def test_what_the_model_wants_is_derived(layers, make_model, rivers):
    model = make_model(["nir", "ndvi", "slope", "aspect_class_north", "twi", "river_distance"])
    if not rivers:
        del layers["rivers"]
    values = map_landslides(**layers, model=model, threshold=0.0, stream_area=0.05)
    inventory = gpd.read_file(values["inventory"])
    assert values["count"] == len(inventory) == 1  # at threshold 0 the image is one landslide
    assert inventory.area_m2[0] == pytest.approx(800 * 700, rel=2e-3)
    assert {"slope_mean", "elev_min", "aspect_mean"} <= set(inventory.columns)
    assert inventory.slope_mean.notna().all()
    with rasterio.open(values["probability"]) as probability:
        assert probability.shape == (80, 70)
        assert (probability.read(1) >= 0).all()
        assert "untrained" in probability.tags()["LANDSLIDE_MODEL"]
        assert "untrained" in probability.tags()["LANDSLIDE_PLAN"]
    assert results(layers) == ["inventory.gpkg", "probability.tif"]


def test_terrain_within_the_radii_of_a_model_is_derived(layers, make_model, tmp_path):
    """The map is that of a stack with these very bands."""
    model = make_model(["red", "relief_100m", "slope", "openness_50m"], mean=50.0, std=100.0)
    map_landslides(**layers, model=model, threshold=0.0)
    terrain, stacked, wanted = (str(tmp_path / f"{name}.tif") for name in ("t", "s", "w"))
    terrainfactors(
        input=layers["dem"],
        output=terrain,
        factors=["slope"],
        radii=[50.0, 100.0],
        progress=Progress(),
    )
    stack(layers=[layers["image"], terrain], output=stacked, progress=Progress())
    predict(stack=stacked, model=model, probability=wanted, fill="keep", progress=Progress())
    with rasterio.open(layers["probability"]) as ours, rasterio.open(wanted) as theirs:
        assert ours.read(1).std() > 1e-4
        np.testing.assert_array_equal(ours.read(1), theirs.read(1))


def test_a_map_tells_the_same_at_every_run_and_is_made_again_of_its_layers(
    layers, make_model, tmp_path
):
    model, stacked = make_model(["red"]), str(tmp_path / "s.tif")
    tags = []
    for name in ("one", "other"):
        layers |= {key: str(tmp_path / f"{name}{Path(layers[key]).suffix}") for key in OUTPUTS}
        map_landslides(**layers, model=model)
        with rasterio.open(layers["probability"]) as probability:
            tags.append(probability.tags())
    assert tags[0] == tags[1]
    asked = {"raster": layers["probability"], "output": str(tmp_path / "again.tif")}
    with pytest.raises(InputError, match="was not kept: stack the same layers again"):
        reproduce(**asked, progress=Progress())
    stack(layers=[layers["image"]], output=stacked, progress=Progress())
    assert reproduce(**asked, stack=stacked, progress=Progress())["differing"] == 0


def test_a_radius_that_the_dem_is_too_small_for_is_refused(layers, make_model):
    with pytest.raises(InputError, match=r"radius of 5000 m does not fit .*another DEM\."):
        map_landslides(**layers, model=make_model(["tpi_5000m"]))
    assert results(layers) == []


def test_only_the_area_is_mapped(layers, make_model, tmp_path):
    area = gpd.GeoDataFrame(geometry=[box(500100, 4999500, 500400, 4999900)], crs="EPSG:32632")
    area.to_file(tmp_path / "area.gpkg")
    model = make_model(["red", "slope"])
    values = map_landslides(**layers, model=model, threshold=0.0, area=str(tmp_path / "area.gpkg"))
    assert values["area_m2"] == pytest.approx(300 * 400, rel=2e-3)


@pytest.mark.parametrize(
    ("bands", "word"),
    [
        (["fault_distance"], "faults"),
        (["lithology_granite"], "geology"),
        (["thermal"], "image .* lacks thermal"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(layers, make_model, bands, word):
    with pytest.raises(InputError, match=word):
        map_landslides(**layers, model=make_model(bands))
    assert results(layers) == []


def test_a_dem_that_lies_elsewhere_is_named(layers, make_model, make_raster):
    """And not a file that was derived from it."""
    layers["dem"] = make_raster("zone.tif", np.ones((80, 70), np.float32), crs="EPSG:32633")
    with pytest.raises(GridError, match=r"The DEM .*zone\.tif .* does not overlap"):
        map_landslides(**layers, model=make_model(["red", "slope"]))
    assert results(layers) == []


def test_the_image_is_opened_once_for_its_facts(layers, make_model, monkeypatch):
    """And by the two that read its pixels: the command that derives ndvi, and the stack's."""
    del layers["dem"], layers["rivers"]
    opened, real = [], rasterio.open

    def counting(path, *arguments, **options):
        opened.append(str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(rasterio, "open", counting)
    map_landslides(**layers, model=make_model(["red", "nir", "ndvi"]))
    assert opened.count(layers["image"]) == 1 + 2


def test_workers_that_are_not_there_are_told_before_anything_is_derived(
    layers, make_model, monkeypatch
):
    monkeypatch.setattr(crew, "_CONNECT_SECONDS", 0.5)
    said = []
    with pytest.raises(InputError, match=r"tcp://127\.0\.0\.1:9 does not answer"):
        map_landslides(
            **{**layers, "progress": Progress(said.append)},
            model=make_model(["nir"]), scheduler="tcp://127.0.0.1:9",
        )  # fmt: skip
    assert results(layers) == [] and said == []


def test_a_scheduler_of_another_version_is_told_before_anything_is_derived(
    layers, make_model, monkeypatch
):
    said = []
    with crew._embedded(0) as lonely:
        monkeypatch.setattr(crew, "__version__", "9.9")
        with pytest.raises(InputError, match=r"has landslide_mapper .* \(here 9\.9\)"):
            map_landslides(
                **{**layers, "progress": Progress(said.append)},
                model=make_model(["nir"]), scheduler=lonely.scheduler_address,
            )  # fmt: skip
    assert said == []


def test_a_missing_output_folder_is_one_sentence(layers, make_model):
    layers["inventory"] = layers["inventory"].replace("results", "nowhere")
    with pytest.raises(OutputError, match="nowhere does not exist"):
        map_landslides(**layers, model=make_model(["red"]))


def test_without_a_dem_the_inventory_has_no_terrain(layers, make_model):
    del layers["dem"], layers["rivers"]
    values = map_landslides(**layers, model=make_model(["red", "nir"]), threshold=0.0)
    inventory = gpd.read_file(values["inventory"])
    assert values["count"] == 1 and inventory.slope_mean.isna().all()


def test_ground_flatter_than_asked_is_left_out_by_the_dem(layers, make_model):
    given = {**layers, "model": make_model(["red", "nir"]), "threshold": 0.0}
    whole = map_landslides(**given)["area_m2"]
    steep = map_landslides(**given, min_slope=20.0)["area_m2"]
    assert 0.1 * whole < steep < 0.9 * whole
    assert gpd.read_file(given["inventory"]).slope_mean.min() >= 20
    del given["dem"], given["rivers"]
    with pytest.raises(InputError, match="flatter than 20 degrees, give a DEM"):
        map_landslides(**given, min_slope=20.0)


def test_bands_are_named_by_the_sensor(layers, make_model, make_raster):
    """B4 says nothing by itself: red of Landsat 8, near infrared of Landsat 5."""
    image = np.random.default_rng(1).integers(1, 255, (2, 80, 70)).astype(np.uint8)
    layers["image"] = make_raster("landsat.tif", image, bands=["B4", "B5"])
    model = make_model(["red", "nir"])
    with pytest.raises(InputError, match="lacks red, nir"):
        map_landslides(**layers, model=model)
    assert map_landslides(**layers, model=model, sensor="landsat89", threshold=0.0)["count"] == 1


def test_rivers_give_the_inventory_its_distance_to_them(layers, make_model):
    values = map_landslides(**layers, model=make_model(["red"]), threshold=0.0)
    assert gpd.read_file(values["inventory"]).river_m[0] == pytest.approx(0, abs=10)


def test_the_distance_to_rivers_is_exact_and_known_whatever_the_dem_is(
    layers, make_model, make_raster, tmp_path
):
    """The DEM has pixels of 90 m, and ends in the middle of the image, and of the area."""
    heights = 100 + np.add.outer(np.arange(9.0), np.arange(4.0)).astype(np.float32)
    coarse = from_origin(500000, 5000000, 90, 90)
    layers["dem"] = make_raster("coarse.tif", heights, transform=coarse)
    area = gpd.GeoSeries([box(500100, 4999300, 500600, 4999700)], crs="EPSG:32632")
    area.to_file(tmp_path / "area.gpkg")
    model = make_model(["red"])
    for limits in ("", str(tmp_path / "area.gpkg")):
        values = map_landslides(**layers, area=limits, model=model, threshold=0.0)
        inventory = gpd.read_file(values["inventory"])
        assert inventory.river_m.tolist() == [0]
        assert 100 <= inventory.elev_min[0] < inventory.elev_max[0] <= 111


def test_undeclared_fill_is_told_once_and_is_not_mapped(layers, make_model):
    """Of the DEM, which factors and streams are derived from, and of the image."""
    for name, part, fill in (("dem", np.s_[:, 5, 5], -32768), ("image", np.s_[:, :, :10], 0)):
        with rasterio.open(layers[name], "r+") as dataset:
            values = dataset.read()
            values[part] = fill
            dataset.write(values)
    told = []
    layers["progress"] = Progress(told.append)
    del layers["rivers"]
    model = make_model(["nir", "slope", "river_distance"])
    map_landslides(**layers, model=model, threshold=0.0, stream_area=0.05)
    texts = [event["text"] for event in told if event["type"] == "warning"]
    assert sum("look like fill" in text for text in texts) == 2
    with rasterio.open(layers["probability"]) as probability:
        assert (probability.read(1, masked=True).mask[:, :10]).all()
        assert not (probability.read(1, masked=True).mask[:, 10:]).any()


def test_what_reaches_a_network_of_reflectance_is_reflectance(layers, make_model, make_raster):
    """The same ground, stored by Sentinel-2's old and new baseline, or told by the user."""
    ground = np.random.default_rng(0).uniform(0.02, 0.4, (2, 80, 70))
    model = make_model(["red", "ndvi"], mean=0.2, std=0.2)
    maps = []
    stored_as: list[tuple[str, int, dict[str, Any]]] = [
        ("S2A_MSIL2A_20210523T101031_N0300_R022_T32TQQ_20210523T141200.tif", 0, {}),
        ("S2B_MSIL2A_20230523T101031_N0509_R022_T32TQQ_20230523T141200.tif", 1000, {}),
        ("image.tif", 1000, {"scale": 1e-4, "offset": -0.1}),
    ]
    for name, offset, told in stored_as:
        stored = np.round(ground * 10000 + offset).astype(np.uint16)
        layers["image"] = make_raster(name, stored, bands=["B04", "B08"])
        values = map_landslides(**layers, model=model, threshold=0.0, **told)
        with rasterio.open(values["probability"]) as dataset:
            maps.append(dataset.read(1))
    assert maps[0].std() > 1e-4
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-5)
    np.testing.assert_allclose(maps[2], maps[0], atol=1e-5)
