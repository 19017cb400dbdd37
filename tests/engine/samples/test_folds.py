"""Folds: every patch validates once, and nothing of a fold is in another."""

from dataclasses import replace

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import Sample, SampleSet
from landslide_mapper.landslide_plugin.samples.samples_command import samples as make_samples
from landslide_mapper.landslide_plugin.samples.splits import folds


def set_of(pixels, split, tmp_path):
    """A set of patches with these landslide pixels; two neighbours share a block."""
    patches = [
        Sample(
            id=f"{i:06d}",
            split="train" if i % 4 else "validation",
            block=i // 2,
            source=f"{i // 3}.png",
            window=(0, 0, 32, 32),
            landslide_pixels=int(count),
            instances=int(count > 0),
        )
        for i, count in enumerate(pixels)
    ]
    return SampleSet(
        folder=tmp_path,
        bands=["a"],
        resolution=None,
        crs=None,
        tile_size=32,
        classes=["background", "landslide"],
        split=split,
        seed=0,
        mean=[0.0],
        std=[1.0],
        imbalance=0.1,
        sources=[],
        samples=patches,
    )


@pytest.mark.parametrize(
    "split", ["blocks of 64 x 64 pixels", "random by image", "random by patch"]
)
def test_each_patch_validates_once_with_its_group(tmp_path, split):
    random = np.random.default_rng(0)
    pixels = random.integers(1, 500, 240) * (random.random(240) < 0.6)
    written = set_of(pixels, split, tmp_path)
    result = folds(written, 5, 1)
    validated = [sample.id for _, validation in result for sample in validation]
    assert sorted(validated) == [sample.id for sample in written.samples]
    for train, validation in result:
        assert len(train) + len(validation) == 240
        keys = {"b": lambda s: s.block, "i": lambda s: s.source, "p": lambda s: s.id}
        key = keys[split.split()[-1][0] if split.startswith("random") else "b"]
        assert {key(sample) for sample in train}.isdisjoint(map(key, validation))
        fraction = sum(sample.landslide_pixels for sample in validation) / pixels.sum()
        assert fraction == pytest.approx(0.2, abs=0.02)
        assert len(validation) == pytest.approx(48, abs=4)


def test_seeds(tmp_path):
    written = set_of(np.full(40, 9), "random by image", tmp_path)
    assert folds(written, 4, 1) == folds(written, 4, 1) != folds(written, 4, 2)


def test_background_drawn_by_false_alarms_is_trained_on_and_judges_in_no_fold(tmp_path):
    written = set_of([9] * 20 + [0] * 10, "random by patch", tmp_path)
    hard = {sample.id for sample in written.samples[20:24]}
    samples = [
        replace(sample, kind="hard background" if sample.id in hard else "")
        for sample in written.samples
    ]
    result = folds(replace(written, samples=samples), 5, 1)
    assert sum(len(validation) for _, validation in result) == 26
    assert not any(sample.id in hard for _, validation in result for sample in validation)
    assert hard <= {sample.id for train, _ in result for sample in train}


def test_test_patches_stay_out(tmp_path):
    written = set_of(np.full(30, 9), "random by patch", tmp_path)
    written.samples[3] = Sample(**{**written.samples[3].__dict__, "split": "test"})
    for train, validation in folds(written, 3, 0):
        assert "000003" not in {sample.id for sample in (*train, *validation)}
        assert len(train) + len(validation) == 29


@pytest.mark.parametrize(
    ("count", "split", "match"),
    [
        (1, "random by patch", "1 folds can't be made: there must be at least 2"),
        (9, "random by image", "no more than the 3 images with landslides"),
        (5, "blocks", "no more than the 4 spatial blocks"),
        (7, "random by patch", "no more than the 6 patches"),
    ],
)
def test_more_folds_than_groups_are_refused(tmp_path, count, split, match):
    pixels = np.zeros(30)
    pixels[[0, 1, 3, 9, 10, 11]] = 50
    with pytest.raises(InputError, match=match):
        folds(set_of(pixels, split, tmp_path), count, 0)


def test_no_landslide_at_all(tmp_path):
    with pytest.raises(InputError, match="than the 0 patches with landslides"):
        folds(set_of(np.zeros(9), "random by patch", tmp_path), 3, 0)


def test_no_pixel_of_one_fold_is_in_another(tmp_path, stack, landslides):
    """Windows overlap by half: those across the blocks of two folds are left out."""
    output = tmp_path / "samples"
    make_samples(
        stack=stack, landslides=landslides, output=str(output), tile_size=16, stride=8,
        background=2, progress=Progress(),
    )  # fmt: skip
    written = SampleSet.read(output)
    assert written.split.startswith("blocks")
    assert any(len(sample.blocks) > 1 for sample in written.samples)
    for train, validation in folds(written, 3, 0):
        ground = np.zeros((256, 256), bool)
        for sample in validation:
            column, row, width, height = sample.window
            ground[row : row + height, column : column + width] = True
        for sample in train:
            column, row, width, height = sample.window
            assert not ground[row : row + height, column : column + width].any()
        assert len(train) > len(validation) > 10
