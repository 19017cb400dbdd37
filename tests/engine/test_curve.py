"""The recipe that learns from a share of the images, for a learning curve."""

import json
from collections import Counter

import pytest

from experiments.shipped.curve import main, thinned
from experiments.shipped.lists import RECIPES, read_list

FOLDS = read_list(RECIPES / "bijie.csv")


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_of_each_fold_a_share_of_both_kinds_stays(share):
    def counts(folds):
        return Counter((fold, name.split("_")[0]) for name, fold in folds.items())

    every, kept = counts(FOLDS), counts(thinned(FOLDS, share, ("0", "1")))
    for (fold, kind), number in every.items():
        expected = number if fold in ("0", "1") else round(share * number)
        assert kept[fold, kind] == expected


def test_a_smaller_share_is_part_of_a_larger_one_and_of_all():
    quarter, half = (thinned(FOLDS, share, ()) for share in (0.25, 0.5))
    assert quarter.items() < half.items() < FOLDS.items()
    assert thinned(FOLDS, 1, ()) == FOLDS


def test_the_recipe_takes_as_many_steps_with_its_list_beside_it(tmp_path):
    main([str(tmp_path / "half"), "--share", "0.5"])
    ours = json.loads((tmp_path / "half" / "rgb-vhr.json").read_text())
    whole = json.loads((RECIPES / "rgb-vhr.json").read_text())
    assert ours["values"]["epochs"] == 2 * whole["values"]["epochs"]
    assert ours["steps"] == whole["steps"]
    assert set(read_list(tmp_path / "half" / "bijie.csv")) < set(FOLDS)
