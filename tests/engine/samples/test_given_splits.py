"""Splits that a data set brings along are taken as they are."""

import csv

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.blocks import DROPPED
from landslide_mapper.landslide_plugin.samples.given_splits import (
    Parts,
    split_by_folders,
    split_by_list,
)
from landslide_mapper.landslide_plugin.samples.image_list import ImageList
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import SPLITS, SampleSet
from PIL import Image

PARTS = ("train",) * 5 + ("validation",) * 2 + ("test",) * 2 + ("gap",) * 3


@pytest.fixture
def tiles(tmp_path):
    """Twelve images with masks in folders of the parts that they belong to."""
    for number, part in enumerate(PARTS):
        for kind in ("images", "masks"):
            path = tmp_path / "set" / part / kind / f"{kind[:-1]}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.zeros((32, 32, 3) if kind == "images" else (32, 32), np.uint8)
            pixels[4:9, 4:9] = 255
            Image.fromarray(pixels).save(path)
    return tmp_path / "set"


def run(folder, tmp_path, **options):
    events = []
    tmp_path.mkdir(exist_ok=True)
    values = importsamples(
        images=str(folder), masks=str(folder), output=str(tmp_path / "samples"),
        progress=Progress(events.append), **options,
    )  # fmt: skip
    return values, SampleSet.read(values["output"]), [event.get("text", "") for event in events]


def write_list(path, rows, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return str(path)


def part_of(sample):
    return PARTS[int(sample.source.split("_")[-1].removesuffix(".png"))]


def test_folders_of_these_names_are_taken_and_others_go_nowhere(tiles, tmp_path):
    _, written, said = run(tiles, tmp_path, split="folders")
    assert all(sample.split == part_of(sample) for sample in written.samples)
    assert len(written.samples) == 9 and written.split == "folders"
    assert sum("3 images go nowhere" in text and "3 in gap" in text for text in said) == 1


@pytest.mark.parametrize("names", ["stem", "file", "path"])
def test_a_list_names_images_by_stem_file_or_path(tiles, tmp_path, names):
    def name(number, part):
        stem = f"image_{number}"
        return {"stem": stem, "file": f"{stem}.png", "path": f"{part}/images/{stem}.png"}[names]

    rows = [(name(number, part), part.upper()) for number, part in enumerate(PARTS)]
    table = write_list(tmp_path / "t.csv", [("Name", "Split"), *rows[:-1]], ";")
    _, written, said = run(tiles, tmp_path, split="list", split_list=table)
    assert all(sample.split == part_of(sample) for sample in written.samples)
    assert len(written.samples) == 9 and written.split == "list t.csv"
    assert any("2 in gap, 1 are not in the list" in text for text in said)


def test_validation_is_drawn_where_the_data_set_has_none(tiles, tmp_path):
    rows = [(f"image_{number}", "train" if number < 10 else "test") for number in range(12)]
    table = write_list(tmp_path / "t.csv", [("file", "part"), *rows])
    values, written, said = run(tiles, tmp_path, split="list", split_list=table, validation=0.3)
    assert (values["train"], values["validation"], values["test"]) == (7, 3, 2)
    assert any("no part for validation: 3 images are drawn" in text for text in said)
    assert {int(s.source.split("_")[-1][:-4]) for s in written.of_split("test")} == {10, 11}


def test_unfit_lists_are_refused_in_a_sentence(tiles, tmp_path):
    whole = [(f"image_{number}", part) for number, part in enumerate(PARTS)]
    for rows, sentence in (
        ([("picture", "split"), *whole], "no column called file or name or image"),
        ([("file", "where"), *whole], "no column called split or part or set"),
        ([("file", "split"), ("x", "train")], "names no image of the folder, such as"),
        ([("file", "split"), *whole, ("image_0.png", "test")], "names image_0 in train and in"),
        ([("file", "split"), *whole[5:]], "no image with landslides for train"),
        ([], "no column called"),
    ):
        table = write_list(tmp_path / "t.csv", rows)
        with pytest.raises(InputError, match=sentence) as caught:
            run(tiles, tmp_path, split="list", split_list=table)
        assert "\n" not in str(caught.value) and not (tmp_path / "samples").exists()
    with pytest.raises(InputError, match="can't be read"):
        run(tiles, tmp_path, split="list", split_list=str(tmp_path / "nowhere.csv"))
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(InputError, match="can't be read"):
        run(tiles, tmp_path, split="list", split_list=str(tmp_path / "t.csv"))
    for options in ({"split": "list"}, {"split_list": str(tmp_path / "t.csv")}):
        with pytest.raises(InputError, match="give both, or neither"):
            run(tiles, tmp_path, **options)
    with pytest.raises(InputError, match="no folders train, validation and test"):
        run(tiles / "train", tmp_path, split="folders")


FOLDS = [("file", "fold"), *((f"image_{number}", number % 4) for number in range(11))]


def test_folds_of_a_list_take_turns_and_others_stands_for_the_rest(tiles, tmp_path):
    """Image 11 is in no fold and goes nowhere; asked for by name, all three are what is named."""
    table = write_list(tmp_path / "t.csv", FOLDS)
    for test, validation, train in (("0", "1", ["others"]), ("3", "0", ["1", "2"])):
        _, written, said = run(
            tiles, tmp_path / test, split="list", split_list=table, test_parts=[test, " "],
            validation_parts=[validation], train_parts=train,
        )  # fmt: skip
        fold = {int(s.source.split("_")[-1][:-4]) % 4: s.split for s in written.samples}
        rest = {number for number in range(4) if str(number) not in (test, validation)}
        expected = {int(test): "test", int(validation): "validation"}
        assert fold == expected | dict.fromkeys(rest, "train") and len(written.samples) == 11
        assert any("1 images go nowhere" in text for text in said)


def test_a_part_that_goes_nowhere_as_a_rule_can_be_asked_for_by_folder_and_list(tiles, tmp_path):
    whole = [(f"image_{number}", part) for number, part in enumerate(PARTS)]
    table = write_list(tmp_path / "t.csv", [("file", "part"), *whole])
    for number, way in enumerate(({"split": "list", "split_list": table}, {"split": "folders"})):
        values, _, said = run(tiles, tmp_path / str(number), test_parts=["Gap"], **way)
        assert (values["train"], values["validation"], values["test"]) == (5, 2, 3)
        assert any("2 in test" in text for text in said)


def test_unfit_parts_are_refused_in_a_sentence(tiles, tmp_path):
    table = write_list(tmp_path / "t.csv", FOLDS)
    for options, sentence in (
        ({"test_parts": ["5"]}, r"t.csv has no part 5; it has 0, 1, 2, 3\.$"),
        ({"test_parts": ["1"], "validation_parts": ["1"]}, "1 is named for validation and for"),
        ({"test_parts": ["train"]}, "train is named for train and for test"),
        ({"test_parts": ["0"], "validation_parts": ["1"]}, "for train: mend the list or the"),
    ):
        with pytest.raises(InputError, match=sentence):
            run(tiles, tmp_path, split="list", split_list=table, **options)
    with pytest.raises(InputError, match=r"The folder of images has no part 5; it has gap, test"):
        run(tiles, tmp_path, split="folders", test_parts=["5"])
    with pytest.raises(InputError, match="Parts are those of a list or of folders"):
        run(tiles, tmp_path, split="random", test_parts=["0"])
    assert not (tmp_path / "samples").exists()


def test_a_name_that_two_images_have_is_refused(tmp_path):
    table = write_list(tmp_path / "t.csv", [("file", "split"), ("x", "train")])
    with pytest.raises(InputError, match=r"names x, and both a/x.png and b/x.png are called so"):
        ImageList.read(table).of(["a/x.png", "b/x.png"])


def test_a_list_may_undo_a_stretch_that_each_image_was_given(tiles, tmp_path):
    gains = {f"image_{number}": 1 + number / 4 for number in range(len(PARTS))}
    rows = [(name, part, gain) for (name, gain), part in zip(gains.items(), PARTS, strict=True)]
    table = write_list(tmp_path / "list.csv", [("name", "split", "gain"), *rows])
    _, written, _ = run(tiles, tmp_path, split="list", split_list=table)
    for sample in written.samples:
        values, valid, _ = written.load(sample)
        gain = gains[sample.source.split("/")[-1].removesuffix(".png")]
        assert valid.all() and set(np.unique(values)) == {0, 255 * gain}
    brightest = [255 * gain * 25 / 32**2 for gain in list(gains.values())[:5]]
    assert written.mean == pytest.approx([np.mean(brightest)] * 3)


def test_gains_may_be_left_alone(tiles, tmp_path):
    rows = [(f"image_{number}", part, 2) for number, part in enumerate(PARTS)]
    table = write_list(tmp_path / "list.csv", [("name", "split", "gain"), *rows])
    _, written, _ = run(tiles, tmp_path, split="list", split_list=table, gains=False)
    values, _, _ = written.load(written.samples[0])
    assert set(np.unique(values)) == {0, 255}


def test_an_image_that_a_list_gives_no_gain_keeps_its_values(tmp_path):
    rows = [("file", "split", "factor"), ("x.png", "train", "0.5"), ("y.png", "test", "")]
    table = write_list(tmp_path / "list.csv", rows)
    said = ImageList.read(table).of(["a/x.png", "y.png", "z.png"])
    assert [entry and entry.gain for entry in said] == [0.5, 1, None]
    table = write_list(tmp_path / "plain.csv", [row[:2] for row in rows])
    assert [entry and entry.gain for entry in ImageList.read(table).of(["x.png"])] == [1]


@pytest.mark.parametrize("gain", ["0", "-1", "bright", "nan", "inf"])
def test_a_gain_that_is_none_is_refused(tiles, tmp_path, gain):
    rows = [(f"image_{n}", part, gain if n == 3 else 1) for n, part in enumerate(PARTS)]
    table = write_list(tmp_path / "list.csv", [("name", "split", "gain"), *rows])
    with pytest.raises(InputError, match=f"image_3 the gain {gain}: it must be a number above 0"):
        run(tiles, tmp_path, split="list", split_list=table)
    assert not (tmp_path / "samples").exists()


def test_an_image_with_two_gains_is_refused(tmp_path):
    rows = [("file", "split", "gain"), ("x", "train", "1"), ("x", "train", "2")]
    table = write_list(tmp_path / "list.csv", rows)
    with pytest.raises(InputError, match="names x twice, with two gains"):
        ImageList.read(table)


def test_landslide4sense_by_its_list_and_by_its_folders_is_the_same(data_dir):
    """1222 train, 48 validation, 466 test; the 53 of the gap between them go nowhere."""
    folder = data_dir / "landslide4sense_rgb"
    images = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("images/*"))
    events = []
    by_list = split_by_list(
        ImageList.read(str(folder / "layout.csv")), images, Parts(), Progress(events.append)
    )
    by_folders = split_by_folders(images, Parts(), Progress(events.append))
    assert (by_list == by_folders).all()
    counts = [int((by_list == index).sum()) for index in (*range(len(SPLITS)), DROPPED)]
    assert counts == [1222, 48, 466, 53]
    told = [event["text"] for event in events]
    assert told[0] == told[1] and told[0].endswith("validation or test: 53 in gap.")
