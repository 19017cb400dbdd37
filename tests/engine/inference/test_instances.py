"""Instances over window borders."""

import numpy as np
import pytest
import shapely
import torch
from landslide_mapper.landslide_plugin.contract.errors import ModelFileError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.instances import (
    Detections,
    detect_instances,
    merge,
)
from landslide_mapper.landslide_plugin.inference.tiling import Tiling
from landslide_mapper.landslide_plugin.inference.windows import Reader
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.models.model_card import ModelCard
from scipy.ndimage import label
from torch import nn

CARD = ModelCard(
    name="objects",
    architecture="mask_rcnn",
    arguments={},
    task="instance-segmentation",
    bands=["a"],
    mean=[0.0],
    std=[1.0],
    resolution=10.0,
    tile_size=32,
    classes=["background", "landslide"],
)


class EveryBlob(nn.Module):
    """Sees each connected patch of ones as an instance, and its share of the window as score."""

    def forward(self, images):
        return [self.blobs(image[0].numpy() > 0.5) for image in images]

    @staticmethod
    def blobs(mask):
        labels, count = label(mask)
        masks = np.stack([labels == i for i in range(1, count + 1)] or [np.zeros((0, *mask.shape))])
        masks = masks.reshape(-1, 1, *mask.shape).astype("float32")
        return {
            "masks": torch.from_numpy(masks),
            "scores": torch.from_numpy(0.5 + masks.mean(axis=(1, 2, 3)) / 2),
        }


def detect(path, size=32, overlap=0.25, network=None, **options):
    with Source.open(path) as source:
        tiling = Tiling(source.grid.shape, size, overlap)
        return detect_instances(
            network or EveryBlob(),
            Reader(source, CARD, tiling),
            tiling,
            progress=Progress(),
            **options,
        )


def world(shape, *boxes):
    values = np.zeros((1, *shape), "float32")
    for left, top, right, bottom in boxes:
        values[0, top:bottom, left:right] = 1
    return values


@pytest.mark.parametrize(
    "landslide",
    [
        (3, 3, 9, 9),
        (25, 10, 31, 20),  # whole in two windows
        (10, 10, 60, 18),  # cut by the first window's border
        (5, 30, 150, 36),  # over many windows
        (20, 20, 90, 95),  # higher and wider than a window
        (0, 0, 150, 100),  # everything
        (27, 2, 29, 90),  # within the overlap of two columns of windows
    ],
)
def test_a_landslide_comes_out_once_and_whole(make_raster, landslide):
    result = detect(make_raster("s.tif", world((100, 150), landslide), bands=["a"]))
    assert len(result) == 1
    assert result.polygons[0].equals(shapely.box(*landslide))
    assert result.polygons[0].is_valid and result.polygons[0].geom_type == "Polygon"


@pytest.mark.parametrize("side", [16, 64])
def test_windows_are_resampled_for_the_model_and_its_masks_back(make_raster, side):
    """Half as many pixels and twice as many; the landslide crosses four windows."""
    path = make_raster("s.tif", world((100, 150), (10, 12, 60, 40)), bands=["a"])
    result = detect(path, side=side)
    assert len(result) == 1
    truth = shapely.box(10, 12, 60, 40)
    apart = result.polygons[0].symmetric_difference(truth).area
    assert apart <= truth.length, "no border is off by more than a pixel"


def test_the_score_is_the_highest_of_the_windows(make_raster):
    """Windows of 32 at 0 and 24: the second sees 12 of 14 columns, more than the first."""
    result = detect(make_raster("s.tif", world((32, 56), (22, 0, 36, 32)), bands=["a"]))
    assert len(result) == 1
    assert result.scores[0] == pytest.approx(0.5 + 12 / 32 / 2)


def test_neighbours_stay_apart(make_raster):
    boxes = [(2, 2, 12, 12), (14, 2, 50, 12), (2, 20, 30, 60), (33, 20, 60, 60)]
    result = detect(make_raster("s.tif", world((70, 70), *boxes), bands=["a"]))
    assert sorted(polygon.bounds for polygon in result.polygons) == sorted(boxes)


def test_low_scores_are_left_out(make_raster):
    path = make_raster("s.tif", world((32, 32), (0, 0, 32, 16), (5, 20, 8, 23)), bands=["a"])
    assert len(detect(path, score=0.7)) == 1
    assert len(detect(path, score=0.5)) == 2
    assert len(detect(path, score=0.9)) == 0


def test_nodata_is_cut_out(make_raster):
    values = world((32, 32), (4, 4, 20, 20))
    values[0, :10] = -9999
    result = detect(make_raster("s.tif", values, bands=["a"], nodata=-9999))
    assert result.polygons[0].equals(shapely.box(4, 10, 20, 20))


def test_a_raster_smaller_than_the_window_gives_nothing_beyond_its_border(make_raster):
    result = detect(make_raster("s.tif", world((9, 11), (6, 3, 11, 9)), bands=["a"]), size=64)
    assert result.polygons[0].equals(shapely.box(6, 3, 11, 9)) and len(result) == 1


def test_merging_compares_only_what_both_windows_see():
    """Long parts that agree in a narrow overlap are one; parts that disagree there are two."""
    left, right = [0, 0, 100, 100], [90, 0, 190, 100]
    first = shapely.box(10, 40, 100, 60)

    def merged(second):
        return merge(
            Detections(
                np.array([first, second], object),
                np.array([0.6, 0.9]),
                np.array([left, right], float),
            )
        )

    same = merged(shapely.box(90, 42, 180, 61))
    assert len(same) == 1 and same.scores.tolist() == [0.9]
    assert same.windows.tolist() == [[0, 0, 190, 100]]
    assert len(merged(shapely.box(90, 55, 180, 90))) == 2


def test_many_detections_are_merged_in_seconds():
    random = np.random.default_rng(0)
    corner = random.uniform(0, 5000, (20000, 2))
    boxes = shapely.box(*corner.T, *(corner + random.uniform(5, 30, (20000, 2))).T)
    windows = np.concatenate([corner - 100, corner + 100], axis=1)
    result = merge(Detections(boxes, np.full(20000, 0.5), windows))
    assert 0 < len(result) < 20000
    assert shapely.is_valid(result.polygons).all()
    assert shapely.union_all(result.polygons).area == pytest.approx(shapely.union_all(boxes).area)


class Astray(EveryBlob):
    """Gives scores that are no numbers."""

    def forward(self, images):
        return [
            {**result, "scores": result["scores"] * float("nan")}
            for result in super().forward(images)
        ]


def test_scores_that_are_no_numbers_are_refused(make_raster):
    path = make_raster("astray.tif", world((40, 40), (3, 3, 9, 9)), bands=["a"])
    with pytest.raises(ModelFileError, match="no numbers"):
        detect(path, network=Astray())
