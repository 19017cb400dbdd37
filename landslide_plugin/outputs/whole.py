"""Outputs that are either whole or not there.

Everything is written into a hidden folder beside its destination and moved there on success, so
that no half-written file ever stands under the output's name and an earlier output stays
untouched until the new one is whole. What belongs together is moved together, see `together`.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ..contract.errors import OutputError
from ..core import owners
from ..core.failures import is_full, reason
from ..core.system import hidden_folder, name_problem
from .output_set import ASIDE, Move, OutputSet, drop, recover

PARTIAL_PREFIX = ".partial-"
"""A hidden folder's name begins so; its owner follows, see `owners`."""
KEPT_PREFIX = ".resume-"
"""So does that of a hidden folder that may outlive its run, see `kept`."""
_HIDDEN = (PARTIAL_PREFIX, KEPT_PREFIX)
_open: ContextVar[OutputSet | None] = ContextVar("_open", default=None)
"""The innermost set that is open in this thread."""
_read: ContextVar[frozenset[Path] | None] = ContextVar("_read", default=None)
"""What the run in this thread reads; None outside of runs."""


@contextmanager
def together() -> Iterator[None]:
    """Have all outputs that are finished within appear at its end, in one go; none on an error.

    Raises:
        OutputError: one of them can't be moved; all is as before then.
    """
    opened = OutputSet()
    outer = _open.set(opened)
    try:
        yield
        _move(opened)
    finally:
        _open.reset(outer)
        opened.discard()


def afterwards(path: str | Path, action: Callable[[], None]) -> None:
    """Have something done once an output that was finished stands: maybe at once.

    Args:
        path: the output's destination.
        action: what to do, such as removing what the output was made from.
    """
    opened = _open.get()
    if opened and not is_on_the_way(Path(path)):
        opened.afterwards(action)
    else:
        action()


@contextmanager
def protected(inputs: Iterable[Path]) -> Iterator[None]:
    """Have these files refused as destinations within: a run reads them."""
    outer = _read.set((_read.get() or frozenset()).union(inputs))
    try:
        yield
    finally:
        _read.reset(outer)


def protect_too(inputs: Iterable[str]) -> None:
    """Have further files refused till the end of what is `protected`: an input has named them."""
    before = _read.get()
    if before is not None:
        _read.set(before.union(Path(os.path.realpath(path)) for path in inputs))


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield the temporary path to write to; on success move it, with its sidecars, to `path`.

    Within `together` it is moved at the end of that, but not if it goes to a hidden folder.

    Args:
        path: the destination. Its folder must exist; a link is followed.

    Raises:
        OutputError: the folder is missing or read-only, the disk is full, or the destination
            can't be replaced. What stood at `path` before still stands then.
    """
    destination = Path(os.path.realpath(path))
    require_plain(destination)
    with _partial_folder(destination) as folder:
        partial = folder / destination.name
        yield partial
        _hand_in(Move(folder, destination))


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it becomes `path`, as with `whole_file`.

    Args:
        path: the destination folder; it must not exist yet, or be empty.

    Raises:
        OutputError: as `whole_file`, or the destination holds files already.
    """
    destination = Path(os.path.realpath(path))
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise OutputError(
            f"{destination} exists already and is not an empty folder: choose a new folder."
        )
    with _partial_folder(destination) as folder:
        inner = folder / destination.name
        inner.mkdir()
        yield inner
        _hand_in(Move(folder, destination))


def require_folder(path: str | Path) -> None:
    """Refuse a destination whose folder is missing or read-only, before any long work.

    Raises:
        OutputError: it is.
    """
    destination = Path(os.path.realpath(path))
    require_plain(destination)
    with scratch_folder(destination):
        pass


def end_what_was_killed(folder: Path) -> None:
    """Remove what killed runs have left in a folder, or end what they had begun to move."""
    for left in folder.glob(f"{PARTIAL_PREFIX}*"):
        owner, _, _ = left.name.removeprefix(PARTIAL_PREFIX).rpartition("-")
        if owners.has_ended(owner):
            recover(left)


def _hand_in(move: Move) -> None:
    """Give a finished output to the open set; without one, or within a hidden folder, move it."""
    opened = _open.get()
    if opened and not is_on_the_way(move.destination):
        opened.add(move)
    else:
        _move(OutputSet([move]))


def is_on_the_way(path: Path) -> bool:
    """Whether a file lies in a hidden folder of a run, not where anyone looks for it."""
    return any(part.startswith(_HIDDEN) for part in path.parent.parts)


def _move(outputs: OutputSet) -> None:
    try:
        outputs.move()
    except OSError as error:
        destination = _meant(Path(error.filename2 or error.filename or "The output"))
        raise OutputError(
            _mended(error, destination)
            or f"{destination} can't be moved to its place ({error}): choose another folder."
        ) from error


def require_plain(destination: Path) -> None:
    """Refuse what no output can take the place of.

    Args:
        destination: with all links followed.

    Raises:
        OutputError: it is a folder, a device, a pipe or what the run reads.
    """
    if destination.is_dir():
        raise OutputError(f"{destination} is a folder: choose a file's name for the output.")
    if destination.exists() and not stat.S_ISREG(destination.stat().st_mode):
        raise OutputError(
            f"{destination} is a device or a pipe, not a file: choose a file's name for the output."
        )
    if destination in (_read.get() or ()):
        raise OutputError(
            f"{destination} is an input of this run: choose another file for the output."
        )


def require_name(path: str) -> None:
    """Refuse a destination by a blank name, or by one or a length that Windows does not take.

    Raises:
        OutputError: it does not.
    """
    if not path.strip():
        raise OutputError("The name of an output is blank: choose a file.")
    on_the_way = f"/{PARTIAL_PREFIX}{owners.me()}-12345678/{ASIDE}.aux.xml"
    if problem := name_problem(path, len(on_the_way)):
        raise OutputError(f"{path} can't be written: {problem}.")


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Yield a hidden folder beside a destination, for what is needed on the way; then remove it.

    Raises:
        OutputError: as `whole_file`.
    """
    with _partial_folder(Path(os.path.realpath(path))) as folder:
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _partial_folder(destination: Path) -> Iterator[Path]:
    """Yield a hidden folder beside the destination; it is removed where that fails."""
    parent = destination.parent
    if not parent.is_dir():
        raise OutputError(
            f"The output folder {parent} does not exist: create it or choose another."
        )
    folder = None
    try:
        folder = hidden_folder(parent, f"{PARTIAL_PREFIX}{owners.me()}-")
        yield folder
    except BaseException as error:
        if folder:
            drop(folder)
        mended = _mended(error, destination) if isinstance(error, OSError) else ""
        if mended:
            raise OutputError(mended) from error
        raise


def _mended(error: OSError, destination: Path) -> str:
    """Turn what the system says of an output into a sentence; return none of other files."""
    named = error.filename2 or error.filename
    if named and not _concerns(Path(os.fsdecode(named)), destination):
        return ""
    if is_full(error):
        return (
            f"The disk is full while writing {destination}: free some space or choose another "
            "folder; nothing was written."
        )
    if error.errno is None:
        return ""
    return f"{destination} can't be written: {reason(error)}; nothing was written."


def _meant(file: Path) -> Path:
    """Return the place of a file that is still in its hidden folder; others as they are."""
    for folder in file.parents:
        if folder.name.startswith(_HIDDEN):
            return folder.parent / file.name
    return file


def _concerns(file: Path, destination: Path) -> bool:
    """Whether a file is the output, its folder, or what is made on the way to it."""
    hidden = any(part.startswith(_HIDDEN) for part in file.parts)
    return hidden or file in (destination, destination.parent)
