"""The command `importsamples`: public data sets of plain tiles."""

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.joined import join
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.samples.splits import folds
from PIL import Image
from rasterio.transform import from_origin


def write(folder, name, array):
    folder.mkdir(exist_ok=True)
    Image.fromarray(array).save(folder / name)


@pytest.fixture
def bijie_like(tmp_path):
    """Ten images with two landslides each and five without a mask, of several sizes."""
    random = np.random.default_rng(0)
    images, masks = tmp_path / "images", tmp_path / "masks"
    for number in range(15):
        height, width = 40 + number, 60
        image = random.integers(0, 255, (height, width, 3)).astype(np.uint8)
        stem = f"ls_{number:04d}" if number < 10 else f"nls_{number:04d}"
        write(images, f"{stem}.png", image)
        if number < 10:
            mask = np.zeros((height, width), np.uint8)
            mask[5:10, 5:10] = 255
            mask[10:15, 10:15] = 255  # touches the first at a corner: one landslide
            mask[30:35, 40:50] = 255
            write(masks, f"{stem}.png", mask)
    return {"images": str(images), "masks": str(masks)}


def run(tmp_path, events=None, **options):
    output = str(tmp_path / "samples")
    sink = events.append if events is not None else None
    given = {k: str(value) if isinstance(value, Path) else value for k, value in options.items()}
    given = checked("importsamples", importsamples, {"output": output, **given})
    values = importsamples(**given, progress=Progress(sink))
    return values, SampleSet.read(output)


def test_images_and_labels_come_over_exactly(tmp_path, bijie_like):
    with warnings.catch_warnings():
        warnings.simplefilter("error", rasterio.errors.NotGeoreferencedWarning)
        values, written = run(tmp_path, **bijie_like, resolution=0.8)
        loaded = {sample.source: written.load(sample) for sample in written.samples}
    assert (values["train"], values["validation"]) == (12, 3)
    assert written.split == "random by image"
    assert (written.bands, written.resolution, written.crs) == (["red", "green", "blue"], 0.8, None)
    assert written.tile_size == 60
    for sample in written.samples:
        image, valid, labels = loaded[sample.source]
        original = np.asarray(Image.open(f"{bijie_like['images']}/{sample.source}"))
        assert (image == original.transpose(2, 0, 1)).all()
        assert valid.all()
        assert sample.instances == labels.max() == (0 if sample.source.startswith("n") else 2)
        if sample.instances:
            assert labels[7, 7] == labels[12, 12] != labels[32, 42]
            assert (labels > 0).sum() == sample.landslide_pixels == 100


def test_limit_takes_landslides_first_and_the_same_by_seed(tmp_path, bijie_like):
    listed = []
    for folder, limit, seed in (("a", 6, 1), ("b", 6, 1), ("c", 6, 2), ("d", 12, 1)):
        (tmp_path / folder).mkdir()
        _, written = run(tmp_path / folder, **bijie_like, limit=limit, seed=seed)
        assert len(written.samples) == limit
        listed.append([sample.source for sample in written.samples])
    assert listed[0] == listed[1] != listed[2]
    assert all(name.startswith("ls") for name in listed[0])
    assert sum(name.startswith("nls") for name in listed[3]) == 2


def test_images_without_mask_are_told(tmp_path, bijie_like):
    events = []
    run(tmp_path, events, **bijie_like)
    assert any(event.get("text", "").startswith("5 of 15 images have no mask") for event in events)


def test_image_n_and_mask_n_in_one_folder(tmp_path):
    for number in range(6):
        write(tmp_path / "both", f"image_{number}.png", np.full((32, 32, 3), number, np.uint8))
        mask = np.zeros((32, 32), np.uint8)
        mask[: number + 1] = 1
        write(tmp_path / "both", f"mask_{number}.png", mask)
    folder = str(tmp_path / "both")
    _, written = run(tmp_path, images=folder, masks=folder)
    assert len(written.samples) == 6
    for sample in written.samples:
        assert sample.landslide_pixels == 32 * (written.load(sample)[0].max() + 1)


def test_float_tiles_with_crs_and_nodata_keep_them(tmp_path, make_raster):
    values = np.arange(4 * 32 * 32, dtype=np.float32).reshape(4, 32, 32)
    values[1, 0, :] = np.nan
    (tmp_path / "i").mkdir()
    (tmp_path / "m").mkdir()
    for name in ("p", "q", "r", "s"):
        make_raster(f"i/{name}.tif", values)
        make_raster(f"m/{name}.tif", np.eye(32, dtype=np.uint8))
    folders = {"images": str(tmp_path / "i"), "masks": str(tmp_path / "m")}
    _, written = run(tmp_path, **folders, bands=["a", "b", "c", "d"])
    image, valid, labels = written.load(written.samples[0])
    assert not valid[0].any()
    assert valid[1:].all()
    assert (labels[0] == UNKNOWN).all()
    assert (labels[1:] == np.eye(32)[1:]).all()
    assert (image[:, 1:] == values[:, 1:]).all()
    with rasterio.open(written.image_path(written.samples[0])) as dataset:
        assert dataset.crs.to_epsg() == 32632
    assert written.mean == pytest.approx(values[:, 1:].mean(axis=(1, 2)), rel=1e-6)


def arrays(folder, name, image, mask):
    """Write an image and a mask as .npy, or as .h5 as Landslide4Sense does."""
    for kind in ("img", "mask"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    if name.endswith(".npy"):
        np.save(folder / "img" / f"image_{name}", image)
        np.save(folder / "mask" / f"mask_{name}", mask)
        return
    for kind, stem, array in (("img", "image", image), ("mask", "mask", mask)):
        with h5py.File(folder / kind / f"{stem}_{name}", "w") as file:
            file[kind] = array


@pytest.mark.parametrize(("suffix", "last"), [("h5", True), ("npy", True), ("npy", False)])
def test_arrays_with_bands_first_or_last(tmp_path, suffix, last):
    random = np.random.default_rng(0)
    bands = [f"b{number}" for number in range(1, 15)]
    images = random.normal(size=(6, 14, 32, 40))
    images[:, 2, 5, 6], images[:, 3, 7, 8] = np.nan, -3.4e38
    mask = (random.random((32, 40)) < 0.1).astype(np.uint8)
    for number, image in enumerate(images):
        stored = image.transpose(1, 2, 0) if last else image
        arrays(tmp_path / "set", f"{number}.{suffix}", stored, mask)
    folders = {"images": str(tmp_path / "set" / "img"), "masks": str(tmp_path / "set" / "mask")}
    _, written = run(tmp_path, **folders, bands=bands)
    assert len(written.samples) == 6
    for sample in written.samples:
        values, valid, labels = written.load(sample)
        number = int(sample.source.removeprefix("image_").split(".")[0])
        assert sample.labels_from == f"mask_{number}.{suffix}"
        np.testing.assert_array_equal(values[:, valid], images[number][:, valid].astype("f4"))
        assert not valid[5, 6]
        assert not valid[7, 8]
        assert ((labels > 0) == (mask > 0))[valid].all()


def test_images_without_mask_can_be_left_out(tmp_path, bijie_like):
    events = []
    _, written = run(tmp_path, events, **bijie_like, missing="left_out")
    assert len(written.samples) == 10
    assert any("5 of 15 images have no mask and are left out" in e.get("text", "") for e in events)


def test_mask_values_can_number_landslides(tmp_path):
    for number in range(5):
        write(tmp_path / "i", f"{number}.png", np.full((32, 32, 3), number, np.uint8))
        mask = np.zeros((32, 32), np.uint8)
        mask[4:8, 4:8], mask[4:8, 8:12], mask[20:24, 20:24] = 7, 9, 7
        write(tmp_path / "m", f"{number}.png", mask)
    folders = {"images": str(tmp_path / "i"), "masks": str(tmp_path / "m")}
    for folder, instances in (("a", True), ("b", False)):
        (tmp_path / folder).mkdir()
        _, written = run(tmp_path / folder, **folders, instances=instances)
        labels = written.load(written.samples[0])[2]
        assert written.samples[0].instances == 2
        assert (labels[5, 5] == labels[22, 22]) == instances
        assert (labels[5, 5] == labels[5, 10]) != instances


def test_a_mask_with_nodata_0_has_background(tmp_path, make_raster):
    for kind in ("i", "m"):
        (tmp_path / kind).mkdir()
    for name in range(5):
        make_raster(f"i/{name}.tif", np.random.default_rng(name).normal(size=(1, 32, 32)))
        make_raster(f"m/{name}.tif", np.eye(32, dtype=np.uint8), nodata=0)
    folders = {"images": str(tmp_path / "i"), "masks": str(tmp_path / "m")}
    _, written = run(tmp_path, **folders, bands=["a"])
    assert written.imbalance == written.imbalance_before == 1 / 32
    assert written.resolution == 10
    assert written.crs == "EPSG:32632"


def test_georeferenced_tiles_can_be_split_by_blocks(tmp_path, make_raster):
    for kind in ("i", "m"):
        (tmp_path / kind).mkdir()
    for column in range(8):
        for row in range(8):
            place = {"transform": from_origin(500000 + 320 * column, 5000000 - 320 * row, 10, 10)}
            values = np.random.default_rng(row).normal(size=(1, 32, 32))
            make_raster(f"i/{column}_{row}.tif", values, **place)
            make_raster(f"m/{column}_{row}.tif", np.eye(32, dtype=np.uint8), **place)
    folders = {"images": str(tmp_path / "i"), "masks": str(tmp_path / "m")}
    _, written = run(tmp_path, **folders, bands=["a"], split="blocks")
    assert written.split == "blocks of 64 x 64 pixels"
    of_block = {}
    for sample in written.samples:
        column, row = map(int, sample.source.removesuffix(".tif").split("_"))
        assert of_block.setdefault(sample.block, (column // 2, row // 2)) == (column // 2, row // 2)
    splits = {(sample.block, sample.split) for sample in written.samples}
    assert len(splits) == len(of_block) == 16
    assert len(folds(written, 4, 0)) == 4


def test_bad_arrays(tmp_path):
    good, mask = np.zeros((32, 32, 3)), np.ones((32, 32), np.uint8)
    cases = (
        ("is not an array file", "npy", lambda path: path.write_bytes(b"no array")),
        ("is not an array file", "h5", lambda path: path.write_bytes(b"no array")),
        ("is not an array file", "npy", lambda path: np.save(path, np.array([{}], object))),
        ("array of float64 of shape", "npy", lambda path: np.save(path, np.zeros(9))),
        ("has 5 bands, but 3", "npy", lambda path: np.save(path, np.zeros((32, 32, 5)))),
    )
    for number, (match, suffix, spoil) in enumerate(cases):
        folder = tmp_path / str(number)
        arrays(folder, f"1.{suffix}", good, mask)
        spoil(folder / "img" / f"image_1.{suffix}")
        with pytest.raises(InputError, match=match):
            run(folder, images=str(folder / "img"), masks=str(folder / "mask"))
        assert sorted(path.name for path in folder.iterdir()) == ["img", "mask"]
    folder = tmp_path / "names"
    arrays(folder, "1.h5", good, mask)
    with h5py.File(folder / "img" / "image_1.h5", "w") as file:
        file["before"], file["after"] = good, good
    with pytest.raises(InputError, match="holds no image: one of its datasets"):
        run(folder, images=str(folder / "img"), masks=str(folder / "mask"))


def test_a_band_of_nodata_alone(tmp_path, make_raster):
    for kind in ("i", "m"):
        (tmp_path / kind).mkdir()
    for name in range(5):
        values = np.stack([np.ones((32, 32)), np.full((32, 32), np.nan)])
        make_raster(f"i/{name}.tif", values)
        make_raster(f"m/{name}.tif", np.eye(32, dtype=np.uint8))
    folders = {"images": str(tmp_path / "i"), "masks": str(tmp_path / "m")}
    with pytest.raises(InputError, match="The band b is nodata in all train patches"):
        run(tmp_path, **folders, bands=["a", "b"])
    assert not (tmp_path / "samples").exists()


def test_bad_input(tmp_path, bijie_like):
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    write(tmp_path / "wrong", "ls_0000.png", np.ones((9, 9), np.uint8))
    write(tmp_path / "black", "ls_0000.png", np.zeros((40, 60), np.uint8))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ls_0000.png").write_bytes(b"no picture")
    before = sorted(tmp_path.iterdir())
    for match, options in (
        ("folder of images gone does not exist", {"images": "gone"}),
        ("folder of masks gone does not exist", {"masks": "gone"}),
        ("holds no image", {"images": empty}),
        ("No mask in .* has the name of an image", {"masks": empty}),
        ("3 bands, but 2 are named", {"bands": ["a", "b"]}),
        ("is 9 x 9 pixels, but its image ls_0000.png is 60 x 40", {"masks": tmp_path / "wrong"}),
        ("has a landslide pixel", {"masks": tmp_path / "black"}),
        ("ls_0000.png is not a raster that can be read", {"masks": tmp_path / "broken"}),
        ("left for validation", {"limit": 2}),
        ("LIMIT is -1: choose 0 or more", {"limit": -1}),
        ("No band names", {"bands": []}),
        ("can't be split by blocks", {"split": "blocks"}),
        ('SPLIT is "kfold": choose one of random, blocks', {"split": "kfold"}),
        ('MISSING is "ask": choose one of background, left_out', {"missing": "ask"}),
    ):
        with pytest.raises(InputError, match=match):
            run(tmp_path, **{**bijie_like, **options})
        assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(OutputError, match="nowhere does not exist"):
        run(tmp_path / "nowhere", **bijie_like)


def test_sixty_bijie_images(tmp_path, data_dir):
    folder = data_dir / "bijie"
    folders = {"images": str(folder / "images"), "masks": str(folder / "masks")}
    values, written = run(tmp_path, **folders, limit=60, resolution=0.8)
    assert (values["train"], values["validation"]) == (48, 12)
    assert all(sample.landslide_pixels for sample in written.samples)
    assert all(0 < mean < 255 for mean in written.mean)


def test_landslide4sense_webp(tmp_path, data_dir):
    folder = data_dir / "landslide4sense_rgb" / "validation"
    folders = {"images": str(folder / "images"), "masks": str(folder / "masks")}
    values, written = run(tmp_path, **folders, limit=40, resolution=10)
    assert values["train"] + values["validation"] == 40
    assert written.tile_size == 128
    assert 0.005 < written.imbalance < 0.2


def test_mars_by_map_block(tmp_path, data_dir):
    """Float bands with an undeclared fill, masks with nodata 0, georeferenced on Mars."""
    folder = data_dir / "mars_mmls"
    _, written = run(
        tmp_path,
        images=str(folder / "images"),
        masks=str(folder / "masks"),
        bands=["thermal", "slope", "elevation", "grey", "red", "green", "blue"],
        split="blocks",
        limit=60,
    )
    assert written.resolution == pytest.approx(232, rel=0.02)
    assert 0.2 < written.imbalance < 0.5
    assert all(abs(mean) < 1e4 for mean in written.mean)
    assert written.split.startswith("blocks of")
    assert len({sample.block for sample in written.samples}) >= 10


@pytest.fixture
def two_folders(tmp_path):
    """Ten images with landslide, six without, of several sizes and some of the same names."""
    random = np.random.default_rng(0)
    for folder, count in (("with", 10), ("without", 6)):
        for number in range(count):
            image = random.integers(0, 255, (40 + number, 60, 3)).astype(np.uint8)
            write(tmp_path / folder, f"{number}.png", image)
    return {"images": str(tmp_path / "with"), "without": str(tmp_path / "without")}


def test_two_folders_are_image_labels(tmp_path, two_folders):
    values, written = run(tmp_path, **two_folders)
    assert written.labels == "image"
    assert (values["train"], values["validation"]) == (13, 3)
    assert written.imbalance == 8 / 13
    assert written.imbalance_before is None
    assert written.sources == [two_folders["images"], two_folders["without"]]
    pixels = []
    for sample in written.samples:
        image, valid, labels = written.load(sample)
        pixels += [image.reshape(3, -1)] if sample.split == "train" else []
        original = np.asarray(Image.open(f"{tmp_path}/{sample.source}"))
        assert (image == original.transpose(2, 0, 1)).all() and valid.all()
        assert sample.holds_landslide == sample.source.startswith("with/")
        assert (labels == (UNKNOWN if sample.holds_landslide else 0)).all()
        assert (sample.landslide_pixels, sample.labels_from) == (0, "")
    # images with landslide count too, though none of their pixels is known
    assert written.mean == pytest.approx(np.concatenate(pixels, 1).mean(1), rel=1e-6)


def test_images_without_landslide_come_beside_masks(tmp_path, bijie_like, two_folders):
    _, written = run(tmp_path, **bijie_like, without=two_folders["without"])
    assert written.labels == "pixel"
    assert sum(sample.holds_landslide for sample in written.samples) == 10
    assert len(written.samples) == 15 + 6


def test_images_without_landslide_alone_join_samples_with(tmp_path, bijie_like, two_folders):
    """Ground of elsewhere, on which a model saw landslides, is background to train on."""
    events: list[dict[str, str]] = []
    values, written = run(tmp_path, events, without=two_folders["without"], validation=0.34)
    assert (values["train"], values["validation"], written.imbalance) == (4, 2, 0)
    assert sorted(sample.source for sample in written.samples) == [f"{i}.png" for i in range(6)]
    assert not any(written.load(sample)[2].any() for sample in written.samples)
    assert not any("Few patches" in event.get("text", "") for event in events)
    (tmp_path / "first").mkdir()
    _, first = run(tmp_path / "first", **bijie_like)
    joined = join([first, written], [], False, Progress())
    assert len(joined.of_split("train")) == len(first.of_split("train")) + 4
    assert 0 < joined.imbalance < first.imbalance


@pytest.mark.parametrize("inner", ["images", "without"])
def test_the_one_folder_may_lie_in_the_other(tmp_path, two_folders, inner):
    outer = "without" if inner == "images" else "images"
    Path(two_folders[inner]).rename(Path(two_folders[outer]) / "inner")
    folders = {**two_folders, inner: f"{two_folders[outer]}/inner"}
    _, written = run(tmp_path, **folders)
    holds = [sample.holds_landslide for sample in written.samples]
    assert (holds.count(True), holds.count(False)) == (10, 6)


def test_a_limit_takes_half_of_either_kind(tmp_path, two_folders):
    for limit, kinds in ((8, (4, 4)), (9, (5, 4)), (14, (8, 6))):
        (tmp_path / str(limit)).mkdir()
        _, written = run(tmp_path / str(limit), **two_folders, limit=limit)
        holds = [sample.holds_landslide for sample in written.samples]
        assert (holds.count(True), holds.count(False)) == kinds


def test_bad_image_labels(tmp_path, two_folders):
    write(tmp_path / "one", "a.png", np.zeros((40, 40, 3), np.uint8))
    write(tmp_path / "grey", "a.png", np.zeros((40, 40), np.uint8))
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.iterdir())
    for match, options in (
        ("Neither masks nor images without landslide", {"without": ""}),
        ("No images are given", {"images": "", "masks": two_folders["images"]}),
        ("No images are given", {"images": "", "without": ""}),
        ("is given both for", {"without": two_folders["images"]}),
        ("empty holds no image", {"without": str(tmp_path / "empty")}),
        ("empty holds no image", {"images": str(tmp_path / "empty")}),
        ("folder of images without landslide gone does not exist", {"without": "gone"}),
        ("No patch without landslides is left for valid", {"without": str(tmp_path / "one")}),
        ("grey/a.png has 1 bands, but 3 are named", {"without": str(tmp_path / "grey")}),
    ):
        with pytest.raises(InputError, match=match):
            run(tmp_path, **{**two_folders, **options})
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("dates", [1, 2])
def test_georeferenced_images_of_one_place_are_told_of(tmp_path, dates):
    """A grid of neighbours that touch, at one date or two."""
    (tmp_path / "i").mkdir()
    (tmp_path / "m").mkdir()
    image, mask = np.ones((3, 16, 16), np.uint8), np.zeros((1, 16, 16), np.uint8)
    mask[0, 4:8, 4:8] = 1
    for number in range(20 * dates):
        place = from_origin(500000 + 160 * (number % 20), 5000000, 10, 10)
        for folder, values in (("i", image + np.uint8(number)), ("m", mask)):
            with rasterio.open(
                tmp_path / folder / f"{number}.tif", "w", driver="GTiff", dtype="uint8",
                count=len(values), width=16, height=16, crs="EPSG:32632", transform=place,
            ) as dataset:  # fmt: skip
                dataset.write(values)
    events = []
    run(tmp_path, events, images=str(tmp_path / "i"), masks=str(tmp_path / "m"))
    told = [event["text"] for event in events if "too good" in event.get("text", "")]
    assert len(told) == dates - 1 and all(" of 8 images for validation" in text for text in told)
