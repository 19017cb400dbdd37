"""The command `samples` and the folder that it makes."""

import json
import subprocess

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.samples.blocks import TOLERANCE
from landslide_mapper.landslide_plugin.samples.sample_set import SPLITS, UNKNOWN, SampleSet
from rasterio.transform import from_origin
from scipy.ndimage import label as components
from shapely.geometry import box

from .conftest import LEFT, PIXEL, TOP, make


def test_patches_hold_what_the_stack_and_the_polygons_hold(tmp_path, stack, landslides):
    values, written = make(tmp_path, stack, landslides)
    assert values["train"] == len(written.of_split("train")) > 0
    assert values["validation"] == len(written.of_split("validation")) > 0
    assert values["test"] == 0
    with rasterio.open(stack) as dataset:
        whole = dataset.read()
    truth = np.zeros((256, 256), bool)
    for column in range(28, 256, 64):
        for row in range(28, 256, 64):
            truth[row : row + 6, column : column + 6] = True
    for sample in written.samples:
        image, valid, labels = written.load(sample)
        column, row, width, height = sample.window
        part = (slice(row, row + height), slice(column, column + width))
        assert (image == whole[:, *part]).all()
        assert valid.all()
        assert ((labels > 0) == truth[part]).all()
        assert sample.landslide_pixels == truth[part].sum()
        assert sample.instances == components(truth[part])[1] == labels.max()


def test_manifest_says_what_training_needs(tmp_path, stack, landslides):
    values, written = make(tmp_path, stack, landslides, seed=4)
    manifest = json.loads((written.folder / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert written.bands == ["a", "b"]
    assert written.classes == ["background", "landslide"]
    assert (written.resolution, written.crs, written.tile_size, written.seed) == (
        10,
        "EPSG:32632",
        32,
        4,
    )
    assert written.split.startswith("blocks of ")
    assert written.sources == [stack]
    pixels = [written.load(sample) for sample in written.of_split("train")]
    stacked = np.stack([image for image, _, _ in pixels]).astype(np.float64)
    assert written.mean == pytest.approx(stacked.mean(axis=(0, 2, 3)), rel=1e-9)
    assert written.std == pytest.approx(stacked.std(axis=(0, 2, 3)), rel=1e-9)
    fraction = np.mean([labels > 0 for _, _, labels in pixels])
    assert written.imbalance == values["imbalance"] == pytest.approx(fraction)
    assert written.imbalance_before == 16 * 36 / 256**2
    assert {sample.kind for sample in written.samples} == {"landslide", "background"}


def test_bands_are_loaded_by_name_in_any_order(tmp_path, stack, landslides):
    _, written = make(tmp_path, stack, landslides)
    sample = written.samples[0]
    both, _, _ = written.load(sample)
    swapped, _, _ = written.load(sample, ["b", "a"])
    assert (swapped == both[::-1]).all()
    with pytest.raises(InputError, match="no band named c; it has: a, b"):
        written.load(sample, ["c"])


def test_background_comes_in_the_chosen_ratio(tmp_path, make_raster, make_polygons, square):
    rows = np.ones((256, 512), np.float32)
    stack = make_raster("wide.tif", rows * np.arange(512, dtype=np.float32), bands=["a"])
    positions = [square(column, row, 4) for column in (40, 200, 300, 440) for row in (30, 200)]
    landslides = make_polygons("few.gpkg", positions)
    for ratio in (0.0, 0.5, 1.0):
        _, written = make(tmp_path / str(ratio), stack, landslides, background=ratio, stride=8)
        for split in ("train", "validation"):
            flags = [sample.landslide_pixels > 0 for sample in written.of_split(split)]
            assert flags.count(False) == round(ratio * flags.count(True))


def test_a_mask_on_another_grid_is_unknown_where_its_band_is_nodata(tmp_path, stack, make_raster):
    """The mask's first band counts, also where the second is known."""
    mask = np.zeros((256, 256), np.uint8)
    for column in range(28, 256, 64):
        for row in range(28, 256, 64):
            mask[row : row + 6, column : column + 6] = 1
            mask[row : row + 6, column + 8] = 200
    path = make_raster(
        "mask.tif", np.stack([mask, np.ones_like(mask)]), nodata=200,
        transform=from_origin(LEFT + 3, TOP - 3, PIXEL, PIXEL),
    )  # fmt: skip
    _, written = make(tmp_path, stack, path)
    unknown = 0
    for sample in written.of_split("train"):
        labels = written.load(sample)[2]
        assert sample.landslide_pixels == (labels > 0).sum() - (labels == UNKNOWN).sum()
        unknown += (labels == UNKNOWN).sum()
    assert unknown > 0


def test_same_seed_makes_the_same_set(tmp_path, stack, landslides):
    listed = [
        make(tmp_path / folder, stack, landslides, seed=seed)[1].samples
        for folder, seed in (("again", 1), ("0.5", 1), ("other", 2))
    ]
    assert listed[0] == listed[1]
    assert listed[0] != listed[2]


def test_nodata_is_unknown_and_mostly_empty_patches_are_dropped(tmp_path, make_raster, landslides):
    values = np.ones((2, 256, 256), np.float32) * np.arange(256, dtype=np.float32)
    values[0, :, :40] = -9999
    stack = make_raster("holes.tif", values, nodata=-9999, bands=["a", "b"])
    _, written = make(tmp_path, stack, landslides)
    assert written.mean[0] == written.mean[1] >= 40
    seen_unknown = False
    for sample in written.samples:
        column = sample.window[0]
        _, valid, labels = written.load(sample)
        assert valid.mean() >= 0.5
        assert ((labels == UNKNOWN) == ~valid).all()
        assert valid.all() == (column >= 40)
        seen_unknown |= not valid.all()
        # band b has values where band a has none
        assert written.load(sample, ["b"])[1].all()
    assert seen_unknown


def test_outside_the_area_nothing_is_known(tmp_path, stack, landslides, make_polygons, square):
    area = make_polygons("area.gpkg", [square(0, 0, 200)])
    _, written = make(tmp_path, stack, landslides, area=area, split="random")
    crossing = 0
    for sample in written.samples:
        column, row, _, _ = sample.window
        _, valid, labels = written.load(sample)
        assert valid.all()
        inside = np.zeros((32, 32), bool)
        inside[: max(200 - row, 0), : max(200 - column, 0)] = True
        assert ((labels != UNKNOWN) == inside).all()
        assert inside.mean() >= 0.5
        crossing += not inside.all()
    assert crossing


def test_tiny_polygon_gets_one_pixel(tmp_path, stack, make_polygons):
    """A polygon of 4 m between the pixel centres would vanish; a sliver at a patch's edge may."""
    positions = [(column, row) for column in range(20, 256, 40) for row in range(20, 256, 40)]
    tiny = [
        box(LEFT + 10 * c + 6, TOP - 10 * r - 9, LEFT + 10 * c + 9.5, TOP - 10 * r - 6)
        for c, r in positions
    ]
    _, written = make(tmp_path, stack, make_polygons("tiny.gpkg", tiny), split="random")
    for sample in written.samples:
        column, row, _, _ = sample.window
        labels = written.load(sample)[2]
        result = {(column + int(x), row + int(y)) for y, x in np.argwhere(labels > 0)}
        within = {(c, r) for c, r in positions if 0 <= c - column < 32 and 0 <= r - row < 32}
        assert result == within


def test_mask_raster_gives_the_same_labels_as_its_polygons(
    tmp_path, stack, landslides, make_raster
):
    mask = np.zeros((256, 256), np.uint8)
    for column in range(28, 256, 64):
        for row in range(28, 256, 64):
            mask[row : row + 6, column : column + 6] = 1
    by_polygons = make(tmp_path / "again", stack, landslides)[1]
    by_mask = make(tmp_path / "other", stack, make_raster("mask.tif", mask))[1]
    assert by_mask.samples == by_polygons.samples


def test_several_stacks_with_bands_in_any_order(tmp_path, stack, landslides, make_raster):
    east = from_origin(LEFT + 2560, TOP, PIXEL, PIXEL)
    values = np.stack([np.full((256, 256), 9, np.float32), np.full((256, 256), 1, np.float32)])
    other = make_raster("east.tif", values, transform=east, bands=["b", "a"])
    _, written = make(tmp_path, [stack, other], landslides, background=8)
    assert written.sources == [stack, other]
    of_other = [sample for sample in written.samples if sample.source == other]
    assert of_other
    image, _, labels = written.load(of_other[0])
    assert (image[0] == 1).all()
    assert (image[1] == 9).all()
    assert (labels == 0).all()


def test_counts_and_imbalance_are_told(tmp_path, stack, landslides):
    events = []
    make(tmp_path, stack, landslides, events)
    texts = [event["text"] for event in events if event["type"] == "message"]
    assert any(text.startswith("train: ") and "pixels 1 : " in text for text in texts)
    assert f"Landslide to background pixels before sampling: 1 : {256**2 / 576 - 1:.1f}." in texts
    percents = [event["percent"] for event in events if event["type"] == "progress"]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert len(percents) > 10


def test_patches_are_plain_geotiffs_in_place(tmp_path, stack, landslides):
    """GDAL's own tool sees the CRS, the band names and the place of a patch."""
    _, written = make(tmp_path, stack, landslides)
    sample = written.samples[3]
    told = subprocess.run(
        ["gdalinfo", "-json", written.image_path(sample)], capture_output=True, check=False
    )
    if told.returncode:
        pytest.skip("gdalinfo is absent")
    info = json.loads(told.stdout)
    column, row, _, _ = sample.window
    assert info["geoTransform"] == [LEFT + 10 * column, 10, 0, TOP - 10 * row, 0, -10]
    assert [band["description"] for band in info["bands"]] == ["a", "b"]
    assert "32632" in info["coordinateSystem"]["wkt"]


def test_in_a_mask_with_nodata_0_the_rest_is_background(tmp_path, stack, make_raster):
    mask = np.zeros((256, 256), np.uint8)
    mask[::40, ::40] = 1
    mask[:, 128:] = 1
    events = []
    mask = make_raster("mask.tif", mask, nodata=0)
    _, written = make(tmp_path / "0.5", stack, mask, events, background=0, split="random")
    assert any(
        "0 as nodata: it is taken for no landslide" in event.get("text", "") for event in events
    )
    assert written.imbalance < 0.9  # 1 if the rest were not known


def test_few_patches_to_judge_by_are_told_in_one_sentence(tmp_path, stack, landslides):
    events = []
    values, written = make(tmp_path, stack, landslides, events, stride=32, background=0)
    assert values["validation"] == len(written.of_split("validation")) < 20
    told = [event["text"] for event in events if event["type"] == "warning"]
    assert [text for text in told if text.startswith("Few patches to judge by")] == [
        f"Few patches to judge by (validation has {values['validation']}, {values['validation']} "
        "with landslides), so that figures measured on them will be mostly luck: add landslides, "
        "or train with folds."
    ]


def test_kashmir(tmp_path, data_dir):
    """Real DEM and 3819 landslide polygons, in spatial blocks."""
    folder = data_dir / "kashmir"
    dem, polygons = str(folder / "AW3D30.tif"), str(folder / "landslides.shp")
    values, written = make(tmp_path, dem, polygons, tile_size=64, stride=32, test=0.2)
    counts = np.array([values[name] for name in ("train", "validation", "test")])
    assert counts.min() > 50
    assert written.split.startswith("blocks of ")
    holds = [sum(s.landslide_pixels > 0 for s in written.of_split(name)) for name in SPLITS]
    assert holds / np.sum(holds) == pytest.approx([0.6, 0.2, 0.2], abs=TOLERANCE)
    assert 0.005 < values["imbalance"] < 0.05
    assert 500 < written.mean[0] < 4000
    assert max(sample.instances for sample in written.samples) > 20


def test_the_resolution_is_that_of_the_ground(tmp_path, make_raster, make_polygons):
    """At 60 N pixels of 20 on Web Mercator's map are 10 m wide, and go with UTM's of 10 m."""
    values = np.random.default_rng(0).normal(size=(2, 128, 128)).astype(np.float32)
    x, y = 1_113_194.9, 8_399_737.9  # 10 E, 60 N
    mercator = make_raster(
        "m.tif", values, crs="EPSG:3857", transform=from_origin(x, y, 20, 20), bands=["a", "b"]
    )
    utm = make_raster(
        "u.tif", values, transform=from_origin(555_776, 6_651_832, 10, 10), bands=["a", "b"]
    )
    positions = [
        box(x + 20 * c, y - 20 * r - 120, x + 20 * c + 120, y - 20 * r)
        for c in range(10, 128, 32)
        for r in range(10, 128, 32)
    ]
    landslides = make_polygons("l.gpkg", positions, crs="EPSG:3857")
    written = make(tmp_path / "one", mercator, landslides)[1]
    assert written.resolution == pytest.approx(10, rel=0.01)
    assert make(tmp_path / "two", [utm, mercator], landslides)[1].resolution == 10


class TestUnits:
    """Imagery is read as reflectance where it is known how, and the set keeps the units."""

    @pytest.fixture
    def imagery(self, make_raster):
        def write(name, **tags):
            values = np.random.default_rng(0).integers(1200, 4000, (2, 256, 256)).astype(np.uint16)
            path = make_raster(name, values, bands=["red", "height"])
            with rasterio.open(path, "r+") as dataset:
                dataset.update_tags(**tags)
            return path

        return write

    def test_digital_numbers_of_a_known_product(self, tmp_path, imagery, landslides):
        path = imagery("image.tif", PROCESSING_BASELINE="05.09")
        _, written = make(tmp_path / "a", path, landslides)
        assert written.units == ["reflectance", ""]
        assert written.units_of(["height", "red"]) == ["", "reflectance"]
        image, _, _ = written.load(written.samples[0])
        column, row, width, height = written.samples[0].window
        with rasterio.open(path) as dataset:
            stored = dataset.read()[:, row : row + height, column : column + width]
        np.testing.assert_allclose(image[0], stored[0] * 1e-4 - 0.1, atol=1e-6)
        np.testing.assert_array_equal(image[1], stored[1])
        assert 0.1 < written.mean[0] < 0.2

    def test_stacks_of_which_one_tells_are_refused(self, tmp_path, imagery, landslides):
        known, unknown = imagery("a.tif", PROCESSING_BASELINE="05.09"), imagery("b.tif")
        with pytest.raises(InputError, match=r"red is reflectance in one of .* SCALE and OFFSET"):
            make(tmp_path / "a", [known, unknown], landslides)

    def test_levels_of_a_distance_are_kept_as_such(self, tmp_path, imagery, landslides):
        """Map landslides, which derives distances in metres, is to know."""
        levels, metres = imagery("a.tif"), imagery("b.tif")
        with rasterio.open(levels, "r+") as dataset:
            dataset.update_tags(2, ordinal="yes", class_0="near", class_1="far")
        _, written = make(tmp_path / "a", levels, landslides)
        assert written.units == ["", "levels"]
        with pytest.raises(InputError, match=r"height holds levels in one of .* and not in the"):
            make(tmp_path / "b", [levels, metres], landslides)

    def test_unknown_numbers_are_told(self, tmp_path, imagery, landslides):
        events = []
        _, written = make(tmp_path / "a", imagery("b.tif"), landslides, events)
        assert written.units == ["", ""]
        assert any("unknown units" in event.get("text", "") for event in events)

    def test_folders_made_before_units_were_kept(self, tmp_path, stack, landslides):
        _, written = make(tmp_path / "a", stack, landslides)
        manifest = json.loads((written.folder / "manifest.json").read_text())
        del manifest["units"]
        (written.folder / "manifest.json").write_text(json.dumps(manifest))
        old = SampleSet.read(written.folder)
        assert old.units_of(old.bands) == []
        assert repr(old) == repr(written)  # by which trainings find their checkpoints


def test_a_class_that_one_stack_lacks_is_0_there(tmp_path, make_raster, landslides):
    """As stacks of separate maps of geology have bands for other classes each."""
    ramp = np.tile(np.arange(256, dtype=np.float32), (256, 1))
    stacks = []
    for name, other in (("west", "gneiss"), ("east", "marl")):
        west = ramp < 128
        image = np.stack([ramp, west, ~west]).astype(np.float32)
        bands = ["slope", "lithology_basalt", f"lithology_{other}"]
        stacks.append(make_raster(f"{name}.tif", image, bands=bands, nodata=-9999))
        with rasterio.open(stacks[-1], "r+") as dataset:
            for index, rock in ((2, "Basalt"), (3, other.title())):
                dataset.update_tags(index, CLASS_OF="lithology", CLASS_NAME=rock)
    events: list[dict[str, str]] = []
    _, written = make(tmp_path, stacks, landslides, events)
    assert written.bands == [
        "slope", "lithology_basalt", "lithology_gneiss", "lithology_marl",
    ]  # fmt: skip
    for sample in written.samples:
        image, valid, _ = written.load(sample)
        absent, held = (3, 2) if sample.source == stacks[0] else (2, 3)
        assert valid.all() and not image[absent].any()
        assert (image[held] == 1 - image[1]).all() and (image[1] == (image[0] < 128)).all()
    said = [event["text"] for event in events if "text" in event]
    assert f"{stacks[1]} has no class lithology_gneiss, which others have: 0 there." in said
