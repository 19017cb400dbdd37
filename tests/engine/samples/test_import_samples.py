"""The command `importsamples`: public data sets of plain tiles."""

import warnings

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.progress import Progress
from landslide_mapper.landslide_plugin.samples.commands import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from PIL import Image


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
    values = importsamples(output=output, progress=Progress(sink), **options)
    return values, SampleSet.read(output)


def test_images_and_labels_come_over_exactly(tmp_path, bijie_like):
    with warnings.catch_warnings():
        warnings.simplefilter("error", rasterio.errors.NotGeoreferencedWarning)
        values, made = run(tmp_path, **bijie_like, resolution=0.8)
        loaded = {sample.source: made.load(sample) for sample in made.samples}
    assert (values["train"], values["validation"]) == (12, 3)
    assert made.split == "random by image"
    assert (made.bands, made.resolution, made.crs) == (["red", "green", "blue"], 0.8, None)
    assert made.tile_size == 60
    for sample in made.samples:
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
        _, made = run(tmp_path / folder, **bijie_like, limit=limit, seed=seed)
        assert len(made.samples) == limit
        listed.append([sample.source for sample in made.samples])
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
    _, made = run(tmp_path, images=folder, masks=folder)
    assert len(made.samples) == 6
    for sample in made.samples:
        assert sample.landslide_pixels == 32 * (made.load(sample)[0].max() + 1)


def test_float_tiles_with_crs_and_nodata_keep_them(tmp_path, make_raster):
    values = np.arange(4 * 32 * 32, dtype=np.float32).reshape(4, 32, 32)
    values[1, 0, :] = np.nan
    (tmp_path / "i").mkdir()
    (tmp_path / "m").mkdir()
    for name in ("p", "q", "r", "s"):
        make_raster(f"i/{name}.tif", values)
        make_raster(f"m/{name}.tif", np.eye(32, dtype=np.uint8))
    folders = {"images": str(tmp_path / "i"), "masks": str(tmp_path / "m")}
    _, made = run(tmp_path, **folders, bands=["a", "b", "c", "d"])
    image, valid, labels = made.load(made.samples[0])
    assert not valid[0].any()
    assert valid[1:].all()
    assert (labels[0] == UNKNOWN).all()
    assert (labels[1:] == np.eye(32)[1:]).all()
    assert (image[:, 1:] == values[:, 1:]).all()
    with rasterio.open(made.image_path(made.samples[0])) as dataset:
        assert dataset.crs.to_epsg() == 32632
    assert made.mean == pytest.approx(values[:, 1:].mean(axis=(1, 2)), rel=1e-6)


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
        ("can't be negative", {"limit": -1}),
        ("No band names", {"bands": []}),
    ):
        with pytest.raises(InputError, match=match):
            run(tmp_path, **{**bijie_like, **options})
        assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(OutputError, match="nowhere does not exist"):
        run(tmp_path / "nowhere", **bijie_like)


def test_sixty_bijie_images(tmp_path, data_dir):
    folder = data_dir / "bijie"
    folders = {"images": str(folder / "images"), "masks": str(folder / "masks")}
    values, made = run(tmp_path, **folders, limit=60, resolution=0.8)
    assert (values["train"], values["validation"]) == (48, 12)
    assert all(sample.landslide_pixels for sample in made.samples)
    assert all(0 < mean < 255 for mean in made.mean)


def test_landslide4sense_webp(tmp_path, data_dir):
    folder = data_dir / "landslide4sense_rgb" / "validation"
    folders = {"images": str(folder / "images"), "masks": str(folder / "masks")}
    values, made = run(tmp_path, **folders, limit=40, resolution=10)
    assert values["train"] + values["validation"] == 40
    assert made.tile_size == 128
    assert 0.005 < made.imbalance < 0.2
