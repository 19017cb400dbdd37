"""Splits that a data set brings along are taken as they are."""

import csv

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.blocks import DROPPED
from landslide_mapper.landslide_plugin.samples.given_splits import (
    split_by_folders,
    split_by_list,
)
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


def test_a_name_that_two_images_have_is_refused(tmp_path):
    table = write_list(tmp_path / "t.csv", [("file", "split"), ("x", "train")])
    with pytest.raises(InputError, match=r"names x, and both a/x.png and b/x.png are called so"):
        split_by_list(table, ["a/x.png", "b/x.png"], Progress())


def test_landslide4sense_by_its_list_and_by_its_folders_is_the_same(data_dir):
    """1222 train, 48 validation, 466 test; the 53 of the gap between them go nowhere."""
    folder = data_dir / "landslide4sense_rgb"
    images = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("images/*"))
    events = []
    by_list = split_by_list(str(folder / "layout.csv"), images, Progress(events.append))
    by_folders = split_by_folders(images, Progress(events.append))
    assert (by_list == by_folders).all()
    counts = [int((by_list == index).sum()) for index in (*range(len(SPLITS)), DROPPED)]
    assert counts == [1222, 48, 466, 53]
    told = [event["text"] for event in events]
    assert told[0] == told[1] and told[0].endswith("validation or test: 53 in gap.")
