"""What a run may write: outputs that are no inputs, are not each other, and are nobody else's.

Asked once, before anything is done, for every command.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from ..contract.errors import InputError, OutputError
from ..core.access import require_ending
from ..core.system import exists, is_in_use, one_name
from .locks import locked, remove_stale
from .parts import part_names
from .whole import end_what_was_killed, protected, require_name, require_plain


@contextmanager
def claimed(outputs: Mapping[str, Any], inputs: Iterable[Any]) -> Iterator[None]:
    """Hold a run's outputs for it alone, and clear away what killed runs have left beside them.

    Args:
        outputs: parameter to path of each output; those without one are not wanted.
        inputs: the values of all other parameters; those that are no paths of files don't matter.

    Raises:
        InputError: an output is an input, or a part of one, or another output.
        OutputError: what stands there is no file, or holds layers that would be lost; or another
            run is writing it.
    """
    given = {key: path for key, path in outputs.items() if isinstance(path, str) and path}
    for path in given.values():
        require_name(path)  # before it is followed, which takes some names for devices
    paths = {key: Path(os.path.realpath(path)) for key, path in given.items()}
    read = {file for value in inputs for file in files_of(value)}
    for file in read:
        require_ending(file)
    for key, target in paths.items():
        _require_no_input(key, target, read)
        if not target.is_dir():
            require_plain(target)
            _require_alone(target)
        if is_in_use(target):  # told now, not when all is done
            raise OutputError(
                f"{key.upper()} is {target}, which is open in another program or read-only: remove "
                "its layer from the project, or choose another file."
            )
    _require_apart(paths)
    with protected(read), ExitStack() as locks:
        for target in paths.values():
            if target.parent.is_dir():
                locks.enter_context(locked(target))
                sweep(target.parent)
        yield


def sweep(folder: Path) -> None:
    """Clear away what killed runs have left in a folder, and end what they had begun to move."""
    end_what_was_killed(folder)
    remove_stale(folder)


def files_of(value: Any) -> Iterator[Path]:
    """Yield the files and folders that a parameter's value names, those that a VRT reads too.

    It may be a path with a layer (`a.gpkg|layername=b`), one of GDAL's names (`GPKG:a.gpkg:b`,
    `/vsizip/a.zip/b.tif`), or a list of such.
    """
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from files_of(item)
    elif isinstance(value, str) and value and "\0" not in value:
        file = _file_of(value)
        if file is not None:
            yield file
            yield from _sources_of(file)


def _file_of(text: str) -> Path | None:
    """Return the file or folder on this machine that a name begins with, where there is one."""
    plain = re.sub(r"^(/vsi\w+/)+", "/", text.split("|")[0])
    inner = plain.split(":", 1)[-1].strip('"')
    for candidate in (plain, plain.lstrip("/"), inner, inner.rsplit(":", 1)[0].strip('"')):
        path = Path(candidate)
        for parent in (path, *path.parents):
            if exists(parent):
                # A folder above what is not there is not meant.
                if parent == path or not parent.is_dir():
                    return Path(os.path.realpath(parent))
                break
    return None


def _sources_of(file: Path, depth: int = 5) -> Iterator[Path]:
    """Yield the files that a VRT, and the VRTs in it, read."""
    if file.suffix.lower() != ".vrt" or not depth or not file.is_file():
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    for name in re.findall(r"<Source(?:Filename|DataSource|Dataset)[^>]*>([^<]+)<", text):
        for path in (Path(name), file.parent / name):
            if exists(path) and not path.is_dir():
                source = Path(os.path.realpath(path))
                yield source
                yield from _sources_of(source, depth - 1)


def _require_no_input(key: str, target: Path, read: set[Path]) -> None:
    for file in read:
        same = _is_one(target, file)
        if same or (
            target.name.lower() in _part_names(file) and _is_one(target.parent, file.parent)
        ):
            raise InputError(
                f"{key.upper()} is {target}, which is an input of this run or a part of one: "
                "choose another file for the output."
            )
        if file.is_dir() and _is_within(target, file) and target.exists():
            raise InputError(
                f"{key.upper()} is {target}, a file within the input {file}: choose another file "
                "for the output."
            )
        if target.is_dir() and _is_within(file, target):
            raise InputError(
                f"{key.upper()} is {target}, the folder of the input {file.name}: choose another "
                "folder for the output."
            )


def _is_one(path: Path, other: Path) -> bool:
    """Whether two paths are of one file: by name where there is none, and else by the disk."""
    return one_name(path) == one_name(other) or (
        exists(path) and exists(other) and path.samefile(other)
    )


def _is_within(path: Path, folder: Path) -> bool:
    return any(_is_one(each, folder) for each in (path, *path.parents))


def _part_names(file: Path) -> set[str]:
    return {name.lower() for name in part_names(file)}


def _require_apart(targets: Mapping[str, Path]) -> None:
    taken: dict[str, str] = {}
    for key, target in targets.items():
        names = {target.name.lower(), *_part_names(target)}
        for name in names:
            full = one_name(target.parent / name)
            if full in taken and (name == target.name.lower() or taken[full] != key):
                raise InputError(
                    f"{taken[full].upper()} and {key.upper()} would both write {target}: choose "
                    "another file for one of them."
                )
            taken[full] = key


def _require_alone(target: Path) -> None:
    """Refuse a GeoPackage with layers that a new file in its place would not have."""
    if target.suffix.lower() not in (".gpkg", ".sqlite") or not target.is_file():
        return
    try:
        with closing(sqlite3.connect(f"{_address(target)}?mode=ro", uri=True)) as database:
            names = {
                row[0]
                for row in database.execute("select table_name from gpkg_contents")
                if row[0] != "layer_styles"
            }
    except sqlite3.Error:
        return
    others = sorted(names - {target.stem})
    if others:
        raise OutputError(
            f"{target} holds other layers ({', '.join(others)}), which would be lost: choose a new "
            "file for the output."
        )


def _address(file: PurePath) -> str:
    """Return a file as SQLite takes it; `as_uri` makes a host of a share's, which it does not."""
    path = file.as_posix()
    return "file:" + quote(f"//{path}" if path.startswith("/") else f"///{path}")
