"""Outputs that are either whole or not there.

Everything is written into a hidden folder beside its destination and moved there on success, so
that no half-written file ever stands under the output's name and an earlier output stays
untouched until the new one is whole.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .errors import OutputError

PARTIAL_PREFIX = ".partial-"


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield the temporary path to write to; on success move it, with its sidecars, to `path`.

    Args:
        path: the destination. Its folder must exist.

    Raises:
        OutputError: the folder is missing or read-only, the disk is full, or the destination
            can't be replaced. What stood at `path` before still stands then.
    """
    destination = Path(path)
    if destination.is_dir():
        raise OutputError(f"{destination} is a folder: choose a file's name for the output.")
    with _partial_folder(destination) as folder:
        partial = folder / destination.name
        yield partial
        os.replace(partial, destination)  # first: if it fails, nothing has changed
        _drop_stale_sidecars(destination)
        for sidecar in folder.iterdir():
            os.replace(sidecar, destination.with_name(sidecar.name))


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it becomes `path`.

    Args:
        path: the destination folder; it must not exist yet, or be empty.

    Raises:
        OutputError: as `whole_file`, or the destination holds files already.
    """
    destination = Path(path)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise OutputError(
            f"{destination} exists already and is not an empty folder: choose a new folder."
        )
    with _partial_folder(destination) as folder:
        inner = folder / destination.name
        inner.mkdir()
        yield inner
        if destination.exists():
            destination.rmdir()
        os.replace(inner, destination)


def require_folder(path: str | Path) -> None:
    """Refuse a destination whose folder is missing or read-only, before any long work.

    Raises:
        OutputError: it is.
    """
    with _partial_folder(Path(path)):
        pass


@contextmanager
def _partial_folder(destination: Path) -> Iterator[Path]:
    parent = destination.parent
    if not parent.is_dir():
        raise OutputError(
            f"The output folder {parent} does not exist: create it or choose another."
        )
    try:
        with TemporaryDirectory(
            prefix=f"{PARTIAL_PREFIX}{os.getpid()}-", dir=parent, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
    except OSError as error:
        if mended := _mended(error, destination):
            raise OutputError(mended) from error
        raise


def _mended(error: OSError, destination: Path) -> str:
    """Turn what a full or read-only disk raises into a sentence; else return none."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        return (
            f"The disk is full while writing {destination}: free some space or choose another "
            "folder; nothing was written."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{destination} can't be written (no permission, or open in another program): choose "
            "another folder or close the layer."
        )
    return ""


def _drop_stale_sidecars(destination: Path) -> None:
    """Remove what belonged to the file that was replaced: statistics, overviews, indexes, logs."""
    for suffix in (".aux.xml", ".ovr", ".msk", "-wal", "-shm", "-journal"):
        destination.with_name(destination.name + suffix).unlink(missing_ok=True)
    if destination.suffix.lower() == ".shp":
        for suffix in (".qix", ".sbn", ".sbx"):
            destination.with_suffix(suffix).unlink(missing_ok=True)
