"""How much each factor helps a random forest to tell landslide pixels from others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ...core.progress import Progress
from ...raster.grid import Grid
from .counts import Factor, Sample

FOLDS = 5
BLOCKS = 10
"""Blocks along the longer side of the stack."""
REPEATS = 3
TREES = 100
_LEAF = 5

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class Importance:
    """What the forest found.

    Attributes:
        gini: mean decrease of Gini impurity by factor; they sum to 1.
        permutation: mean loss of AUC by factor, in unseen blocks, when its values are shuffled;
            empty when there are too few blocks with landslides.
        deviation: standard deviation of that loss over folds and repeats.
        auc_blocks: AUC in unseen blocks, one a fold.
        auc_random: AUC on pixels left out at random, one a fold.
        block_metres: side of a block.
    """

    gini: dict[str, float]
    permutation: dict[str, float]
    deviation: dict[str, float]
    auc_blocks: list[float]
    auc_random: list[float]
    block_metres: float


def measure_importance(
    sample: Sample, factors: Sequence[Factor], grid: Grid, seed: int, progress: Progress
) -> Importance:
    """Train forests on a sample and see what they rely on.

    Gini importance (Breiman 2001, Machine Learning 45:5), as Gao et al. 2021 have it, favours
    factors of many values (Strobl et al. 2007, BMC Bioinformatics 8:25) and is measured on the
    training pixels. Permutation importance is measured on blocks that the forest has not seen; all
    bands of a classification are shuffled together.

    Args:
        sample: pixels of the stack.
        factors: those that vary.
        grid: of the stack.
        seed: of forests, folds and shuffles.
        progress: told after each forest and factor.
    """
    bands = [band for factor in factors for band in factor.bands]
    columns = _columns(factors)
    values, truth = sample.values[:, bands], sample.landslide
    forest = _forest(seed).fit(values, truth)
    importances = forest.feature_importances_
    progress.update(0.1)
    side = -(-max(grid.shape) // BLOCKS)
    blocks = sample.rows // side * (grid.width // side + 1) + sample.columns // side
    in_blocks, at_random = _folds(truth, blocks, seed)
    auc_blocks, losses = [], []
    for train, test in progress.part(0.1, 0.75).track(in_blocks, len(in_blocks)):
        fitted = _forest(seed).fit(values[train], truth[train])
        auc_blocks.append(_auc(fitted, values[test], truth[test]))
        random = np.random.default_rng(seed)
        losses.append(_losses(fitted, values[test], truth[test], columns, random))
    auc_random = [
        _auc(_forest(seed).fit(values[train], truth[train]), values[test], truth[test])
        for train, test in progress.part(0.75, 1).track(at_random, len(at_random))
    ]
    names = [factor.name for factor in factors]
    lost = np.concatenate(losses, axis=1) if losses else np.empty((len(names), 0))
    return Importance(
        gini={
            name: float(importances[indices].sum())
            for name, indices in zip(names, columns, strict=True)
        },
        permutation=dict(zip(names, lost.mean(axis=1).tolist(), strict=True)) if losses else {},
        deviation=dict(zip(names, lost.std(axis=1).tolist(), strict=True)) if losses else {},
        auc_blocks=auc_blocks,
        auc_random=auc_random,
        block_metres=side * grid.resolution,
    )


def _forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(
        TREES, min_samples_leaf=_LEAF, class_weight="balanced", n_jobs=-1, random_state=seed
    )


def _columns(factors: Sequence[Factor]) -> list[list[int]]:
    """Return the columns of each factor where their bands stand side by side."""
    ends = np.cumsum([len(factor.bands) for factor in factors])
    return [
        list(range(end - len(factor.bands), end))
        for end, factor in zip(ends.tolist(), factors, strict=True)
    ]


def _folds(truth: NDArray[np.bool_], blocks: NDArray[np.int64], seed: int) -> tuple[Folds, Folds]:
    """Return folds of whole blocks and folds of pixels drawn at random.

    Each training and test part holds landslide and background.
    """
    with_landslide = len(np.unique(blocks[truth]))
    count = min(FOLDS, with_landslide)
    whole: Folds = []
    if count >= 2:
        splits = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        whole = list(_mixed(splits.split(blocks, truth, blocks), truth))
    count = min(FOLDS, int(truth.sum()), int((~truth).sum()))
    drawn: Folds = []
    if count >= 2:
        splits = StratifiedKFold(count, shuffle=True, random_state=seed)
        drawn = list(_mixed(splits.split(blocks, truth), truth))
    return whole, drawn


def _mixed(
    folds: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]], truth: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for train, test in folds:
        if all(0 < truth[part].sum() < len(part) for part in (train, test)):
            yield train, test


def _losses(
    forest: RandomForestClassifier,
    values: NDArray[np.float32],
    truth: NDArray[np.bool_],
    columns: Sequence[list[int]],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return how much AUC is lost when a factor's values are shuffled, (factors, repeats)."""
    whole = _auc(forest, values, truth)
    losses = np.zeros((len(columns), REPEATS))
    for factor, indices in enumerate(columns):
        for repeat in range(REPEATS):
            shuffled = values.copy()
            shuffled[:, indices] = values[random.permutation(len(values))][:, indices]
            losses[factor, repeat] = whole - _auc(forest, shuffled, truth)
    return losses


def _auc(
    forest: RandomForestClassifier, values: NDArray[np.float32], truth: NDArray[np.bool_]
) -> float:
    return float(roc_auc_score(truth, forest.predict_proba(values)[:, 1]))
