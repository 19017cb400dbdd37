"""Outputs that are either whole or not there.

Everything is written into a hidden folder beside its destination and moved there on success, so
that no half-written file ever stands under the output's name and an earlier output stays
untouched until the new one is whole.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    with _partial_folder(destination) as folder:
        yield folder / destination.name
        _drop_stale_sidecars(destination)
        for made in sorted(folder.iterdir(), key=lambda file: file.name == destination.name):
            os.replace(made, destination.with_name(made.name))


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


@contextmanager
def _partial_folder(destination: Path) -> Iterator[Path]:
    parent = destination.parent
    if not parent.is_dir():
        raise OutputError(
            f"The output folder {parent} does not exist: create it or choose another."
        )
    folder = parent / f"{PARTIAL_PREFIX}{os.getpid()}-{destination.name}"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
    except OSError as error:
        raise _output_error(error, destination) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _output_error(error: OSError, destination: Path) -> Exception:
    """Turn what a full or read-only disk raises into a sentence; leave other errors alone."""
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return OutputError(
            f"The disk is full while writing {destination}: free some space or choose another "
            "folder; nothing was written."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"{destination} can't be written (no permission, or open in another program): choose "
            "another folder or close the layer."
        )
    return error


def _drop_stale_sidecars(destination: Path) -> None:
    """Remove what describes the file that is about to be replaced (statistics, overviews)."""
    for suffix in (".aux.xml", ".ovr", ".msk"):
        destination.with_name(destination.name + suffix).unlink(missing_ok=True)
