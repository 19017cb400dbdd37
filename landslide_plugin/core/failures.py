"""What disks and libraries fail with, as one sentence: what is wrong, where, how to mend it.

Who reads or writes a file knows best what it is for and tells of it. What comes through from
deeper down is told of here by its class, for it has to do with files and their content; what
remains unexpected is a bug.
"""

from __future__ import annotations

import errno
import os
import re
import traceback
from pathlib import Path

from . import system

_LOST = "the network drive or disk that it lies on was lost: connect it again"
_FULL = "the disk is full: free some space or choose another folder"
_FORBIDDEN = (
    "there is no permission for it, or it is open in another program: choose another folder or "
    "close the layer"
)
_MANY = "too many files are open: close other programs, or raise the limit (ulimit -n)"
_NAME = "the disk does not take this name or size: choose another name or disk"
_REASONS = {
    "EACCES": _FORBIDDEN,
    "EPERM": _FORBIDDEN,
    "EROFS": _FORBIDDEN,
    "EBUSY": _FORBIDDEN,
    "ETXTBSY": _FORBIDDEN,
    "EIO": "the disk or network drive failed: check it, or choose another one",
    "EFBIG": (
        "it would be larger than a file may be there: choose another disk (FAT32 holds 4 GB a "
        "file), or raise the limit (ulimit -f)"
    ),
    "EMFILE": _MANY,
    "ENFILE": _MANY,
    "ENAMETOOLONG": "its name is too long: choose a shorter one",
    "ENOENT": "it is not there, or was removed meanwhile: check the path",
    "ENOTDIR": "a part of its path is no folder: check the path",
    "EISDIR": "it is a folder: choose a file",
    "ELOOP": "it is a link that leads back to itself: choose the file that is meant",
    "EINVAL": _NAME,
    "EILSEQ": _NAME,
    "ENXIO": "it is a device or a pipe: choose a file",
    "ENODEV": _LOST,
    "ESTALE": _LOST,
    "ENOTCONN": _LOST,
    "ECONNRESET": _LOST,
    "EHOSTDOWN": _LOST,
    "EHOSTUNREACH": _LOST,
    "ETIMEDOUT": _LOST,
    "ENOLINK": _LOST,
    "EREMOTEIO": _LOST,
}
_BY_NUMBER = {
    number: reason for name, reason in _REASONS.items() if (number := getattr(errno, name, None))
}

_BY_WINDOWS_NUMBER = {
    206: "ENAMETOOLONG",
    **dict.fromkeys((21, 51, 53, 55, 59, 64, 67, 121, 1231, 1232), "ENODEV"),
    **dict.fromkeys((23, 1117), "EIO"),
    1224: "EACCES",  # mapped by a program
}
"""Windows' own numbers of what Python gives a number that says less."""
_WINDOWS_FULL = (39, 112, 1295)
_NO_LIBRARY = (126, 127, 182, 193, 1114)
"""Windows' numbers of a library that can't be loaded, or lacks one that it needs."""
_LONGEST_ON_WINDOWS = 247
"""Letters of a folder's path; 12 more for a file's."""

_FILES = {
    ("rasterio", "RasterioError"),
    ("rasterio", "CPLE_BaseError"),
    ("pyogrio", "DataSourceError"),
    ("pyogrio", "DataLayerError"),
    ("sqlite3", "Error"),
    ("zipfile", "BadZipFile"),
}
_SUBJECTS = {
    ("rasterio", "CRSError"),
    ("rasterio", "TransformError"),
    ("pyproj", "ProjError"),
    ("pyproj", "GeodError"),
    ("shapely", "ShapelyError"),
}
_SAID_BY_THE_SYSTEM = tuple(
    os.strerror(number)
    for name in ("EMFILE", "ENFILE", "ENOSPC", "EDQUOT", "EFBIG", "EIO", "ESTALE")
    if (number := getattr(errno, name, None))
)
"""In the words of libraries that raise errors of their own where a file fails, as torch does."""
_LONGEST = 300
"""Letters that are shown of what a library says."""


def is_full(error: OSError) -> bool:
    """Whether a disk, or what a user may write there, is full."""
    full = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows may know no quota
    return (
        error.errno in full
        or _windows_number(error) in _WINDOWS_FULL
        or "No space left" in str(error)
        or "(os error 112)" in str(error)  # of a library in Rust, in Windows' own language
    )


def reason(error: OSError) -> str:
    """Return why a file can't be read or written and how to mend it, without a full stop."""
    if is_full(error):
        return _FULL
    number = _windows_number(error)
    missing = system.is_windows() and error.errno == errno.ENOENT
    if missing and len(str(error.filename)) > _LONGEST_ON_WINDOWS:
        return "its path is longer than Windows takes: choose a shorter folder or name"
    if number in _BY_WINDOWS_NUMBER:
        return _REASONS[_BY_WINDOWS_NUMBER[number]]
    if error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    said = error.strerror or str(error) or type(error).__name__
    return f"the system says {_plain(said)!r}: check its disk, or choose another one"


def explain(error: BaseException) -> str:
    """Return a sentence on an error of a class that files, disks and numbers raise.

    Args:
        error: what came through to the end of a command.

    Returns:
        One sentence; "" for all others, which are bugs.
    """
    kinds = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(error).__mro__}
    if _windows_number(error) in _NO_LIBRARY or "DLL load failed" in str(error):
        return (
            f"A library of the engine can't be loaded ({_plain(str(error))}): install Microsoft's "
            'Visual C++ Redistributable (x64), then run "Set up the engine" again.'
        )
    quoted = isinstance(error, (RuntimeError, ImportError)) and any(
        words in str(error) for words in _SAID_BY_THE_SYSTEM
    )
    if quoted or kinds & _FILES:
        return (
            f"A file can't be read or written ({_plain(str(error))}): check the inputs, and "
            "whether the disk of the output has space."
        )
    if kinds & _SUBJECTS:
        return (
            f"A geometry or CRS of the inputs can't be computed with ({_plain(str(error))}): "
            "repair the layer's geometries, or check its CRS."
        )
    if isinstance(error, OSError):
        file = error.filename2 or error.filename
        what = os.fsdecode(file) if isinstance(file, (str, bytes)) else "A file"
        return f"{what} can't be read or written: {reason(error)}."
    if isinstance(error, UnicodeError):
        return (
            f"A name or text in the inputs is not valid Unicode ({_plain(str(error))}): rename the "
            "file, or save the layer as UTF-8."
        )
    if isinstance(error, OverflowError):
        return (
            f"A number is too large to calculate with ({_plain(str(error))}): check the numbers "
            "that were given, and the coordinates and values of the inputs."
        )
    if isinstance(error, RecursionError):
        return "An input is nested too deeply to be read: save it anew in a simpler form."
    return ""


def _windows_number(error: BaseException) -> int:
    """Return Windows' number of an error; 0 elsewhere."""
    return getattr(error, "winerror", 0) or 0


def trail(error: BaseException) -> str:
    """Return an error's class, message and the lines that it came through, in one line."""
    steps = traceback.extract_tb(error.__traceback__)[-8:]
    lines = " < ".join(f"{Path(step.filename).name}:{step.lineno}" for step in reversed(steps))
    return f"{type(error).__name__}: {_plain(str(error))} ({lines})"


def _plain(text: str) -> str:
    """Return a library's message as a part of a sentence: one line, not too long, no full stop."""
    line = re.sub(r"\b\w+Exception: ", "", " ".join(text.split())).rstrip(". ")
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."
