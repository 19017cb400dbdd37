"""Opens a raster, or says in one sentence why it can't be read."""

import os
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from ..contract.errors import InputError
from ..core.access import formats, is_format_allowed, no_answer, require_allowed
from ..core.addresses import RASTERS, is_address, is_remote
from ..core.failures import reason

os.environ["VRT_NUM_THREADS"] = "1"
"""GDAL loses the errors of the threads that read a VRT: a damaged file would be read as 0."""

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz")
"""How the names of archives end."""
IN_ARCHIVES = ("/vsizip/", "/vsitar/", "/vsigzip/")
"""What GDAL's names of files within them begin with."""
_SHOWN = 3
"""Subdatasets that a sentence names."""

_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
"""Have GDAL look for nothing beside a file: 40 requests for each on a server."""


def open_raster(name: str, what: str = "raster") -> DatasetReader:
    """Open a raster of numbers.

    Args:
        name: file path or GDAL dataset name; an archive stands for the only raster in it.
        what: the raster's role in messages.

    Raises:
        InputError: missing, no raster, damaged, not allowed, without bands, or of complex numbers.
    """
    require_allowed(name)
    try:
        with rasterio.Env(**_ALONE if _is_alone(name) else {}):
            dataset = rasterio.open(name)
    except (RasterioError, OSError, ValueError, TypeError) as error:
        if inner := _in_archive(name, what):
            return open_raster(inner, what)
        raise InputError(_why_unreadable(name, what, error)) from error
    problem = _problem(dataset)
    if problem:
        dataset.close()
        raise InputError(f"The {what} {name} {problem}")
    return dataset


def _is_alone(name: str) -> bool:
    """Whether a file on a server is of a format that has all in one file."""
    return is_remote(name) and name.lower().split("?")[0].endswith((".tif", ".tiff"))


def _in_archive(name: str, what: str) -> str:
    """Return GDAL's name of the only raster in an archive on this machine; "" where it is none.

    Raises:
        InputError: it holds several rasters, or none.
    """
    ending = Path(name).suffix.lower()
    if is_address(name) or ending not in _ARCHIVES or not os.path.isfile(name):
        return ""
    if ending == ".gz" and not name.lower().endswith(".tar.gz"):
        return f"/vsigzip/{os.path.abspath(name)}"
    archive = f"/vsi{'zip' if ending == '.zip' else 'tar'}/{os.path.abspath(name)}/"
    try:
        from pyogrio import vsi_listtree  # here: it takes a moment

        files = [file for file in vsi_listtree(archive) if file.lower().endswith(RASTERS)]
    except OSError:  # one of a single file is that file to GDAL
        files = [archive.rstrip("/")]
    if len(files) == 1:
        return str(files[0])
    held = f"several rasters: name one, such as {files[0]}" if files else "no raster that is known"
    raise InputError(f"The {what} {name} is an archive that holds {held}.")


def _problem(dataset: DatasetReader) -> str:
    if not is_format_allowed(dataset.driver):
        return f"is of the format {dataset.driver}{formats()}."
    if dataset.count == 0:
        names = ", ".join(dataset.subdatasets[:_SHOWN])
        return f"holds no band: choose one of its subdatasets, such as {names}."
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
