"""What the factor commands and the stack say to unfit input: one sentence, and no output."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.answer import find_command
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, LandslideError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked
from rasterio.transform import Affine, from_origin
from shapely.geometry import LineString, box

FAR = from_origin(700000, 4000000, 10, 10)
HERE, THERE = r"x 500000 to 500400, y 4999700 to 5000000", "x 7000"
RASTER_COMMANDS = ("terrainfactors", "spectralindices", "streams", "distance", "classes", "stack")


@pytest.fixture
def dem():
    """A slope of 30 x 40 cells with a hollow that water runs down.

    So low that its numbers are reflectance, too: others are of units that an image must tell.
    """
    rows, columns = np.mgrid[:30, :40]
    return (0.5 - 0.002 * rows + 0.001 * np.abs(columns - 20)).astype(np.float32)


@pytest.fixture
def good(make_raster, dem, tmp_path):
    """Good input of all commands, by name."""
    rivers = gpd.GeoDataFrame(
        geometry=[LineString([(500005, 4999995), (500350, 4999720)])], crs="EPSG:32632"
    )
    rocks = gpd.GeoDataFrame(
        {"rock": ["marl", "clay"]},
        geometry=[box(500000, 4999700, 500200, 5000000), box(500200, 4999700, 500400, 5000000)],
        crs="EPSG:32632",
    )
    for name, frame in (("rivers", rivers), ("rocks", rocks)):
        frame.to_file(tmp_path / f"{name}.gpkg")
    return {
        "raster": make_raster("raster.tif", np.stack([dem, dem + 0.2]), bands=["red", "nir"]),
        "rivers": str(tmp_path / "rivers.gpkg"),
        "rocks": str(tmp_path / "rocks.gpkg"),
        "folder": tmp_path,
    }


def run(command, good, **parameters):
    """Run a command on the good input, but for what is given; return its output and warnings."""
    raster, output = good["raster"], str(good["folder"] / "output.tif")
    usual = {
        "terrainfactors": {"input": raster},
        "spectralindices": {"input": raster, "indices": ["ndvi"]},
        "streams": {"input": raster, "min_area": 0.001},
        "distance": {"input": good["rivers"], "reference": raster},
        "classes": {"input": good["rocks"], "reference": raster, "field": "rock"},
        "stack": {"layers": [raster]},
    }[command]
    if command == "streams":
        output = output.replace(".tif", ".gpkg")
    events = []
    given = {**usual, "output": output, **parameters}
    function = find_command(command)
    function(**checked(command, function, given), progress=Progress(events.append))
    return output, [event["text"] for event in events if event["type"] == "warning"]


def with_raster(good, path):
    """Return the good input with another raster."""
    return {**good, "raster": path}


def refused(command, good, error, text, **parameters):
    before = sorted(good["folder"].rglob("*"))
    with pytest.raises(error, match=text) as caught:
        run(command, good, **parameters)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert message.count(". ") <= 1  # one sentence, and at most one on how to mend it
    assert sorted(good["folder"].rglob("*")) == before


@pytest.mark.parametrize("command", RASTER_COMMANDS)
def test_good_input_is_not_refused(good, command):
    """So that the refusals below are not for another reason."""
    warnings = run(command, good)[1]
    assert warnings in ([], ["The DEM has 2 bands: the first one is taken."])


class TestApart:
    """Layers that don't overlap: the message says where each lies."""

    @pytest.fixture
    def far(self, make_raster, dem):
        return make_raster("far.tif", np.stack([dem, dem]), bands=["red", "nir"], transform=FAR)

    @pytest.mark.parametrize(
        ("command", "parameter"),
        [
            ("stack", "layers"),
            ("spectralindices", "earlier"),
            ("spectralindices", "bands"),
            ("classes", "input"),
        ],
    )
    def test_rasters(self, good, far, command, parameter):
        given = {"layers": [good["raster"], far], "bands": [far]}.get(parameter, far)
        text = rf"far.tif \(EPSG:32632, {THERE}.*does not overlap.*EPSG:32632, {HERE}"
        refused(command, good, GridError, text, **{parameter: given})

    @pytest.mark.parametrize("command", ["distance", "classes", "stack"])
    def test_vectors(self, good, command):
        name = "rivers" if command == "distance" else "rocks"
        frame = gpd.read_file(good[name])
        frame = frame.set_geometry(frame.translate(200000, 0))
        path = good["folder"] / "far.gpkg"
        frame.to_file(path)
        parameter = "area" if command == "stack" else "input"
        refused(command, good, GridError, f"7000.*{HERE}", **{parameter: str(path)})

    def test_a_wrong_crs_shows_by_the_place_on_earth(self, good, make_raster, dem):
        """The same numbers in the next zone: only the place on Earth tells them apart."""
        wrong = make_raster("wrong.tif", dem, crs="EPSG:32633")
        text = r"wrong.tif .*near 45\.15 N 15\.00 E\) does not overlap .*near 45\.15 N 9\.00 E"
        refused("stack", good, GridError, text, layers=[good["raster"], wrong])

    def test_a_real_dem_with_the_wrong_crs_tag(self, good, data_dir):
        """Olinda's DEM, called UTM 25 north, which it is not."""
        folder = data_dir / "samples/stars_olinda_l7_dem"
        wrong = good["folder"] / "wrong.tif"
        with rasterio.open(folder / "olinda_dem_utm25s.tif") as dataset:
            profile, values = dataset.profile, dataset.read()
        with rasterio.open(wrong, "w", **{**profile, "crs": "EPSG:32625"}) as dataset:
            dataset.write(values)
        refused(
            "stack",
            good,
            GridError,
            r"wrong.tif \(EPSG:32625, x 288776.*near 81\.89 N 46\.20 W\) does not overlap the "
            r"reference \(EPSG:31985, x 288776.*near 8\.00 S 34\.87 W\)",
            layers=[str(folder / "L7_ETMs.tif"), str(wrong)],
        )


class TestNames:
    def test_the_field_of_classes_is_missing(self, good):
        refused("classes", good, InputError, "lithology.*rock", field="lithology")
        refused("classes", good, InputError, "Choose the field", field="")

    @pytest.mark.parametrize("numbers", [{"nir": 3}, {"red": 7, "nir": 1}])
    def test_band_numbers_beyond_the_bands(self, good, numbers):
        refused("spectralindices", good, InputError, "bands of values are 1, 2: ", **numbers)

    def test_band_numbers_begin_with_0_for_none(self, good):
        refused("spectralindices", good, InputError, "RED is -1: choose 0 or more", red=-1)

    def test_band_numbers_that_count_on_through_files_end_with_the_last(self, good, make_raster):
        more = make_raster("more.tif", np.ones((3, 3), np.float32))
        text = "number 4, but the image.s bands of values are 1, 2, 3: "
        refused("spectralindices", good, InputError, text, bands=[more], nir=4)


class TestNothingValid:
    @pytest.fixture(params=[-9999.0, np.nan], ids=["-9999", "nan"])
    def empty(self, request, make_raster):
        values = np.full((2, 30, 40), request.param, np.float32)
        return make_raster("empty.tif", values, nodata=request.param, bands=["red", "nir"])

    @pytest.mark.parametrize("command", ["terrainfactors", "spectralindices", "streams", "stack"])
    def test_a_raster(self, good, empty, command):
        refused(command, with_raster(good, empty), InputError, "empty.tif.* no valid pixel")

    def test_an_earlier_image(self, good, empty):
        text = "no valid pixel for dndvi: .*earlier image"
        refused("spectralindices", good, InputError, text, earlier=empty)

    def test_a_class_raster(self, good, make_raster):
        empty = make_raster("empty.tif", np.zeros((30, 40), np.uint8), nodata=0)
        refused("classes", good, InputError, "empty.tif", input=empty)

    def test_the_reference_s_own_values_don_t_matter(self, good, empty):
        run("distance", good, reference=empty)
        run("classes", good, reference=empty)


class TestGrids:
    @pytest.mark.parametrize("command", RASTER_COMMANDS)
    @pytest.mark.parametrize(
        "transform",
        [
            from_origin(500000, 5000000, 10, 10) @ Affine.rotation(20),
            Affine(10, 0, 500000, 0, 10, 4999700),
        ],
        ids=["rotated", "south-up"],
    )
    def test_rotated(self, good, make_raster, dem, command, transform):
        wrong = make_raster(
            "rotated.tif", np.stack([dem, dem]), bands=["red", "nir"], transform=transform
        )
        text = "rotated.tif is rotated or not north-up: warp it"
        refused(command, with_raster(good, wrong), GridError, text)

    @pytest.mark.parametrize("command", RASTER_COMMANDS)
    def test_no_crs(self, good, make_raster, dem, command):
        wrong = make_raster("plain.tif", np.stack([dem, dem]), bands=["red", "nir"], crs=None)
        refused(command, with_raster(good, wrong), GridError, "plain.tif has no CRS")

    @pytest.mark.parametrize("shape", [(1, 40), (30, 1), (1, 1)])
    @pytest.mark.parametrize("command", RASTER_COMMANDS)
    def test_one_row_or_column(self, good, make_raster, dem, command, shape):
        """Enough for all but terrain, which needs neighbours."""
        thin = dem[: shape[0], : shape[1]]
        path = make_raster("thin.tif", np.stack([thin, thin + 0.2]), bands=["red", "nir"])
        if command in ("terrainfactors", "streams"):
            text = f"thin.tif has {shape[1]} x {shape[0]} "
            refused(command, with_raster(good, path), InputError, text)
            return
        output, _ = run(command, with_raster(good, path))
        with rasterio.open(output) as dataset:
            assert dataset.shape == shape
            assert dataset.read(1, masked=True).count() == shape[0] * shape[1]

    def test_a_dem_in_feet_is_warned_of_and_right(self, good, make_raster):
        """A plane of 45 degrees on pixels of 30 US survey feet, its elevations in metres."""
        foot = 1200 / 3937
        rows = np.tile(-np.arange(30)[:, None] * 30 * foot, (1, 40)).astype(np.float32)
        path = make_raster(
            "feet.tif", rows, crs="EPSG:2263", transform=from_origin(980000, 200000, 30, 30)
        )
        output, warnings = run("terrainfactors", good, input=path, factors=["slope"])
        assert any("metres" in text for text in warnings)
        with rasterio.open(output) as dataset:
            np.testing.assert_allclose(dataset.read(1)[1:-1, 1:-1], 45, atol=1e-3)

    def test_nan_as_nodata(self, good, make_raster, dem):
        values = np.stack([dem, dem + 0.2])
        values[:, 10:12, 5:9] = np.nan
        path = make_raster("nan.tif", values, bands=["red", "nir"], nodata=np.nan)
        for command in ("terrainfactors", "spectralindices", "stack"):
            output, _ = run(command, with_raster(good, path))
            with rasterio.open(output) as dataset:
                band = dataset.read(1, masked=True)
            assert band.mask[10:12, 5:9].all()
            assert band.count() == band.size - 8
            assert np.isfinite(band.compressed()).all()


class TestDistanceLimit:
    def test_0_is_no_limit(self, good):
        with rasterio.open(run("distance", good, max_distance=0)[0]) as dataset:
            free = dataset.read(1)
        with rasterio.open(run("distance", good, max_distance=1e6)[0]) as dataset:
            np.testing.assert_allclose(free, dataset.read(1), atol=1e-3)
        assert free.max() > 150

    @pytest.mark.parametrize("limit", [-1.0, float("nan")])
    def test_less_is_refused(self, good, limit):
        refused("distance", good, InputError, "MAX_DISTANCE is ", max_distance=limit)


def test_every_command_says_which_file_is_missing(good):
    for command in RASTER_COMMANDS:
        missing = with_raster(good, str(good["folder"] / "none.tif"))
        with pytest.raises(LandslideError, match=r"none\.tif does not exist"):
            run(command, missing)
