"""What may be read: no input that never ends and, on a server, what its operator allows.

Two environment variables are for those who run `worker.py` for others; unset, all is allowed.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess  # nosec B404
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree  # nosec B405

from ..contract.errors import InputError
from .system import exists, no_window

DRIVERS = "LANDSLIDE_DRIVERS"
"""GDAL's names of the formats that may be opened, parted by commas, such as "GTiff,GPKG"."""
PROTOCOLS = "LANDSLIDE_PROTOCOLS"
"""What may stand before a local path, parted by commas, such as "vsizip,gpkg,https"; "" = none."""

_NEEDED_DRIVERS = {"COG", "GTiff", "MEM", "VRT"}
"""Without these nothing can be written, rasterized, or told of classes; see `is_format_allowed`."""
_POINTERS = (
    "<VRTDataset", "<OGRVRT", "<GDAL_WM", "<WMS_", "<WMT_", "<WCS_GDAL", "<GDALTileIndex",
)  # fmt: skip
"""How files begin that tell where the data lie."""
_NO_ANSWERS = ("CURL error", "HTTP response code", "bucket does not exist")
"""What GDAL says of servers."""
_HEAD = 4096
_LONGEST = 2**24
_DEPTH = 5
_LIST_DRIVERS = (
    "import rasterio, pyogrio\n"
    "with rasterio.Env() as env: print(*env.drivers(), *pyogrio.list_drivers(), sep='\\n')"
)


def restrict_drivers() -> None:
    """Have GDAL leave out all formats but those that are allowed; call before it is imported.

    Raises:
        InputError: one that is allowed is not known.
    """
    allowed = _listed(DRIVERS)
    if allowed is None:
        return
    listed = subprocess.run(  # noqa: S603 - our own words, no shell  # nosec B603
        [sys.executable, "-c", _LIST_DRIVERS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=True,
        **no_window(),
    )
    names = set(listed.stdout.split("\n")) - {""}
    unknown = sorted(set(allowed) - names)
    if unknown:
        raise InputError(
            f"{DRIVERS} names {', '.join(unknown)}, which GDAL does not know here: give its short "
            "names of formats, such as GTiff,GPKG."
        )
    os.environ["GDAL_SKIP"] = ",".join(sorted(names - set(allowed) - _NEEDED_DRIVERS))


def restrict_network() -> None:
    """Have GDAL fetch nothing by its own file systems of the internet where none is allowed."""
    allowed = _listed(PROTOCOLS)
    if allowed is not None and not any(name.startswith(("http", "vsi")) for name in allowed):
        os.environ["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "none"


def require_allowed(name: str) -> None:
    """Refuse an input that may never answer, or that reaches where the operator does not allow.

    Args:
        name: a file's path or one of GDAL's names.

    Raises:
        InputError: it is a device or a pipe, or uses a protocol that is not allowed; so does what
            a virtual raster or layer points at.
    """
    _require_allowed(name, name, _DEPTH)


def require_ending(file: Path) -> None:
    """Refuse what is read without end.

    Raises:
        InputError: it is a device or a pipe.
    """
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError):
        return  # who opens it tells
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(
            f"The input {file} is a device or a pipe, which may never end: save it as a file."
        )


def no_answer(error: BaseException) -> str:
    """Return what to say of a server that did not answer, or said no; "" for other errors."""
    told = str(error).strip().rstrip(".")
    if "NO_SIGN_REQUEST" in told or "InvalidCredentials" in told:
        return (
            "can't be fetched: its object store wants keys, and the engine has none: set them in "
            "its environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of S3), or "
            "AWS_NO_SIGN_REQUEST=YES for what is open to all"
        )
    if any(words in told for words in _NO_ANSWERS):
        return (
            f"can't be fetched ({told}): check the address, the network and the keys, or download "
            "it first"
        )
    return ""


def is_format_allowed(driver: str) -> bool:
    """Whether a file of this format may be read; VRT is there in any case, but not for inputs."""
    allowed = _listed(DRIVERS)
    return allowed is None or driver in {*allowed, "GTiff", "MEM"}


def formats() -> str:
    """Return what to add where a file is of no format that may be opened."""
    allowed = _listed(DRIVERS)
    return "" if allowed is None else f"; allowed here are {', '.join(allowed)}"


def _require_allowed(name: str, given: str, depth: int) -> None:
    if "/vsistdin" in name:
        raise InputError(
            f"The input {given} reads what the request comes by, and would wait for ever: save it "
            "as a file."
        )
    file = Path(re.split(r",(?=/)", re.sub(r"^(/vsi\w+/)+", "/", name))[-1])
    if name:
        require_ending(file)
    allowed = _listed(PROTOCOLS)
    if allowed is None:
        return
    for protocol in _protocols(name):
        if protocol not in allowed:
            raise InputError(
                f"The input {given} uses {protocol}, which is not allowed here ({PROTOCOLS} is "
                f"{', '.join(allowed) or 'empty'}): give a file on this machine."
            )
    if depth and file.is_file():
        for pointed in _pointed(file):
            _require_allowed(pointed, given, depth - 1)


def _protocols(name: str) -> Iterator[str]:
    """Yield what stands before a path in a name, in lower case."""
    text = name.lower()
    if text.lstrip().startswith(("<", "{")):
        yield "inline"
        return
    yield from re.findall(r"/(vsi\w+)", text)
    for scheme in re.findall(r"([a-z][a-z0-9+.-]+)://", text):
        yield from scheme.split("+")
    prefix = re.match(r"([a-z][a-z0-9_.+-]+):(?!//)", text)  # a single letter is a drive
    if prefix and not exists(name):
        yield prefix[1]


def _pointed(file: Path) -> list[str]:
    """Return the names that a virtual raster or layer, or a raster's sidecar, may open."""
    sidecar = file.with_name(file.name + ".aux.xml")
    paths = re.findall(r"/vsi[^<\s]*", _text(sidecar)) if sidecar.is_file() else []
    head = _text(file, _HEAD)
    if not any(start in head for start in _POINTERS):
        return paths
    root = parse_xml(_text(file))
    if root is None:
        raise InputError(f"The input {file} can't be checked for what it opens: write it anew.")
    for element in root.iter():
        texts = [element.text or "", *element.attrib.values()]
        if element.tag not in ("SRS", "MDI"):
            paths += [text.strip() for text in texts if re.search(r"[/:\\.]", text)]
    return [_beside(file, text) for text in paths]


def _beside(file: Path, text: str) -> str:
    near = file.parent / text
    return str(near) if not Path(text).is_absolute() and exists(near) else text


def _text(file: Path, length: int = _LONGEST) -> str:
    with file.open("rb") as opened:
        return opened.read(length).decode("utf-8", errors="replace")


def _listed(variable: str) -> list[str] | None:
    """Return what a variable lists; None where it is not set."""
    text = os.environ.get(variable)
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    return [word.lower() if variable == PROTOCOLS else word for word in words if word]


def parse_xml(text: str) -> ElementTree.Element | None:
    """Return the root of a file of metadata; None where it is damaged or defines entities."""
    if "<!ENTITY" in text:  # which can be made to fill the memory
        return None
    try:
        return ElementTree.fromstring(text)  # noqa: S314  # nosec B314
    except ElementTree.ParseError:
        return None
