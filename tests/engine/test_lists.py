"""The lists in `models/recipes`, by which data sets are split: nothing leaks, nothing changes."""

import csv
from collections import Counter

import h5py
import numpy as np
import pytest
from landslide_mapper.landslide_plugin.samples.masks import read_mask
from landslide_mapper.models.known_models import WEIGHTS

from experiments.shipped.data import read_patch
from experiments.shipped.lists import (
    FOLDS,
    OVERLAPS,
    folds_of,
    landslide4sense_pieces,
    landslide4sense_rows,
    read_pairs,
    read_pieces,
)
from experiments.shipped.overlaps import best_shift, correlation

LISTS = WEIGHTS.parent / "recipes"


def read(name):
    with (LISTS / name).open(encoding="utf-8", newline="") as file:
        return {row[0]: row[1] for row in list(csv.reader(file))[1:]}


def test_they_are_small_enough_to_ship():
    assert sum(path.stat().st_size for path in LISTS.glob("*.csv")) < 120_000


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


@pytest.mark.parametrize("shift", [(0, 0), (12, -30), (-25, 9), (-33, -41), (40, 37)])
def test_the_shift_between_two_cuts_of_one_image_is_told_whatever_its_sign(shift):
    ground = np.random.default_rng(0).normal(100, 20, (200, 200))
    first, second = ground[60:120, 70:150], ground[60 - shift[0] : 130 - shift[0], 70 - shift[1] :]
    likeness, moved = best_shift(first, second)
    assert moved == shift and likeness == pytest.approx(1)
    assert correlation(first, second, shift) == pytest.approx(1)
    assert correlation(first, second, (shift[0] + 1, shift[1])) < 0.1
    assert best_shift(first, np.random.default_rng(1).normal(100, 20, (60, 60)))[0] < 0.5


def test_bijie_labels_one_landslide_an_image_so_that_neighbours_contradict_each_other(data_dir):
    """Why a perfect map can't have an IoU of 1: 463 thousand pixels of landslide are background."""
    folder, contradicted = data_dir / "bijie" / "masks", 0
    with OVERLAPS.open(encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file))
    for pair in pairs[:20]:
        masks = [read_mask(folder / f"{pair[name]}.png").number > 0 for name in ("first", "second")]
        rows, columns = np.nonzero(masks[0])
        rows, columns = rows + int(pair["rows"]), columns + int(pair["columns"])
        inside = (rows >= 0) & (columns >= 0)
        inside &= (rows < masks[1].shape[0]) & (columns < masks[1].shape[1])
        labelled = masks[1][rows[inside], columns[inside]]
        contradicted += int((~labelled).sum())
        assert labelled.sum() <= 1
    assert contradicted > 10_000


def test_landslide4sense_is_split_by_rows_of_one_area_and_another_area(data_dir):
    """1065 + 157 train patches become train and validation; area C goes nowhere by itself."""
    made = landslide4sense_rows(data_dir / "landslide4sense_rgb" / "layout.csv")
    assert made == list(read("landslide4sense.csv").items())
    counts = Counter(read("landslide4sense.csv").values())
    assert counts == {"train": 1065, "validation": 157, "gap": 53, "test": 466, "C": 48}


def test_landslide4senses_patches_are_levelled_as_the_list_says(data_dir):
    made = landslide4sense_pieces(data_dir / "landslide4sense_rgb" / "layout.csv")
    pieces = list(read_pieces(LISTS / "landslide4sense.csv").values())
    assert [piece[:3] for piece in made] == [piece[:3] for piece in pieces]
    assert [piece[3] for piece in made] == pytest.approx([piece[3] for piece in pieces], rel=0.01)


def test_a_patch_of_8_bits_is_what_is_published_by_its_own_highest_value(data_dir):
    """And levelled all have one scale, but where seams don't reach."""
    pieces = read_pieces(LISTS / "landslide4sense.csv")
    folder = data_dir / "landslide4sense_14band"
    with (folder / "patches.csv").open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["rgb_file"] and line["area"] == "A"]
    scales = []
    for line in lines:
        (path,) = folder.glob(f"images/*_{line['l4s_number']}.h5")
        with h5py.File(path) as file:
            published = file["img"][..., 1:4][..., ::-1].transpose(2, 0, 1)
        highest = published.max()
        folder_of_part = data_dir / "landslide4sense_rgb" / line["rgb_part"]
        off = np.abs(read_patch(folder_of_part, line["rgb_file"])[0] - 255 * published // highest)
        assert off.max() <= 1 and (off == 0).mean() > 0.99
        piece = pieces[f"{line['rgb_part']}/images/{line['rgb_file']}.webp"]
        scales.append(piece[3] / highest)
    spread = np.abs(np.log(scales / np.median(scales)))
    assert len(spread) > 15 and np.median(spread) < 0.03


@pytest.mark.parametrize("name", ["bijie.csv", "landslide4sense.csv"])
def test_a_list_names_files_that_are_there(data_dir, name):
    folder = {"bijie.csv": "bijie/images", "landslide4sense.csv": "landslide4sense_rgb"}[name]
    files = [data_dir / folder / file for file in read(name)]
    assert all(file.with_suffix(file.suffix or ".jpg").is_file() for file in files)
