"""Rasters cut into files, as archives hand them out."""

import shutil
import subprocess

import pytest
import rasterio
from rasterio.windows import Window


def cut(path, folder, windows):
    """Write windows of a raster, (column, row, width, height), as a file each; return these."""
    folder.mkdir(exist_ok=True)
    files = []
    with rasterio.open(path) as whole:
        for number, (column, row, width, height) in enumerate(windows):
            window = Window(column, row, width, height)
            profile = whole.profile | {
                "width": width,
                "height": height,
                "transform": whole.window_transform(window),
            }
            files.append(str(folder / f"tile_{number}.tif"))
            with rasterio.open(files[-1], "w", **profile) as tile:
                tile.write(whole.read(window=window))
                if whole.mask_flag_enums[0] == [rasterio.enums.MaskFlags.per_dataset]:
                    tile.write_mask(whole.dataset_mask(window=window))
                describe(tile, whole)
    return files


def describe(tile, whole):
    """Have a file say what another one says."""
    tile.descriptions, tile.units = whole.descriptions, whole.units
    tile.scales, tile.offsets, tile.colorinterp = whole.scales, whole.offsets, whole.colorinterp
    tile.update_tags(**whole.tags())
    for number in whole.indexes:
        tile.update_tags(number, **whole.tags(number))


def damage(path):
    """Compress a file and spoil a block of it: it still opens, but can't be read."""
    with rasterio.open(path) as dataset:
        values, profile, names = dataset.read(), dataset.profile, dataset.descriptions
    with rasterio.open(path, "w", **(profile | {"compress": "deflate"})) as dataset:
        dataset.write(values)
        dataset.descriptions = names
    with rasterio.open(path) as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1))
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(b"\x55" * size)


def checkerboard(shape, rows, columns):
    """Return the windows that parts of rows and of columns make, from top left on."""
    height, width = shape
    edges = [0, *rows, height], [0, *columns, width]
    return [
        (left, top, right - left, bottom - top)
        for top, bottom in zip(edges[0], edges[0][1:], strict=False)
        for left, right in zip(edges[1], edges[1][1:], strict=False)
    ]


def build_vrt(output, *files, separate=False):
    """Have gdalbuildvrt make a virtual raster; return its path."""
    if shutil.which("gdalbuildvrt") is None:
        pytest.skip("gdalbuildvrt is absent")
    options = ["-q", "-separate"] if separate else ["-q"]
    subprocess.run(["gdalbuildvrt", *options, str(output), *files], check=True)
    return str(output)
