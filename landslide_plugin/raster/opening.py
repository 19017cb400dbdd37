"""Opens a raster, or says in one sentence why it can't be read."""

import os
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from ..contract.errors import InputError
from ..core.access import formats, is_format_allowed, no_answer, require_allowed
from ..core.addresses import is_remote
from ..core.failures import reason

os.environ["VRT_NUM_THREADS"] = "1"
"""GDAL loses the errors of the threads that read a VRT: a damaged file would be read as 0."""

_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
"""Have GDAL look for nothing beside a file: 40 requests for each on a server."""


def open_raster(name: str, what: str = "raster") -> DatasetReader:
    """Open a raster of numbers.

    Args:
        name: file path or GDAL dataset name.
        what: the raster's role in messages.

    Raises:
        InputError: missing, no raster, damaged, not allowed, without bands, or of complex numbers.
    """
    require_allowed(name)
    try:
        with rasterio.Env(**_ALONE if _is_alone(name) else {}):
            dataset = rasterio.open(name)
    except (RasterioError, OSError, ValueError, TypeError) as error:
        raise InputError(_why_unreadable(name, what, error)) from error
    problem = _problem(dataset)
    if problem:
        dataset.close()
        raise InputError(f"The {what} {name} {problem}")
    return dataset


def _is_alone(name: str) -> bool:
    """Whether a file on a server is of a format that has all in one file."""
    return is_remote(name) and name.lower().split("?")[0].endswith((".tif", ".tiff"))


def _problem(dataset: DatasetReader) -> str:
    if not is_format_allowed(dataset.driver):
        return f"is of the format {dataset.driver}{formats()}."
    if dataset.count == 0:
        return "holds no band: choose one of its subdatasets."
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        return "holds complex numbers, as radar's do: give their amplitude instead."
    return ""


def _why_unreadable(name: str, what: str, error: Exception) -> str:
    if said := no_answer(error):
        return f"The {what} {name} {said}."
    try:
        missing = "://" not in name and not name.startswith("/vsi") and not Path(name).exists()
        folder = Path(name).is_dir()
    except OSError as long:
        return f"The {what} {name} can't be read: {reason(long)}."
    if missing or not name.strip():
        return f"The {what} {name} does not exist: check the path."
    if folder:
        return f"The {what} {name} is a folder without rasters: choose the one that holds them."
    if is_remote(name):
        return (
            f"The {what} {name} is not on its server, or no raster that can be read{formats()}: "
            "check the address."
        )
    return (
        f"The {what} {name} is not a raster that can be read: it is damaged or of another kind"
        f"{formats()}."
    )
