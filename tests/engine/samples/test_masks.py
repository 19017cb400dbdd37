"""What masks of tiles mean: the landslide share of sets written in every way that tools write."""

import io

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.samples.samples_command import samples
from PIL import Image
from rasterio.transform import from_origin

SQUARE = np.zeros((64, 64), bool)
SQUARE[10:30, 20:40] = True
SHARE = SQUARE.mean()
"""9.8 % of the pixels."""
BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 128, 0)


def of_palette(flags, ground, landslide, transparent=None, swap=False):
    """Return a PNG whose index 0 is the ground, or the landslide when swapped."""
    image = Image.fromarray((flags != swap).astype(np.uint8), "P")
    colours = (landslide, ground) if swap else (ground, landslide)
    image.putpalette([part for colour in colours for part in colour])
    options = {} if transparent is None else {"transparency": transparent}
    return image, "png", options


def of_colours(flags, ground, landslide, suffix="png", **options):
    image = np.where(flags[..., None], np.uint8(landslide), np.uint8(ground))
    mode = {2: "LA", 3: "RGB", 4: "RGBA"}[image.shape[2]]
    return Image.fromarray(image, mode), suffix, options


def of_values(flags, ground, landslide, dtype=np.uint8, suffix="png", **options):
    return Image.fromarray(np.where(flags, landslide, ground).astype(dtype)), suffix, options


def blurred(flags, suffix="png"):
    small = Image.fromarray(flags.astype(np.uint8) * 255).resize(
        (160, 160), Image.Resampling.BICUBIC
    )
    return small.resize((64, 64), Image.Resampling.BILINEAR), suffix, {}


KINDS = {
    "0 and 1": lambda m: of_values(m, 0, 1),
    "0 and 255": lambda m: of_values(m, 0, 255),
    "one bit": lambda m: (Image.fromarray(m), "png", {}),
    "one bit, white is zero": lambda m: (Image.fromarray(m), "tif", {"tiffinfo": {262: 0}}),
    "16 bits": lambda m: of_values(m, 0, 65535, np.uint16),
    "16 bits of 0 and 1": lambda m: of_values(m, 0, 1, np.uint16),
    "palette": lambda m: of_palette(m, BLACK, WHITE),
    "palette whose index 0 is white": lambda m: of_palette(m, BLACK, WHITE, swap=True),
    "palette of nearly black": lambda m: of_palette(m, BLACK, (1, 1, 1)),
    "palette, red on black": lambda m: of_palette(m, BLACK, (128, 0, 0)),
    "palette, red on white": lambda m: of_palette(m, WHITE, RED),
    "palette, transparent ground": lambda m: of_palette(m, BLACK, WHITE, transparent=0),
    "palette, black on transparent": lambda m: of_palette(m, WHITE, BLACK, transparent=0),
    "grey and opaque": lambda m: of_colours(m, (0, 255), (255, 255)),
    "grey on transparent": lambda m: of_colours(m, (0, 0), (255, 255)),
    "black on transparent": lambda m: of_colours(m, (0, 0), (0, 255)),
    "opaque": lambda m: of_colours(m, (*BLACK, 255), (*WHITE, 255)),
    "white on transparent": lambda m: of_colours(m, (*BLACK, 0), (*WHITE, 255)),
    "white on transparent white": lambda m: of_colours(m, (*WHITE, 0), (*WHITE, 255)),
    "red on transparent": lambda m: of_colours(m, (*BLACK, 0), (*RED, 255)),
    "half transparent red": lambda m: of_colours(m, (*WHITE, 255), (255, 0, 0, 200)),
    "three bands": lambda m: of_colours(m, BLACK, WHITE),
    "red on black": lambda m: of_colours(m, BLACK, RED),
    "red on white": lambda m: of_colours(m, WHITE, RED),
    "green on black": lambda m: of_colours(m, BLACK, GREEN),
    "red on grey": lambda m: of_colours(m, (90, 90, 90), RED),
    "JPEG": lambda m: of_values(m, 0, 255, suffix="jpg", quality=60),
    "JPEG of the best quality": lambda m: of_values(m, 0, 255, suffix="jpg", quality=100),
    "JPEG in colour": lambda m: of_colours(m, WHITE, RED, "jpg", quality=75),
    "JPEG of three bands": lambda m: of_colours(m, BLACK, WHITE, "jpg", quality=75),
    "WebP": lambda m: of_colours(m, BLACK, WHITE, "webp", quality=60),
    "JPEG saved as PNG": lambda m: (again(of_values(m, 0, 255)[0]), "png", {}),
    "resampled": lambda m: blurred(m),
    "floats": lambda m: of_values(m, 0, 1, np.float32, "tif"),
    "soft floats": lambda m: of_values(m, 0.02, 0.93, np.float32, "tif"),
    "floats up to 255": lambda m: of_values(m, 0.4, 254.5, np.float32, "tif"),
}
"""How a mask may be written."""


def again(image):
    """Return an image as JPEG leaves it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return Image.open(buffer).copy()


def write_set(folder, write, count=6, empty=2):
    """Write tiles with the square, and some without any landslide."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    noise = np.random.default_rng(0)
    for number in range(count + empty):
        pixels = noise.integers(1, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        mask, suffix, options = write(SQUARE if number < count else np.zeros_like(SQUARE))
        mask.save(folder / "masks" / f"{number}.{suffix}", **options)


def run(folder, **options):
    """Import a set; return its labels, and what was told, but for that the sets are small."""
    events = []
    importsamples(
        images=str(folder / "images"), masks=str(folder / "masks"),
        output=str(folder / "samples"), progress=Progress(events.append), **options,
    )  # fmt: skip
    written = SampleSet.read(str(folder / "samples"))
    labels = [written.load(sample)[2] for sample in written.samples]
    warnings = [event["text"] for event in events if event["type"] == "warning"]
    warnings = [text for text in warnings if not text.startswith("Few patches to judge by")]
    messages = [event["text"] for event in events if event["type"] == "message"]
    return np.array(labels), " ".join(warnings), " ".join(messages)


@pytest.mark.parametrize("kind", KINDS)
def test_the_square_is_the_landslide(tmp_path, kind):
    write_set(tmp_path, KINDS[kind])
    labels, warnings, _ = run(tmp_path)
    fractions = np.sort(((labels > 0) & (labels != UNKNOWN)).mean(axis=(1, 2)))
    assert (fractions[:2] == 0).all(), "tiles without landslide"
    tolerance = 0.006 if any(word in kind for word in ("JPEG", "WebP", "resampled")) else 1e-9
    assert fractions[2:] == pytest.approx(SHARE, abs=tolerance)
    assert (labels != UNKNOWN).all() and not warnings


def test_masks_the_wrong_way_round_are_told(tmp_path):
    write_set(tmp_path, lambda m: of_values(~m, 0, 255), empty=0)
    _, warnings, _ = run(tmp_path)
    assert "90% of the labelled pixels are landslide" in warnings and "invert" in warnings


def test_a_raster_of_landslides_the_wrong_way_round_is_told(tmp_path, make_raster):
    stack = make_raster("stack.tif", np.random.default_rng(0).normal(size=(96, 96)))
    ground = np.ones((96, 96), np.uint8)
    ground[10:30, 20:40] = 0
    events = []
    samples(
        stack=stack, landslides=make_raster("mask.tif", ground), output=str(tmp_path / "s"),
        tile_size=16, stride=16, split="random", background=0, progress=Progress(events.append),
    )  # fmt: skip
    assert any("unusually much" in event.get("text", "") for event in events)


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 1, 2, 3, 4), (0, 128, 255)])
def test_several_classes_are_all_landslide_and_told(tmp_path, values):
    def write(flags):
        mask = np.zeros((64, 64), np.uint8)
        for place, value in enumerate(values[1:]):
            mask[10 * place : 10 * place + 5][flags[10:15]] = value
        return Image.fromarray(mask), "png", {}

    write_set(tmp_path, write)
    labels, warnings, _ = run(tmp_path)
    assert (labels > 0).mean() == pytest.approx((len(values) - 1) * 100 / 4096 * 6 / 8)
    assert f"the values {', '.join(map(str, values[1:]))} beside 0" in warnings


def test_every_class_of_a_palette_is_landslide(tmp_path):
    """Pascal VOC's colours, which labelling tools write; its grey is of the borders."""
    voc = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (64, 0, 0), (0, 64, 0)]

    def write(flags):
        mask = np.zeros((64, 64), np.uint8)
        for number in range(1, 6):
            mask[10 * number : 10 * number + 5][flags[10:15]] = number
        image = Image.fromarray(mask, "P")
        image.putpalette([part for colour in voc for part in colour])
        return image, "png", {}

    write_set(tmp_path, write)
    labels, _, messages = run(tmp_path)
    assert (labels > 0).sum() == 6 * 5 * 100 and "what has a hue is landslide" in messages


def test_255_beside_classes_is_not_known(tmp_path):
    def write(flags):
        mask = flags.astype(np.uint8)
        mask[:5] = 255
        return Image.fromarray(mask), "png", {}

    write_set(tmp_path, write)
    labels, warnings, _ = run(tmp_path)
    assert (labels[:, :5] == UNKNOWN).all() and (labels[:, 5:] != UNKNOWN).all()
    assert (labels == 1).sum() == 6 * SQUARE.sum() and "255 is taken as not known" in warnings


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_whole_numbers_below_0_are_not_known(tmp_path, dtype):
    def write(flags):
        mask = flags.astype(dtype)
        mask[:5] = -1
        return Image.fromarray(mask), "tif", {}

    write_set(tmp_path, write)
    labels, warnings, _ = run(tmp_path)
    assert (labels[:, :5] == UNKNOWN).all() and (labels[:, 5:] != UNKNOWN).all()
    assert (labels == 1).sum() == 6 * SQUARE.sum() and "hold -1, and numbers below 0" in warnings


def test_what_resampling_leaves_below_0_is_ground(tmp_path):
    def write(flags):
        mask = flags.astype(np.float32)
        mask[:5] = np.linspace(-0.09, -0.01, 64)
        return Image.fromarray(mask), "tif", {}

    write_set(tmp_path, write)
    labels, warnings, _ = run(tmp_path)
    assert (labels != UNKNOWN).all() and "below 0" not in warnings


def test_transparent_beside_black_and_white_is_not_known(tmp_path):
    def write(flags):
        image = np.zeros((64, 64, 4), np.uint8)
        image[flags] = 255
        image[..., 3] = 255
        image[:5] = 0
        return Image.fromarray(image, "RGBA"), "png", {}

    write_set(tmp_path, write)
    labels, warnings, _ = run(tmp_path)
    assert (labels[:, :5] == UNKNOWN).all() and (labels == 1).sum() == 6 * SQUARE.sum()
    assert "transparent is not known" in warnings


@pytest.mark.parametrize("nodata", [0, 9, 255, None])
def test_declared_nodata_is_not_known_but_0_is_ground(tmp_path, nodata):
    write_set(tmp_path, lambda m: of_values(m, 0, 1))
    mask = SQUARE.astype(np.uint8)
    if nodata:
        mask[:5] = nodata
    for number in range(6):
        (tmp_path / "masks" / f"{number}.png").unlink()
        with rasterio.open(
            tmp_path / "masks" / f"{number}.tif", "w", driver="GTiff", count=1, height=64,
            width=64, dtype="uint8", nodata=nodata, transform=from_origin(0, 640, 10, 10),
        ) as dataset:  # fmt: skip
            dataset.write(mask, 1)
    labels, warnings, _ = run(tmp_path)
    unknown = (labels == UNKNOWN).sum()
    assert unknown == (6 * 5 * 64 if nodata else 0) and not warnings
    assert (labels == 1).sum() == 6 * SQUARE.sum()


@pytest.mark.parametrize("kind", ["values", "16 bits", "palette", "colours"])
def test_each_value_or_colour_may_be_a_landslide_of_its_own(tmp_path, kind):
    def write(flags):
        ids = np.zeros((64, 64), np.uint16)
        for number in range(40 if flags.any() else 0):
            row, column = 12 * (number // 10), 6 * (number % 10)
            ids[row : row + 8, column : column + 6] = number + 1  # neighbours touch
        if kind == "16 bits":
            return Image.fromarray(ids * 100), "png", {}
        image = Image.fromarray(ids.astype(np.uint8))
        if kind == "values":
            return image, "png", {}
        palette = np.random.default_rng(1).integers(60, 255, (256, 3), np.uint8)
        palette[:, 0], palette[0] = np.arange(256) // 8, 0
        image.putpalette(palette.ravel().tolist())
        return (image if kind == "palette" else image.convert("RGB")), "png", {}

    write_set(tmp_path, write)
    labels, warnings, _ = run(tmp_path, instances=True)
    assert sorted(len(np.unique(tile)) - 1 for tile in labels) == [0, 0, *[40] * 6]
    assert not warnings


def test_numbers_of_landslides_are_not_taken_for_blurred_edges(tmp_path):
    def write(flags):
        ids = np.zeros((64, 64), np.uint8)
        for number in range(40 if flags.any() else 0):
            row, column = 12 * (number // 10), 6 * (number % 10)
            ids[row : row + 8, column : column + 4] = number + 1
        return Image.fromarray(ids), "png", {}

    write_set(tmp_path, write)
    labels, warnings, _ = run(tmp_path)
    assert (labels > 0).sum() == 6 * 40 * 32 and "1, 2, 3, 4, 5, 6, 7, 8 and 32 more" in warnings


@pytest.mark.parametrize("suffix", ["npy", "h5"])
@pytest.mark.parametrize("kind", ["bool", "colours", "colours first", "soft"])
def test_arrays_are_understood_likewise(tmp_path, suffix, kind):
    write_set(tmp_path, lambda m: of_values(m, 0, 1))
    array = {
        "bool": SQUARE,
        "colours": np.where(SQUARE[..., None], RED, WHITE).astype(np.uint8),
        "colours first": np.where(SQUARE, 0.9, 0.0)[np.newaxis].repeat(3, 0).astype(np.float32),
        "soft": np.where(SQUARE, 0.9, 0.1),
    }[kind]
    if kind == "colours":  # the others' white is then no landslide
        for number in (6, 7):
            (tmp_path / "masks" / f"{number}.png").unlink()
    for number in range(6):
        (tmp_path / "masks" / f"{number}.png").unlink()
        if suffix == "npy":
            np.save(tmp_path / "masks" / f"{number}.npy", array)
        else:
            h5py = pytest.importorskip("h5py")
            with h5py.File(tmp_path / "masks" / f"{number}.h5", "w") as file:
                file["mask"] = array
    labels, _, _ = run(tmp_path)
    assert (labels > 0).sum() == 6 * SQUARE.sum()


def test_a_mask_of_two_bands_is_refused(tmp_path):
    """One band a class: nobody knows which one is meant."""
    write_set(tmp_path, lambda m: of_values(m, 0, 1))
    (tmp_path / "masks" / "3.png").unlink()
    np.save(tmp_path / "masks" / "3.npy", np.stack([~SQUARE, SQUARE]).astype(np.uint8))
    with pytest.raises(InputError, match=r"3\.npy has 2 bands: a mask has one, or the three"):
        run(tmp_path)
