"""The lists in `models/recipes`, by which data sets are split: nothing leaks, nothing changes."""

import csv
from collections import Counter

import pytest
from landslide_mapper.models.known_models import WEIGHTS

from experiments.shipped.lists import (
    FOLDS,
    folds_of,
    landslide4sense_rows,
    read_pairs,
    write,
)

LISTS = WEIGHTS.parent / "recipes"


def read(name):
    with (LISTS / name).open(encoding="utf-8", newline="") as file:
        return dict(list(csv.reader(file))[1:])


def test_they_are_small_enough_to_ship():
    assert sum(path.stat().st_size for path in LISTS.glob("*.csv")) < 100_000


def test_each_fold_of_bijie_has_as_many_images_with_landslide_and_without():
    counts = Counter((name.split("_")[0], fold) for name, fold in read("bijie.csv").items())
    assert {fold for _, fold in counts} == {str(number) for number in range(FOLDS)}
    for kind, total in (("ls", 650), ("nls", 1883)):
        sizes = [counts[kind, str(number)] for number in range(FOLDS)]
        assert sum(sizes) == total and max(sizes) - min(sizes) <= 1


def test_images_that_show_one_place_are_in_one_fold():
    folds = read("bijie.csv")
    assert len(read_pairs()) > 100
    assert all(folds[first] == folds[second] for first, second in read_pairs())


def test_places_stay_whole_though_pairs_chain_and_kinds_mix():
    names = [f"ls_{number}" for number in range(20)] + [f"nls_{number}" for number in range(50)]
    chain = [("ls_1", "ls_2"), ("ls_4", "ls_5"), ("ls_2", "ls_4"), ("ls_9", "nls_3")]
    folds = folds_of(names, chain)
    assert len({folds[name] for name in ("ls_1", "ls_2", "ls_4", "ls_5")}) == 1
    assert folds["ls_9"] == folds["nls_3"] and set(folds) == set(names)
    assert sorted(Counter(folds[name] for name in names[:20]).values()) == [4] * FOLDS


def test_a_fold_hangs_on_the_names_alone():
    names = [f"ls_{number}" for number in range(30)]
    assert folds_of(names, []) == folds_of(reversed(names), [])


def test_the_list_of_bijie_is_what_the_script_makes_of_the_images(data_dir):
    names = [path.stem for path in (data_dir / "bijie" / "images").iterdir()]
    made = folds_of(names, read_pairs())
    assert {name: int(fold) for name, fold in read("bijie.csv").items()} == made


def test_landslide4sense_is_split_by_rows_of_one_area_and_another_area(data_dir, tmp_path):
    """1065 + 157 train patches become train and validation; area C goes nowhere by itself."""
    layout = data_dir / "landslide4sense_rgb" / "layout.csv"
    write(tmp_path / "made.csv", ("file", "split"), landslide4sense_rows(layout))
    made = (tmp_path / "made.csv").read_bytes()
    assert made == (LISTS / "landslide4sense.csv").read_bytes()
    counts = Counter(read("landslide4sense.csv").values())
    assert counts == {"train": 1065, "validation": 157, "gap": 53, "test": 466, "C": 48}


@pytest.mark.parametrize("name", ["bijie.csv", "landslide4sense.csv"])
def test_a_list_names_files_that_are_there(data_dir, name):
    folder = {"bijie.csv": "bijie/images", "landslide4sense.csv": "landslide4sense_rgb"}[name]
    files = [data_dir / folder / file for file in read(name)]
    assert all(file.with_suffix(file.suffix or ".jpg").is_file() for file in files)
