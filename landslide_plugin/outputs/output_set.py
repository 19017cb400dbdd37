"""Finished outputs that appear together: never some of this run beside some of an earlier one.

Each output lies finished in a hidden folder beside its destination. First what stands there is put
aside, then the new files take their places, the one that makes an output readable last: whenever
that ends, what can be opened is of one run. A list of all moves, written before the first, lets a
later run end what a killed one has begun.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..core.interruption import uninterrupted
from ..core.system import replace
from .parts import is_of_several, part_names

MOVES = "moves.json"
"""In a hidden folder: the moves of all outputs of the run, once all are finished."""
ASIDE = "aside"
"""In a hidden folder: what stood where the output goes."""


@dataclass(frozen=True)
class Move:
    """A finished output.

    Attributes:
        folder: the hidden folder, which holds it under its name, and its sidecars.
        destination: where it goes, beside the folder.
        names: of all files that go, where some have gone already.
    """

    folder: Path
    destination: Path
    names: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether the output has left its folder."""
        return not (self.folder / self.destination.name).exists()

    def files(self) -> list[Path]:
        """Return what goes, the output itself last."""
        last = self.destination.name
        paths = [path for path in self.folder.iterdir() if path.name not in (MOVES, ASIDE)]
        return sorted(paths, key=lambda path: (path.name == last, path.name))

    def standing(self) -> list[Path]:
        """Return what stands there and gives way, the output itself first; not what has gone."""
        destination = self.destination
        names = [destination.name, *part_names(destination)]
        gone = {name for name in self.names if not (self.folder / name).exists()}
        return [
            destination.with_name(name)
            for name in names
            if name not in gone and _is(destination, name)
        ]


class OutputSet:
    """The outputs of one run."""

    def __init__(self, moves: Iterable[Move] = ()) -> None:
        self._moves = list(moves)
        self._after: list[Callable[[], None]] = []

    def add(self, move: Move) -> None:
        """Take an output in."""
        self._moves.append(move)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Have something done once all is in its place."""
        self._after.append(action)

    def move(self) -> None:
        """Bring all outputs to their places; if one fails, all is as before.

        Raises:
            OSError: the disk is full or failed, or a destination can't be replaced.
        """
        for move in self._moves:
            for path in move.files():
                _sync(path)
                _give_rights(path, move.destination.with_name(path.name))
        with uninterrupted():
            if not any(move.names for move in self._moves):
                self._note()
            done: list[tuple[Path, Path]] = []
            try:
                for old, new in self._steps():
                    replace(old, new)
                    done.append((old, new))
            except OSError:
                for old, new in reversed(done):
                    with suppress(OSError):
                        replace(new, old)
                raise
            for folder in {move.destination.parent for move in self._moves}:
                _sync_folder(folder)
            for action in self._after:
                action()
            for move in self._moves:  # the list last: with it, what is left can be told
                shutil.rmtree(move.folder / ASIDE, ignore_errors=True)
                drop(move.folder)

    def discard(self) -> None:
        """Remove the hidden folders with the outputs in them."""
        for move in self._moves:
            drop(move.folder)

    def _steps(self) -> Iterator[tuple[Path, Path]]:
        """Yield what is renamed to what, one after the other."""
        waiting = [move for move in self._moves if not move.is_done]
        for move in waiting:
            for path in move.standing():
                if len(self._moves) == 1 and path == move.destination and _is_one_file(path):
                    continue  # replaced at once
                if path.is_dir():  # empty, as `whole_folder` has made sure
                    path.rmdir()
                    continue
                aside = move.folder / ASIDE
                aside.mkdir(exist_ok=True)
                yield path, aside / path.name
        for move in waiting:
            for path in move.files():
                yield path, move.destination.with_name(path.name)

    def _note(self) -> None:
        """Leave the list of moves in each folder, for whoever finds it if this process ends now."""
        listed = json.dumps(
            [
                [str(move.folder), str(move.destination), [path.name for path in move.files()]]
                for move in self._moves
            ]
        )
        for move in self._moves:
            note = move.folder / MOVES
            note.write_text(listed, encoding="utf-8")
            _sync(note)


def drop(folder: Path) -> None:
    """Remove a hidden folder, unless it holds what stood somewhere and could not be put back."""
    aside = folder / ASIDE
    if not (aside.is_dir() and any(aside.iterdir())):
        with uninterrupted():
            shutil.rmtree(folder, ignore_errors=True)


def recover(folder: Path) -> None:
    """End what a killed run has begun to move, if nobody has written there since; else remove it.

    Args:
        folder: a hidden folder whose owner has ended.
    """
    moves = _noted(folder)
    newer = [move for move in moves if not move.is_done and _is_newer(move)]
    if moves and not newer:
        with suppress(OSError):
            OutputSet(moves).move()
    for move in moves if newer else ():  # all: what is of one run is not moved in part
        aside = move.folder / ASIDE
        for old in aside.iterdir() if aside.is_dir() else ():
            if not (restored := move.destination.with_name(old.name)).exists():
                replace(old, restored)
        shutil.rmtree(aside, ignore_errors=True)
        drop(move.folder)
    drop(folder)


def _noted(folder: Path) -> Sequence[Move]:
    """Return the moves that a folder's list names and that are not at their end."""
    try:
        listed = json.loads((folder / MOVES).read_text(encoding="utf-8"))
        moves = [
            Move(Path(one), Path(destination), tuple(names)) for one, destination, names in listed
        ]
    except (OSError, ValueError, TypeError):
        return []
    return [move for move in moves if move.folder.is_dir()]


def _is_newer(move: Move) -> bool:
    """Whether what stands at the destination was written after the move was planned."""
    try:
        return move.destination.stat().st_mtime > (move.folder / MOVES).stat().st_mtime
    except OSError:
        return False


def _is(beside: Path, name: str) -> bool:
    return beside.with_name(name).exists()


def _is_one_file(path: Path) -> bool:
    return not is_of_several(path) and path.is_file()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_RIGHTS = 0o666 & ~_umask()
"""Of a new file; asked once, as asking changes it for a moment for all threads."""


def _give_rights(path: Path, destination: Path) -> None:
    """Give a file the rights of the one that it replaces, else those of any new file.

    Many network drives, and disks that another user has mounted, give all files one owner's rights
    and refuse others: what may be written there is an output all the same.
    """
    if path.is_file():
        mode = destination.stat().st_mode & 0o777 if destination.is_file() else _RIGHTS
        with suppress(OSError):
            path.chmod(mode)


def _sync(path: Path) -> None:
    """Have a file, or all files of a folder, on the disk, not in its cache alone."""
    if path.is_dir() and hasattr(os, "sync"):  # of thousands of tiles, one by one takes minutes
        os.sync()
        return
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file():
            with each.open("rb+") as file:
                os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # folders can't be opened there
        return
    with suppress(OSError):  # some network drives refuse
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
