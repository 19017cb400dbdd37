"""Tiles that are pieces of a scene get what is around them."""

import csv

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from PIL import Image

SIDE, MARGIN = 16, 6
ROWS, COLUMNS = 3, 4
HOLE, VALIDATION = (1, 2), (0, 3)
GAIN = 2.0


@pytest.fixture
def scene(tmp_path):
    """A scene and its landslides; one that crosses seams, one within a piece."""
    values = np.random.default_rng(0).integers(1, 120, (ROWS * SIDE, COLUMNS * SIDE, 3))
    landslide = np.zeros(values.shape[:2], bool)
    landslide[10:20, 10:20] = True
    landslide[40:43, 50:53] = True
    landslide[2:6, 54:58] = True
    return values.astype(np.uint8), landslide


@pytest.fixture
def listed(tmp_path, scene):
    """The scene cut to pieces, some of them half as bright, and the list that tells."""
    lines = [["file", "split", "row", "column", "gain"]]
    for row, column in np.ndindex(ROWS, COLUMNS):
        if (row, column) == HOLE:
            continue
        window = np.s_[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        gain = GAIN if column == 1 else 1.0
        for kind, pixels in (("images", scene[0] // int(gain)), ("masks", scene[1] * 255)):
            path = tmp_path / kind / f"{kind[:-1]}_{row}_{column}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels[window].astype(np.uint8)).save(path)
        part = "validation" if (row, column) == VALIDATION else "train"
        lines.append([f"image_{row}_{column}", part, *map(str, (row, column, gain))])
    return write(tmp_path / "list.csv", lines)


def write(path, lines):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return path


def run(listed, **options):
    folder = listed.parent
    importsamples(
        images=str(folder / "images"), masks=str(folder / "masks"),
        output=str(folder / "samples"), progress=Progress(),
        **{"split": "list", "split_list": str(listed), "margin": MARGIN, **options},
    )  # fmt: skip
    written = SampleSet.read(folder / "samples")
    return written, {
        tuple(map(int, one.source[:-4].split("_")[1:])): one for one in written.samples
    }


def test_a_tile_for_training_goes_on_into_its_neighbours(listed, scene):
    written, samples = run(listed)
    values, landslide = scene
    known = np.zeros(landslide.shape, bool)
    for row, column in samples:
        known[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = True
    row, column = VALIDATION
    known[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = False
    sides = (MARGIN, MARGIN)
    around = np.pad(values.transpose(2, 0, 1), ((0, 0), sides, sides))
    dark = np.pad(np.indices(known.shape)[1] // SIDE == 1, sides)
    around = np.where(dark, around // int(GAIN) * GAIN, around)
    known, landslide = np.pad(known, sides), np.pad(landslide, sides)
    for (row, column), sample in samples.items():
        if (row, column) == VALIDATION:
            continue
        window = np.s_[row * SIDE :, column * SIDE :]
        part = np.s_[: SIDE + 2 * MARGIN, : SIDE + 2 * MARGIN]
        read, valid, labels = written.load(sample)
        assert (valid == known[window][part]).all()
        assert (read == np.where(valid, around[:, *window][:, *part], 0)).all()
        assert ((labels == UNKNOWN) == ~valid).all()
        assert ((labels > 0) & (labels != UNKNOWN) == landslide[window][part] & valid).all()
    assert len(samples) == ROWS * COLUMNS - 1


def test_a_landslide_across_a_seam_is_one(listed):
    written, samples = run(listed)
    labels = written.load(samples[0, 0])[2]
    assert set(np.unique(labels)) == {0, 1, UNKNOWN}
    assert samples[0, 0].instances == 1


def test_tiles_to_judge_by_stay_as_they_are(listed, scene):
    written, samples = run(listed)
    read, valid, _ = written.load(samples[VALIDATION])
    row, column = VALIDATION
    window = np.s_[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
    assert valid.all() and (read == scene[0][window].transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"margin": SIDE + 1}, "at least as large"),
        ({"instances": True}, "leave it at 0"),
        ({"split": "random", "split_list": ""}, "leave it at 0"),
    ],
)
def test_a_margin_that_can_not_be_is_refused(listed, options, why):
    with pytest.raises(InputError, match=why):
        run(listed, **options)
    assert not (listed.parent / "samples").exists()


def change(listed, number, text):
    with listed.open(encoding="utf-8") as file:
        lines = list(csv.reader(file))
    lines[2][number] = text
    return write(listed, lines)


def test_two_tiles_in_one_cell_are_refused(listed):
    with pytest.raises(InputError, match="two images in row 0, column 0"):
        run(change(listed, 3, "0"))


def test_a_row_that_is_no_number_is_refused(listed):
    with pytest.raises(InputError, match="lies in row below, column 1: they must be whole"):
        run(change(listed, 2, "below"))


def test_a_list_that_does_not_say_where_tiles_lie_is_refused(listed):
    with listed.open(encoding="utf-8") as file:
        lines = [line[:2] for line in csv.reader(file)]
    with pytest.raises(InputError, match="no columns row and column"):
        run(write(listed, lines))
