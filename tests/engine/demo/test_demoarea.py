"""The synthetic demo area: what its files hold and that they fit together."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.demo.area import build_area
from landslide_mapper.landslide_plugin.demo.demoarea_command import demoarea
from landslide_mapper.landslide_plugin.request import checked
from rasterio.features import rasterize
from scipy.ndimage import uniform_filter
from shapely import box

SIZE = 256
NAMES = ["image.tif", "dem.tif", "rivers.gpkg", "faults.gpkg", "geology.gpkg", "landslides.gpkg"]


@pytest.fixture(scope="module")
def area(tmp_path_factory):
    """The result of the command, run once."""
    folder = tmp_path_factory.mktemp("demo") / "area"
    return demoarea(folder=str(folder), seed=3, size=SIZE, progress=Progress())


@pytest.fixture(scope="module")
def dem(area):
    with rasterio.open(area["dem"]) as dataset:
        return dataset.read(1).astype(np.float64)


def layer(area, name):
    return gpd.read_file(area[name])


def burn(frame, dem, area):
    with rasterio.open(area["dem"]) as dataset:
        return rasterize(frame.geometry, out_shape=dem.shape, transform=dataset.transform) > 0


def slope(dem):
    return np.degrees(np.arctan(np.hypot(*np.gradient(dem, 10))))


def test_all_files_stand_in_the_folder_and_nothing_else(area):
    files = {key: area[key] for key in ("image", "dem", "rivers", "faults", "geology")}
    assert all(path.startswith(area["folder"]) for path in files.values())
    with_landslides = [*files.values(), area["landslides"]]
    assert sorted(path.rsplit("/", 1)[1] for path in with_landslides) == sorted(NAMES)
    from pathlib import Path

    assert sorted(path.name for path in Path(area["folder"]).iterdir()) == sorted(NAMES)


def test_image_and_dem_share_a_grid_of_10_m_in_utm(area):
    with rasterio.open(area["image"]) as image, rasterio.open(area["dem"]) as dem:
        assert (image.width, image.height, image.res) == (SIZE, SIZE, (10, 10))
        assert image.crs.to_epsg() == 32632
        assert (image.transform, image.crs, image.shape) == (dem.transform, dem.crs, dem.shape)
        assert (image.dtypes[0], dem.dtypes[0]) == ("uint16", "float32")


def test_bands_have_names_and_plausible_reflectance(area):
    with rasterio.open(area["image"]) as image:
        values = image.read() / 1e4
        assert image.descriptions == ("blue", "green", "red", "rededge1", "nir", "swir1", "swir2")
    assert values.min() > 0
    assert values.max() < 1
    # Most of the land is green: near infrared far above red.
    assert np.median(values[4] / values[2]) > 2.5


def test_files_say_that_they_are_synthetic(area):
    for key in ("image", "dem"):
        with rasterio.open(area[key]) as dataset:
            assert "synthetic" in dataset.tags()["LANDSLIDE_ORIGIN"]


@pytest.mark.parametrize("name", ["rivers", "faults", "geology", "landslides"])
def test_layers_are_valid_and_within_the_area(area, name):
    frame = layer(area, name)
    with rasterio.open(area["dem"]) as dataset:
        extent = box(*dataset.bounds)
    assert len(frame) > 0
    assert frame.crs.to_epsg() == 32632
    assert frame.is_valid.all()
    assert frame.covered_by(extent.buffer(0.01)).all()


def test_geology_covers_the_area_once_with_three_rocks(area):
    frame = layer(area, "geology")
    assert set(frame["lithology"]) == {"granite", "sandstone", "mudstone"}
    whole = (SIZE * 10) ** 2
    assert frame.area.sum() == pytest.approx(whole, rel=1e-6)
    assert frame.union_all().area == pytest.approx(whole, rel=1e-6)


def test_landslides_do_not_overlap_and_know_their_size(area):
    frame = layer(area, "landslides")
    assert frame["id"].is_unique
    assert frame["area_m2"].between(3e3, 2e5).all()
    np.testing.assert_allclose(frame["area_m2"], frame.area, rtol=1e-3)
    assert frame.union_all().area == pytest.approx(frame.area.sum(), rel=1e-9)


def test_landslides_are_steeper_than_the_rest(area, dem):
    slid = burn(layer(area, "landslides"), dem, area)
    assert slope(dem)[slid].mean() > slope(dem)[~slid].mean() + 3


def test_landslides_run_downhill_from_where_they_start(area, dem):
    """The terrain falls over a landslide by more than half its longest side times 0.2."""
    with rasterio.open(area["dem"]) as dataset:
        transform = dataset.transform
    for shape in layer(area, "landslides").geometry:
        inside = rasterize([shape], out_shape=dem.shape, transform=transform) > 0
        longest = max(shape.bounds[2] - shape.bounds[0], shape.bounds[3] - shape.bounds[1])
        assert np.ptp(dem[inside]) > 0.1 * longest


def test_rivers_run_in_valleys(area, dem):
    river = burn(layer(area, "rivers"), dem, area)
    surroundings = uniform_filter(dem, 41)
    assert (dem - surroundings)[river].mean() < -5
    assert np.mean(dem[river] < surroundings[river]) > 0.8


def test_terrain_has_plain_slopes_and_no_cliffs(dem):
    degrees = slope(dem)
    assert np.percentile(degrees, 3) < 6
    assert np.percentile(degrees, 75) > 20
    assert np.percentile(degrees, 99) < 58


def test_bare_ground_alone_does_not_tell_landslides(area, dem):
    """No NDVI threshold finds them: fields, roads, clear-cuts and gravel are bare too."""
    with rasterio.open(area["image"]) as image:
        values = image.read().astype(np.float64)
    ndvi = (values[4] - values[2]) / (values[4] + values[2])
    slid = burn(layer(area, "landslides"), dem, area)
    scores = []
    for threshold in np.quantile(ndvi, np.linspace(0.01, 0.5, 40)):
        result = ndvi < threshold
        scores.append(2 * (result & slid).sum() / (result.sum() + slid.sum()))
    assert max(scores) < 0.75


def test_the_same_seed_gives_the_same_area(area, dem):
    again = build_area(SIZE, 3, Progress())
    np.testing.assert_array_equal(again.dem, dem.astype(np.float32))
    with rasterio.open(area["image"]) as image:
        np.testing.assert_array_equal(again.image, image.read())
    assert again.landslides.geometry.geom_equals(layer(area, "landslides").geometry).all()


def test_another_seed_gives_another_area_where_mudstone_slides_most():
    other = build_area(512, 4, Progress())
    shares = {}
    for rock in ("granite", "sandstone", "mudstone"):
        ground = other.geology[other.geology["lithology"] == rock].union_all()
        shares[rock] = other.landslides.intersection(ground).area.sum() / ground.area
    assert shares["mudstone"] > shares["sandstone"] > shares["granite"]
    east = other.landslides.centroid.x > 600000 + 2560
    assert 0.2 < east.mean() < 0.8


def test_progress_rises_to_the_end():
    events = []
    build_area(SIZE, 5, Progress(events.append))
    seen = [event["percent"] for event in events if event["type"] == "progress"]
    assert seen == sorted(seen)
    assert len(seen) > 50
    assert seen[-1] == 100


@pytest.mark.parametrize("size", [0, 255, 4097])
def test_a_size_out_of_range_is_refused(tmp_path, size):
    with pytest.raises(InputError, match=f"SIZE is {size}: choose from 256 to 4096 pixels"):
        checked("demoarea", demoarea, {"folder": str(tmp_path / "area"), "size": size})


def test_a_negative_seed_is_refused(tmp_path):
    with pytest.raises(InputError, match="SEED is -1"):
        checked("demoarea", demoarea, {"folder": str(tmp_path / "area"), "seed": -1})


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="empty folder"):
        demoarea(folder=str(tmp_path), size=SIZE, progress=Progress())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        demoarea(folder=str(tmp_path / "missing" / "area"), size=SIZE, progress=Progress())


def test_cancel_leaves_nothing_behind(tmp_path):
    def cancel(event):
        if event.get("percent", 0) > 20:
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        demoarea(folder=str(tmp_path / "area"), size=SIZE, progress=Progress(cancel))
    assert not list(tmp_path.iterdir())
