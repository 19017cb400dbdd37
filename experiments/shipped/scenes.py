"""Test images laid out in rasters as users have them, and mapped by the command `predict`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from numpy.typing import NDArray
from rasterio.transform import from_origin

from .figures import Image, Mask

GAP = 16
"""Pixels of nodata between images."""
NORTH, APART = 3_000_000, 2_000
"""Where the first raster lies, and how far each lies from the next, in metres: none shares ground
with another."""
LAYOUTS: dict[str, int | None] = {
    "single images": None,
    "one scene, nodata between": GAP,
    "one scene, edge to edge": 0,
}
"""Pixels between the images of one raster; None gives each a raster of its own."""

Corner = tuple[int, int]


def map_images(
    model: Path,
    images: Sequence[Image],
    gap: int | None,
    resolution: float,
    folder: Path,
    tta: bool = False,
) -> Iterator[tuple[NDArray[np.float32], Mask]]:
    """Yield the probability and the mask of each image; 0 where the command has no data.

    Args:
        model: its file.
        images: what is mapped, with bands red, green and blue.
        gap: one of `LAYOUTS`.
        resolution: metres a pixel.
        folder: an empty one for rasters.
        tta: ask for each window turned and mirrored too.
    """
    groups = [[image] for image in images] if gap is None else [images]
    laid = [lay([each.values for each in group], gap or 0) for group in groups]
    paths = [folder / f"scene_{number}.tif" for number in range(len(groups))]
    for number, (path, (values, _)) in enumerate(zip(paths, laid, strict=True)):
        north = NORTH - number * APART
        _write(path, values, from_origin(500000, north, resolution, resolution), 0 if gap else None)
    predict(
        stack=str(paths[0]),
        more_stacks=[str(path) for path in paths[1:]],
        model=str(model),
        probability=str(folder / "probability.tif"),
        mask=str(folder / "mask.tif"),
        tta=tta,
        progress=Progress(),
    )
    for number, (group, (_, corners)) in enumerate(zip(groups, laid, strict=True)):
        ending = f"_{paths[number].stem}.tif" if number else ".tif"
        sure, mask = (_read(folder / f"{name}{ending}") for name in ("probability", "mask"))
        for image, (row, col) in zip(group, corners, strict=True):
            window = np.s_[row : row + image.truth.shape[0], col : col + image.truth.shape[1]]
            yield sure[window], mask[window] > 0


def map_mosaic(
    model: Path,
    images: Sequence[Image],
    places: Sequence[Corner],
    resolution: float,
    folder: Path,
) -> list[NDArray[np.float32]]:
    """Return the probability of each of some images that are pieces of one scene.

    Args:
        model: its file.
        images: of one shape, with bands red, green and blue, above 0.
        places: row and column of each, counted in images; where none lies is nodata.
        resolution: metres a pixel.
        folder: an empty one for rasters.
    """
    height, width = images[0].truth.shape
    corners = np.array(places) - np.min(places, 0)
    rows, cols = (corners.max(0) + 1) * (height, width)
    values = np.zeros((3, rows, cols), np.float32)
    windows = [
        np.s_[row * height : (row + 1) * height, col * width : (col + 1) * width]
        for row, col in corners
    ]
    for image, window in zip(images, windows, strict=True):
        values[:, *window] = image.values
    path, output = folder / "mosaic.tif", folder / "probability.tif"
    _write(path, values, from_origin(500000, NORTH, resolution, resolution), 0)
    predict(stack=str(path), model=str(model), probability=str(output), progress=Progress())
    mapped = _read(output)
    return [mapped[window] for window in windows]


def lay(
    images: Sequence[NDArray[np.float32]], gap: int
) -> tuple[NDArray[np.float32], list[Corner]]:
    """Lay images on shelves, the highest first, as a bookcase that is about square.

    Args:
        images: each (bands, rows, columns).
        gap: pixels of 0, in a raster whose images have no 0, between them and where no image lies;
            with 0 images touch, and go on with their mirror image where none follows.

    Returns:
        The raster, (bands, rows, columns), and each image's upper row and left column.
    """
    shapes = [image.shape[1:] for image in images]
    order = sorted(range(len(images)), key=lambda number: -shapes[number][0])
    area = sum((height + gap) * (width + gap) for height, width in shapes)
    width = max(round(area**0.5), *(shape[1] for shape in shapes))
    shelves: list[list[int]] = [[]]
    used = 0
    for number in order:
        if used + shapes[number][1] > width:
            shelves.append([])
            used = 0
        shelves[-1].append(number)
        used += shapes[number][1] + gap
    height = sum(shapes[shelf[0]][0] + gap for shelf in shelves) - gap
    raster = np.zeros((images[0].shape[0], height, width), np.float32)
    corners: list[Corner] = [(0, 0)] * len(images)
    row = 0
    for shelf in shelves:
        high, col = shapes[shelf[0]][0], 0
        for number in shelf:
            values = images[number]
            corners[number] = (row, col)
            if gap:
                values = np.maximum(values, 1)
            else:
                right = width if number == shelf[-1] else col + values.shape[2]
                beyond = ((0, 0), (0, high - values.shape[1]), (0, right - col - values.shape[2]))
                values = np.pad(values, beyond, mode="symmetric")
            raster[:, row : row + values.shape[1], col : col + values.shape[2]] = values
            col += shapes[number][1] + gap
        row += high + gap
    return raster, corners


def _write(path: Path, values: NDArray[np.float32], transform: Affine, nodata: int | None) -> None:
    small = values.astype(np.uint8)
    stored = small if (small == values).all() else values
    profile = {
        "driver": "GTiff",
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": stored.dtype,
        "nodata": nodata,
        "crs": "EPSG:32648",
        "transform": transform,
    }
    with rasterio.open(path, "w", tiled=True, **profile) as dataset:
        dataset.write(stored)
        dataset.descriptions = ("red", "green", "blue")


def _read(path: Path) -> NDArray[np.float32]:
    with rasterio.open(path) as dataset:
        values: NDArray[np.float32] = dataset.read(1, masked=True).filled(0)
    return values
