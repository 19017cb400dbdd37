"""Samples labelled as a whole, by a field of yes and no; and by probabilities."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.samples.samples_command import samples
from rasterio.transform import from_origin
from shapely.geometry import MultiPoint, Point, box

LEFT, TOP, PIXEL = 500000, 5000000, 10
EVERY = [(column, row) for column in range(16, 256, 32) for row in range(16, 256, 32)]


def point(column, row):
    return Point(LEFT + column * PIXEL, TOP - row * PIXEL)


@pytest.fixture
def labelled(tmp_path):
    """Return a function that writes shapes with a field `slide` and returns the layer's path."""

    def write(name, shapes, answers, crs="EPSG:32632"):
        frame = gpd.GeoDataFrame({"slide": answers}, geometry=list(shapes), crs=crs)
        frame.to_file(tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.fixture
def points(labelled):
    """A point in the middle of each 32 x 32 pixels, yes in every second column."""
    return labelled(
        "points.gpkg", [point(*each) for each in EVERY], [c // 32 % 2 for c, _ in EVERY]
    )


def make(folder, stack, landslides, events=None, **options):
    folder.mkdir(exist_ok=True)
    sink = events.append if events is not None else None
    given = {"field": "slide", "tile_size": 32, "split": "random", **options}
    values = samples(
        stack=stack, landslides=landslides, output=str(folder / "s"), progress=Progress(sink),
        **given,
    )  # fmt: skip
    return values, SampleSet.read(folder / "s")


def test_a_point_labels_the_tile_around_it(tmp_path, stack, points):
    values, written = make(tmp_path, stack, points)
    assert written.labels == "image"
    assert (values["train"], values["validation"]) == (52, 12)
    assert values["imbalance"] == written.imbalance == 0.5
    assert (written.tile_size, written.split, written.imbalance_before) == (
        32,
        "random by patch",
        None,
    )
    assert {sample.window[:2] for sample in written.samples} == {(c - 16, r - 16) for c, r in EVERY}
    for sample in written.samples:
        image, valid, labels = written.load(sample)
        column = sample.window[0]
        assert valid.all() and (image[1] == np.arange(column, column + 32)).all()
        assert sample.holds_landslide == column // 32 % 2
        assert (labels == (UNKNOWN if sample.holds_landslide else 0)).all()
    assert written.mean[1] == pytest.approx(127.5, abs=10)


def test_each_point_of_a_multipoint_labels_its_tile(tmp_path, stack, points, labelled):
    """As a layer has them that was dissolved by its answers, or exported as multipoints."""
    _, single = make(tmp_path / "single", stack, points)
    answers = [c // 32 % 2 for c, _ in EVERY]
    two = [
        MultiPoint([point(*each) for each, yes in zip(EVERY, answers, strict=True) if yes == one])
        for one in (0, 1)
    ]
    _, dissolved = make(tmp_path / "two", stack, labelled("two.gpkg", two, ["no", "yes"]))
    for labels in (True, False):
        windows = [
            {sample.window for sample in written.samples if sample.holds_landslide == labels}
            for written in (single, dissolved)
        ]
        assert windows[0] == windows[1] and len(windows[0]) == 32


def test_points_at_the_edge_keep_their_tile_in_the_stack(tmp_path, stack, labelled):
    shapes = [point(c, r) for c in (1, 255) for r in (1, 128, 255)] * 2
    layer = labelled("edge.gpkg", shapes, ["Yes"] * 6 + [None, "", " "] * 2)
    events = []
    with pytest.raises(InputError, match="No patch without landslides"):
        make(tmp_path, stack, layer, events)
    layer = labelled("edges.gpkg", shapes[:6], ["yes", "NO", "y", "f", "True", "n"])
    _, written = make(tmp_path / "more", stack, layer, validation=0.4, events=events)
    assert {sample.window for sample in written.samples} == {
        (column, row, 32, 32) for column in (0, 224) for row in (0, 112, 224)
    }
    assert any("6 features have no slide" in event.get("text", "") for event in events)


def test_a_polygon_labels_its_bounding_box(tmp_path, stack, labelled, square):
    """Cells side by side of 40 pixels; small ones get a tile."""
    cells = [square(column, row, 40) for column in range(8, 248, 40) for row in range(0, 240, 40)]
    layer = labelled("cells.gpkg", cells, [number % 2 == 0 for number in range(36)])
    _, written = make(tmp_path / "large", stack, layer)
    assert len(written.samples) == 36
    assert {sample.window[2:] for sample in written.samples} == {(40, 40)}
    assert written.tile_size == 32
    small = [square(column, row, 4) for column in (30, 90, 150, 210) for row in (30, 90, 150, 210)]
    layer = labelled("small.gpkg", small, [number % 2 for number in range(16)])
    _, written = make(tmp_path / "small", stack, layer)
    assert {sample.window[2:] for sample in written.samples} == {(32, 32)}
    assert (16, 16) in {sample.window[:2] for sample in written.samples}


def test_no_image_labelled_no_holds_a_place_labelled_yes(tmp_path, stack, labelled):
    shapes = [point(c, r) for c, r in EVERY] + [point(c + 10, r) for c, r in EVERY[:5]]
    layer = labelled("near.gpkg", shapes, [0] * 32 + [1] * 32 + [1] * 5)
    events = []
    _, written = make(tmp_path, stack, layer, events)
    assert sum(not sample.holds_landslide for sample in written.samples) == 27
    assert any(event.get("text", "").startswith("5 images labelled no") for event in events)


def test_blocks_do_not_leak(tmp_path, stack, labelled):
    rng = np.random.default_rng(0)
    shapes = [point(*each) for each in rng.integers(0, 256, (300, 2))]
    layer = labelled("many.gpkg", shapes, [int(shape.x > LEFT + 1280) for shape in shapes])
    events = []
    _, written = make(tmp_path, stack, layer, events, split="blocks", tile_size=16)
    assert written.split == "blocks of 48 x 48 pixels"
    owner = np.zeros((256, 256), "U10")
    for sample in written.samples:
        column, row, width, height = sample.window
        patch = owner[row : row + height, column : column + width]
        assert set(np.unique(patch)) <= {"", sample.split}
        patch[:] = sample.split
    assert any("overlap one of another split" in event.get("text", "") for event in events)
    assert len(written.of_split("train")) > 5 < len(written.of_split("validation"))


def test_several_stacks_in_their_own_crs_and_the_area(
    tmp_path, stack, points, make_raster, make_polygons, square
):
    """Another date on a grid of its own, moved by half a tile; the area is the northwest."""
    moved = from_origin(LEFT + 160, TOP, PIXEL, PIXEL)
    other = make_raster(
        "later.tif", np.ones((2, 256, 256)), "EPSG:25832", transform=moved, bands=["b", "a"]
    )
    area = make_polygons("area.gpkg", [square(-10, -10, 138)], crs="EPSG:32632")
    _, written = make(tmp_path, [stack, other], points, area=area)
    sources = [sample.source for sample in written.samples]
    assert (sources.count(stack), sources.count(other)) == (16, 16)
    assert max(s.window[0] for s in written.samples if s.source == stack) == 96
    assert max(s.window[0] for s in written.samples if s.source == other) == 80


def test_nodata_images_are_left_out(tmp_path, make_raster, points):
    values = np.ones((1, 256, 256)) * np.arange(256)
    values[:, :128] = -9999
    _, written = make(tmp_path, make_raster("half.tif", values, nodata=-9999), points)
    assert len(written.samples) == 32
    assert min(sample.window[1] for sample in written.samples) == 128


def test_bad_labels(tmp_path, stack, points, labelled, make_raster, square):
    far = labelled("far.gpkg", [point(9999, 0)], [1])
    words = labelled("words.gpkg", [point(20, 20), point(90, 90)], ["yes", "perhaps"])
    large = labelled("large.gpkg", [box(LEFT, TOP - 30000, LEFT + 30000, TOP)], [1])
    wide = make_raster("wide.tif", np.ones((2, 3000, 3000), np.uint8), bands=["a", "b"])
    bare = labelled("bare.shp", [point(20, 20)], [1], crs=None)
    one = labelled("one.gpkg", [point(*each) for each in EVERY], [1] * len(EVERY))
    before = sorted(tmp_path.iterdir())
    for error, match, options in (
        (InputError, "no field slid; it has: slide", {"field": "slid"}),
        (InputError, "holds 'perhaps', which is neither yes nor no", {"landslides": words}),
        (InputError, "is a raster, which has no fields", {"landslides": stack}),
        (InputError, "No feature of .*far.gpkg lies within", {"landslides": far}),
        (InputError, "is 3000 pixels long", {"landslides": large, "stack": wide}),
        (GridError, "has no CRS", {"landslides": bare}),
        (InputError, "No patch without landslides is left", {"landslides": one}),
    ):
        with pytest.raises(error, match=match) as caught:
            make(tmp_path, **{"stack": stack, "landslides": points, **options})
        assert "\n" not in str(caught.value)
        assert sorted(tmp_path.iterdir()) == before


def test_between_low_and_high_nothing_is_known(tmp_path, stack, make_raster):
    """Bumps of probability: 0.9 in the middle, 0.5 around, nodata in one corner."""
    values = np.full((256, 256), 0.05, np.float32)
    for column, row in EVERY:
        values[row - 8 : row + 8, column - 8 : column + 8] = 0.5
        values[row - 4 : row + 4, column - 4 : column + 4] = 0.9
    values[:8, :8] = -9999
    layer = make_raster("probability.tif", values, nodata=-9999)
    given = {"field": "", "stride": 32}
    _, written = make(tmp_path / "both", stack, layer, low=0.2, high=0.8, **given)
    assert written.labels == "pixel"
    for sample in written.samples:
        column, row, _, _ = sample.window
        part = values[row : row + 32, column : column + 32]
        labels = written.load(sample)[2]
        assert ((labels == UNKNOWN) == ((part == 0.5) | (part < 0))).all()
        assert ((labels == 1) == (part == np.float32(0.9))).all()
    known = (values >= 0) & (values != 0.5)
    assert written.imbalance_before == pytest.approx(
        (values == np.float32(0.9)).sum() / known.sum()
    )
    _, written = make(tmp_path / "high", stack, layer, high=0.8, **given)
    assert all((written.load(s)[2] == UNKNOWN).sum() in (0, 64) for s in written.samples)
    events = []
    make(tmp_path / "none", stack, layer, events, **given)
    assert any("all above 0 are taken" in event.get("text", "") for event in events)


def test_low_and_high_must_fit(tmp_path, stack, landslides, make_raster):
    mask = make_raster("mask.tif", np.ones((256, 256), np.uint8))
    for match, options in (
        ("Low 0.5 needs a high", {"landslides": mask, "low": 0.5}),
        ("Low 0.5 needs a high", {"landslides": mask, "low": 0.5, "high": 0.4}),
        ("holds polygons, which have no probability", {"landslides": landslides, "high": 0.4}),
    ):
        with pytest.raises(InputError, match=match):
            make(tmp_path, stack, field="", **options)
        assert not (tmp_path / "s").exists()


def test_images_of_one_place_at_two_dates_are_told_of_unless_split_by_blocks(
    tmp_path, stack, points, make_raster
):
    with rasterio.open(stack) as source:
        later = make_raster("later.tif", source.read() + 1, nodata=-9999, bands=["a", "b"])
    for name, stacks, split, told in (
        ("one", stack, "random", False),
        ("two", [stack, later], "random", True),
        ("blocks", [stack, later], "blocks", False),
    ):
        events = []
        make(tmp_path / name, stacks, points, events, split=split)
        assert told == any("images for validation" in event.get("text", "") for event in events)


def test_by_scene_whole_stacks_of_images_are_held_out(tmp_path, labelled, make_raster):
    paths, shapes = [], []
    for number in range(3):
        left = LEFT + number * 64 * PIXEL
        transform = from_origin(left, TOP, 10, 10)
        values = np.full((1, 64, 64), 5 + number, np.float32)
        paths.append(make_raster(f"{number}.tif", values, transform=transform, bands=["a"]))
        shapes += [point(64 * number + 17, 17), point(64 * number + 47, 47)]
    places = labelled("places.gpkg", shapes, [1, 0] * 3)
    _, written = make(tmp_path, paths, places, split="scene", test=0.3, validation=0.3)
    assert written.split == "scenes" and len(written.samples) == 6
    parts = {(sample.source, sample.split) for sample in written.samples}
    assert len(parts) == 3 and {split for _, split in parts} == {"train", "validation", "test"}
