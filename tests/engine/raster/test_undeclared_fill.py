"""Every command makes of fill that nobody declared what it makes of the same fill declared."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.answer import find_command
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.windows import Reader
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.models.known_models import WEIGHTS
from scipy.ndimage import gaussian_filter
from shapely.geometry import box

BANDS = ("blue", "green", "red", "nir")
SAYS = "look like fill"


@pytest.fixture
def scene():
    """A 16-bit scene whose first columns are black, as a rotated one has them."""
    rows, columns = np.mgrid[:96, :128]
    smooth = gaussian_filter(np.random.default_rng(3).normal(size=(4, 96, 128)), (0, 2, 2))
    scene = np.round(900 + 900 * smooth).clip(200).astype("uint16")
    scene[:, columns < 12 + rows // 8] = 0
    return scene


@pytest.fixture
def dem():
    """A valley whose slopes are 45 degrees, with voids."""
    rows, columns = np.mgrid[:96, :128]
    dem = (1000 + 10 * np.abs(columns - 64) - rows).astype("int16")
    dem[40:45, 80:85] = dem[70, 20] = -32768
    return dem


@pytest.fixture
def landslides(tmp_path):
    squares = [
        box(x, y, x + 100, y + 100)
        for x in range(500300, 501200, 300)
        for y in range(4999100, 4999950, 250)
    ]
    gpd.GeoDataFrame(geometry=squares, crs="EPSG:32632").to_file(tmp_path / "landslides.gpkg")
    return str(tmp_path / "landslides.gpkg")


def run(command, output, **parameters):
    """Run a command; return its output and whether it warned of fill."""
    told = []
    find_command(command)(**parameters, **output, progress=Progress(told.append))
    said = [event["text"] for event in told if event["type"] == "warning"]
    return sum(SAYS in text for text in said)


def read(path):
    if str(path).endswith(".gpkg"):
        return gpd.read_file(path).to_wkb().drop(columns=["id"], errors="ignore")
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True).filled(-1)


def both(command, tmp_path, declared, undeclared, suffix="tif", key="output", **given):
    """Run on the declared, the undeclared and the undeclared that is kept; return the results."""
    results = []
    for number, (parameters, fill) in enumerate(
        ((declared, "auto"), (undeclared, "auto"), (undeclared, "keep"))
    ):
        path = tmp_path / f"{command}{number}.{suffix}"
        warned = run(command, {key: str(path)}, **parameters, **given, fill=fill)
        assert warned == (number == 1)
        results.append(read(path))
    return results


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("terrainfactors", {"factors": ["slope", "aspect", "tpi", "twi"]}),
        ("terrainfactors", {"factors": ["slope"], "smoothing": 30.0}),
        ("streams", {"min_area": 0.02, "suffix": "gpkg"}),
    ],
)
def test_voids_of_a_dem(make_raster, tmp_path, dem, command, given):
    with_nodata = {"input": make_raster("a.tif", dem, nodata=-32768)}
    without = {"input": make_raster("b.tif", dem)}
    declared, undeclared, kept = both(command, tmp_path, with_nodata, without, **given)
    assert (np.asarray(declared == undeclared)).all()
    assert declared.shape != kept.shape or (np.asarray(declared != kept)).any()


def test_a_black_border_of_an_image(make_raster, tmp_path, scene):
    with_nodata = {"input": make_raster("a.tif", scene, nodata=0, bands=BANDS)}
    without = {"input": make_raster("b.tif", scene, bands=BANDS)}
    declared, undeclared, _ = both(
        "spectralindices", tmp_path, with_nodata, without, indices=["ndvi", "savi"]
    )
    np.testing.assert_array_equal(declared, undeclared)


def test_a_border_in_the_earlier_image_is_no_change(make_raster, tmp_path, scene):
    whole = np.maximum(scene, 200)
    given = {"input": make_raster("now.tif", whole, bands=BANDS), "indices": ["ndvi"]}
    with_nodata = {"earlier": make_raster("a.tif", scene, nodata=0, bands=BANDS)}
    without = {"earlier": make_raster("b.tif", scene, bands=BANDS)}
    declared, undeclared, _ = both("spectralindices", tmp_path, with_nodata, without, **given)
    np.testing.assert_array_equal(declared, undeclared)


def test_a_stack_declares_what_was_not(make_raster, tmp_path, scene):
    with_nodata = {"layers": [make_raster("a.tif", scene, nodata=0, bands=BANDS)]}
    without = {"layers": [make_raster("b.tif", scene, bands=BANDS)]}
    declared, undeclared, _ = both("stack", tmp_path, with_nodata, without)
    np.testing.assert_array_equal(declared, undeclared)


def test_samples_do_not_show_a_black_border_to_training(make_raster, tmp_path, scene, landslides):
    sets = []
    for name, nodata in (("a", 0), ("b", None)):
        folder = {"output": str(tmp_path / name)}
        stack = make_raster(f"{name}.tif", scene, nodata=nodata, bands=BANDS)
        given = {"stack": [stack], "landslides": landslides, "tile_size": 32, "stride": 16}
        assert run("samples", folder, **given) == (nodata is None)
        sets.append(SampleSet.read(folder["output"]))
    np.testing.assert_allclose(sets[0].mean, sets[1].mean)
    assert len(sets[0].samples) == len(sets[1].samples)


def test_factors_are_analysed_without(make_raster, tmp_path, scene, landslides):
    factors = scene.astype("float32")
    factors[0, :, :20] = -9999
    result = []
    for name, nodata in (("a", -9999), ("b", None)):
        stack = make_raster(f"{name}.tif", factors[:2], nodata=nodata, bands=("slope", "twi"))
        table = {"table": str(tmp_path / f"{name}.csv")}
        assert run("factoranalysis", table, stack=stack, landslides=landslides) == (nodata is None)
        result.append((tmp_path / f"{name}.csv").read_text(encoding="utf-8"))
    assert result[0] == result[1]


def test_attributes_do_not_come_from_voids(make_raster, tmp_path, dem):
    probability = np.zeros(dem.shape, "float32")
    probability[30:60, 60:100] = 1
    band = ["landslide_probability"]
    given = {"input": make_raster("p.tif", probability, bands=band), "threshold": 0.5}
    factors = [
        {"factors": make_raster(name, dem, nodata=nodata, bands=["elevation"])}
        for name, nodata in (("a.tif", -32768), ("b.tif", None))
    ]
    first, second = factors
    declared, undeclared, kept = both("vectorize", tmp_path, first, second, suffix="gpkg", **given)
    assert undeclared.elev_min[0] == declared.elev_min[0] > 900 > 0 > kept.elev_min[0]


def test_files_of_one_band_each_are_told_of_in_one_sentence(make_raster, tmp_path, scene):
    """As Sentinel-2's products come."""
    layers = [
        make_raster(f"T32TQQ_20230523T101031_B{number:02}_10m.tif", scene[0])
        for number in (2, 3, 4, 8, 11)
    ]
    told = []
    find_command("stack")(
        layers=layers, output=str(tmp_path / "s.tif"), progress=Progress(told.append)
    )
    (sentence,) = [event["text"] for event in told if SAYS in event.get("text", "")]
    assert "_B02_" in sentence and "likewise in 2 more" in sentence
    assert (read(tmp_path / "s.tif")[:, scene[0] == 0] == -1).all()


class TestPrediction:
    MODEL = WEIGHTS / "sentinel2-rgb.safetensors"

    def test_the_map_outside_a_black_border_is_that_of_the_declared_one(
        self, make_raster, tmp_path, scene
    ):
        """The light of the scene is not fitted with it."""
        with_nodata = {"stack": make_raster("a.tif", scene, nodata=0, bands=BANDS)}
        without = {"stack": make_raster("b.tif", scene, bands=BANDS)}
        given = {"model": str(self.MODEL), "runtime": "torch", "device": "cpu"}
        declared, undeclared, kept = both(
            "predict", tmp_path, with_nodata, without, key="probability", **given
        )
        np.testing.assert_array_equal(declared, undeclared)
        assert np.abs(kept - declared)[declared >= 0].max() > 0.01

    def test_windows_read_by_several_threads_agree(self, make_raster, scene, monkeypatch):
        from landslide_mapper.landslide_plugin.inference.tiling import Tiling
        from landslide_mapper.landslide_plugin.raster import Source
        from landslide_mapper.landslide_plugin.raster.undeclared import mark_fill
        from landslide_mapper.models.model_file import load_card

        card = load_card(self.MODEL)
        with Source.open(make_raster("b.tif", scene, bands=BANDS)) as source:
            mark_fill([source], "auto", Progress())
            tiling = Tiling(source.grid.shape, 32, 0.25)
            read = [
                item
                for _, batch in Reader(source, card, tiling, threads=3).batches(2)
                for item in batch
            ]
        for item in read:
            window = item.tile.window
            black = (scene == 0).all(axis=0)[window.toslices()]
            np.testing.assert_array_equal(item.valid, ~black)
