"""The command `samples` and the folder that it makes."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.samples.samples_command import samples
from rasterio.transform import from_origin
from scipy.ndimage import label as components
from shapely.geometry import Polygon, box

LEFT, TOP, PIXEL = 500000, 5000000, 10


def make(tmp_path, stack, landslides, events=None, **options):
    """Run the command; return its values and the set."""
    tmp_path.mkdir(exist_ok=True)
    output = str(tmp_path / "samples")
    sink = events.append if events is not None else None
    given = {"tile_size": 32, "stride": 16, **options}
    given |= {"stack": stack, "landslides": landslides, "output": output}
    values = samples(**checked("samples", samples, given), progress=Progress(sink))
    return values, SampleSet.read(output)


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


def test_blocks_do_not_leak(tmp_path, stack, landslides):
    _, written = make(tmp_path, stack, landslides)
    owner = np.zeros((256, 256), "U10")
    for sample in written.samples:
        column, row, width, height = sample.window
        patch = owner[row : row + height, column : column + width]
        assert set(np.unique(patch)) <= {"", sample.split}
        patch[:] = sample.split


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


FALSE_ALARMS = [(48, 48), (48, 112), (112, 48), (112, 112), (176, 48), (64, 176)]


@pytest.fixture
def alarms(make_raster):
    """False alarms in six places without landslide (and on landslides, where they are right)."""
    values = np.zeros((256, 256), np.float32)
    for column, row in FALSE_ALARMS:
        values[row : row + 8, column : column + 8] = 0.9
    values[28:34, 28:34] = 0.9
    values[200:, 200:] = -9999
    return make_raster("alarms.tif", values, nodata=-9999)


def test_background_with_false_alarms_is_drawn_for_training(tmp_path, stack, landslides, alarms):
    options = {"tile_size": 16, "stride": 16, "split": "random", "background": 2}
    events = []
    _, written = make(tmp_path / "0.5", stack, landslides, events, hard_negatives=alarms, **options)
    hard = [sample.window[:2] for sample in written.samples if sample.kind == "hard background"]
    assert 3 <= len(hard) <= 6  # those of the windows with false alarms that are for training
    assert set(hard) <= set(FALSE_ALARMS)
    kinds = [sample.kind for sample in written.of_split("train")]
    assert kinds.count("background") + len(hard) == 2 * kinds.count("landslide")
    assert any(f"{len(hard)} of" in event.get("text", "") for event in events)


def test_alarms_on_another_grid_are_none_where_their_band_is_nodata(
    tmp_path, stack, landslides, make_raster
):
    """Their second band is known everywhere; nodata, a high number here, is no alarm."""
    values = np.zeros((256, 256), np.float32)
    for column, row in FALSE_ALARMS:
        values[row : row + 8, column : column + 8] = 0.9
    values[:, 200:] = values[200:] = 9999
    shifted = from_origin(LEFT + 3, TOP - 3, PIXEL, PIXEL)
    alarms = make_raster(
        "alarms.tif", np.stack([values, 0 * values]), nodata=9999, transform=shifted
    )
    _, written = make(
        tmp_path, stack, landslides, hard_negatives=alarms, tile_size=16, stride=16,
        split="random", background=2,
    )  # fmt: skip
    hard = {sample.window[:2] for sample in written.samples if sample.kind == "hard background"}
    assert hard and hard <= set(FALSE_ALARMS)


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


def test_where_alarms_are_many_the_share_of_them_is_kept(tmp_path, stack, landslides, make_raster):
    high = make_raster("high.tif", np.tile(np.linspace(0, 1, 256, dtype=np.float32), (256, 1)))
    _, written = make(
        tmp_path, stack, landslides, hard_negatives=high, hard_threshold=0.6, hard_share=0.25,
        tile_size=16, stride=8, split="random",
    )  # fmt: skip
    kinds = [sample.kind for sample in written.of_split("train")]
    assert kinds.count("hard background") == round(0.25 * kinds.count("landslide"))
    columns = [sample.window[0] for sample in written.samples if sample.kind == "hard background"]
    assert min(columns) > 0.6 * 256 - 16
    others = {sample.kind for name in ("validation", "test") for sample in written.of_split(name)}
    assert others == {"landslide", "background"}


def test_same_seed_makes_the_same_set(tmp_path, stack, landslides):
    listed = [
        make(tmp_path / folder, stack, landslides, seed=seed)[1].samples
        for folder, seed in (("again", 1), ("0.5", 1), ("other", 2))
    ]
    assert listed[0] == listed[1]
    assert listed[0] != listed[2]


def test_random_split_is_named_so(tmp_path, stack, landslides):
    _, written = make(tmp_path, stack, landslides, split="random", test=0.2)
    assert written.split == "random by patch"
    assert all(written.of_split(name) for name in ("train", "validation", "test"))


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


def refused(tmp_path, error, match, **options):
    """The command fails with one sentence and leaves nothing behind."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=match) as caught:
        make(tmp_path, **options)
    assert str(caught.value).count("\n") == 0
    assert sorted(tmp_path.iterdir()) == before


def test_bad_input(tmp_path, stack, landslides, make_raster, make_polygons, square):
    both = {"stack": stack, "landslides": landslides}
    far = make_polygons("far.gpkg", [square(5000, 5000, 9)])
    small = make_raster("small.tif", np.ones((20, 300), np.float32))
    other = make_raster("other.tif", np.ones((300, 300), np.float32), bands=["c"])
    coarse = from_origin(LEFT, TOP, 30, 30)
    coarse = make_raster("c.tif", np.ones((2, 99, 99)), transform=coarse, bands=["a", "b"])
    blind = make_raster("blind.tif", np.ones((99, 99), np.float32), crs=None)
    away = from_origin(100000, 100000, 10, 10)
    mask = make_raster("mask.tif", np.ones((99, 99), np.uint8), transform=away)
    point = make_polygons("point.gpkg", [Polygon()])
    half = np.stack([np.ones((256, 256)), np.full((256, 256), -9999)]).astype(np.float32)
    empty = make_raster("empty.tif", half, nodata=-9999, bands=["a", "b"])
    cases = [
        (InputError, "stack gone.tif does not exist", {**both, "stack": "gone.tif"}),
        (InputError, "landslides layer gone.gpkg does not", {**both, "landslides": "gone.gpkg"}),
        (GridError, "has no CRS", {**both, "stack": blind}),
        (InputError, "No stack is given", {**both, "stack": []}),
        (InputError, "20 pixels, smaller than the tile of 32", {**both, "stack": small}),
        (InputError, "has the bands c, but", {**both, "stack": [stack, other]}),
        (InputError, "pixels of 30 m, but", {**both, "stack": [stack, coarse]}),
        (InputError, "No landslide lies within", {**both, "landslides": far}),
        (GridError, "does not overlap", {**both, "landslides": mask}),
        (InputError, "holds no polygon", {**both, "landslides": point}),
        (GridError, "lies outside the stack", {**both, "area": far}),
        (
            InputError,
            "stride of 64 pixels is longer",
            {**both, "stride": 64},
        ),
        (InputError, "TILE_SIZE is 4: choose from 16 to 2048 pixels", {**both, "tile_size": 4}),
        (InputError, "BACKGROUND is -1: choose 0 or more", {**both, "background": -1}),
        (InputError, "HARD_SHARE is 2: choose from 0 to 1", {**both, "hard_share": 2}),
        (InputError, "false alarms gone.tif does not", {**both, "hard_negatives": "gone.tif"}),
        (InputError, "The band b is nodata wherever", {**both, "stack": empty}),
        (InputError, 'SPLIT is "kfold": choose one of blocks, random', {**both, "split": "kfold"}),
        (
            InputError,
            "VALIDATION is 0: choose more than 0 ",
            {**both, "validation": 0},
        ),
    ]
    for error, match, options in cases:
        refused(tmp_path, error, match, **options)


def test_one_landslide_is_too_few_to_validate(tmp_path, stack, make_polygons, square):
    one = make_polygons("one.gpkg", [square(3, 3, 4)])
    refused(
        tmp_path, InputError, "left for validation: choose a smaller", stack=stack, landslides=one
    )


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


def test_a_constant_band_is_warned_of(tmp_path, landslides, make_raster):
    values = np.stack([np.full((256, 256), 3), np.tile(np.arange(256), (256, 1))])
    events = []
    flat = make_raster("flat.tif", values.astype(np.float32), bands=["a", "b"])
    _, written = make(tmp_path, flat, landslides, events)
    assert any(event.get("text") == "Constant over all train patches: a." for event in events)
    assert written.std[0] == 1


def test_a_full_disk_leaves_nothing(tmp_path, small_disk, make_raster, landslides):
    noise = np.random.default_rng(0).normal(size=(8, 256, 256)).astype(np.float32)
    noise = make_raster("noise.tif", noise)
    with pytest.raises(OutputError, match="The disk is full"):
        make(small_disk, noise, landslides, stride=8, background=5)
    assert not list(small_disk.iterdir())


def test_output_folder_must_be_new(tmp_path, stack, landslides):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "mine.txt").write_text("keep")
    refused(tmp_path, OutputError, "not an empty folder", stack=stack, landslides=landslides)
    assert (tmp_path / "samples" / "mine.txt").read_text() == "keep"


def test_damaged_sets_are_refused(tmp_path, stack, landslides):
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        SampleSet.read(tmp_path)
    _, written = make(tmp_path, stack, landslides)
    manifest = written.folder / "manifest.json"
    text = manifest.read_text()
    for damaged, match in (
        (text[:500], "is damaged"),
        (text.replace('"format": 1', '"format": 2'), "is of format 2"),
        (text.replace('"bands"', '"bonds"'), "is damaged"),
        (text.replace('"split": "train"', '"split": "trial"'), "no split is called trial"),
        ("[]", "is damaged"),
    ):
        manifest.write_text(damaged)
        with pytest.raises(InputError, match=match):
            SampleSet.read(written.folder)
    manifest.write_text(text)
    path = Path(written.image_path(written.samples[0]))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError):
        written.load(written.samples[0])
    path.unlink()
    with pytest.raises(InputError, match="files of sample 000001 are missing"):
        SampleSet.read(written.folder)


def test_kashmir(tmp_path, data_dir):
    """Real DEM and 3819 landslide polygons, in spatial blocks."""
    folder = data_dir / "kashmir"
    dem, polygons = str(folder / "AW3D30.tif"), str(folder / "landslides.shp")
    values, written = make(tmp_path, dem, polygons, tile_size=64, stride=32, test=0.2)
    assert min(values[name] for name in ("train", "validation", "test")) > 50
    assert written.split == "blocks of 256 x 256 pixels"
    assert 0.005 < values["imbalance"] < 0.05
    assert 500 < written.mean[0] < 4000
    assert max(sample.instances for sample in written.samples) > 20


def too_good(events):
    """Return how many patches are told to show ground of training, and of how many."""
    words = [event["text"].split() for event in events if "too good" in event.get("text", "")]
    return [(int(each[0]), int(each[2])) for each in words]


def test_a_random_split_of_overlapping_patches_is_told(tmp_path, stack, landslides):
    """Landslides of 6 pixels lie in up to nine windows of 32 at a stride of 16."""
    events = []
    make(tmp_path / "overlap", stack, landslides, events, split="random")
    ((shared, judging),) = too_good(events)
    assert judging / 2 < shared <= judging
    for name, options in (("apart", {"split": "random", "stride": 32}), ("blocks", {})):
        events = []
        make(tmp_path / name, stack, landslides, events, **options)
        assert not too_good(events)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:32633"])
def test_a_random_split_of_two_dates_of_one_place_is_told(
    tmp_path, stack, landslides, make_raster, crs
):
    """Windows that don't overlap at one date meet those of the other."""
    with rasterio.open(stack) as source:
        later = source.read() + 1
    place = from_origin(LEFT, TOP, PIXEL, PIXEL)
    if crs == "EPSG:32633":
        place = from_origin(28280, 5017450, PIXEL, PIXEL)  # the same ground, from zone 33
    other = make_raster("later.tif", later, crs, place, -9999, ["a", "b"])
    events = []
    make(tmp_path / "two", [stack, other], landslides, events, split="random", stride=32)
    ((shared, judging),) = too_good(events)
    assert shared > judging / 2
    events = []
    _, written = make(tmp_path / "blocks", [stack, other], landslides, events, stride=32)
    assert not too_good(events) and len({sample.source for sample in written.samples}) == 2


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
