"""What the command `samples` refuses or warns of, and sets that are damaged."""

from pathlib import Path

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from rasterio.transform import from_origin
from shapely.geometry import Polygon

from .conftest import LEFT, TOP, make


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
        (InputError, "stride of 64 pixels is longer", {**both, "stride": 64}),
        (InputError, "TILE_SIZE is 4: choose from 16 to 2048 pixels", {**both, "tile_size": 4}),
        (InputError, "BACKGROUND is -1: choose 0 or more", {**both, "background": -1}),
        (InputError, "HARD_SHARE is 2: choose from 0 to 1", {**both, "hard_share": 2}),
        (InputError, "false alarms gone.tif does not", {**both, "hard_negatives": "gone.tif"}),
        (InputError, "The band b is nodata wherever", {**both, "stack": empty}),
        (InputError, 'SPLIT is "kfold": choose one of blocks, random', {**both, "split": "kfold"}),
        (InputError, "VALIDATION is 0: choose more than 0 ", {**both, "validation": 0}),
    ]
    for error, match, options in cases:
        refused(tmp_path, error, match, **options)


def test_one_landslide_is_too_few_to_validate(tmp_path, stack, make_polygons, square):
    one = make_polygons("one.gpkg", [square(3, 3, 4)])
    refused(
        tmp_path, InputError, "left for validation: choose a smaller", stack=stack, landslides=one
    )


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


def test_a_manifest_may_begin_with_the_mark_that_windows_writes(tmp_path, stack, landslides):
    _, written = make(tmp_path, stack, landslides)
    manifest = written.folder / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert len(SampleSet.read(written.folder).samples) == len(written.samples)


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


@pytest.mark.parametrize("nodata", [None, -9999])
def test_landslides_without_known_ground_around_them_are_told(tmp_path, stack, make_raster, nodata):
    """As a raster of polygons burnt into nothing: it lies on the stack, whatever its CRS."""
    burnt = np.full((256, 256), np.nan if nodata is None else nodata, np.float32)
    burnt[100:106, 100:106] = 1
    mask = make_raster("burnt.tif", burnt, nodata=nodata)
    sentence = (
        "36 pixels are landslide, but in no tile around them is half known: .*0 is what is no"
    )
    refused(tmp_path, InputError, sentence, stack=stack, landslides=mask)
