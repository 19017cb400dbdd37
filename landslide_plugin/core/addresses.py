"""Names of files that stand in other files or folders: relative ones, addresses of the internet."""

import os
import re
import urllib.request
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path, PurePath
from urllib.parse import urljoin
from urllib.request import url2pathname

from ..contract.errors import InputError
from .access import require_allowed

RASTERS = (".tif", ".tiff", ".jp2", ".img", ".bil", ".asc", ".hgt")
"""How the names of a folder's rasters end. A VRT in it is made of the others, mostly."""

_BUCKETS = {"s3": "vsis3", "gs": "vsigs", "az": "vsiaz", "oss": "vsioss"}
"""What an address of an object store begins with, to GDAL's file system for it."""

_STAMPS = ("ETag", "Last-Modified", "Content-Range")
_PATIENCE = 20.0
"""Seconds."""
_LONGEST = 2**24
"""Bytes of a list that are read."""


def is_address(name: str) -> bool:
    """Whether a name is one of GDAL's file systems or of the internet."""
    return name.startswith("/vsi") or "://" in name


def is_remote(name: str) -> bool:
    """Whether a name is one of a file that lies on a server."""
    return bool(re.search(r"/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)", name)) or (
        "://" in name and not name.startswith("file://")
    )


def stamp(name: str) -> str:
    """Return what a server says of a file that it says otherwise once it is another one.

    Args:
        name: as GDAL takes it.

    Returns:
        ETag, time of change and size; "" of files on this machine and in object stores, which want
        a signature.

    Raises:
        InputError: the server does not answer, or no more has the file.
    """
    address = re.fullmatch(r"/vsicurl/(https?://.+)", name)
    if address is None:
        return ""
    request = urllib.request.Request(address[1], headers={"Range": "bytes=0-0"})  # noqa: S310 - http
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310  # nosec B310
            told = [answer.headers.get(key, "") for key in _STAMPS]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{address[1]} can't be fetched any more ({error}): check the network and run it again."
        ) from error
    return " ".join(told).strip()


def web_address(name: str) -> str:
    """Return the address of http or https that a name is, also as GDAL writes it; else ""."""
    address = name.removeprefix("/vsicurl/")
    return address if address.lower().startswith(("http://", "https://")) else ""


def as_gdal(name: str) -> str:
    """Return a name as GDAL takes it, in a virtual raster too; a path stays as it is."""
    if address := web_address(name):
        return f"/vsicurl/{address}"
    scheme, _, rest = name.partition("://")
    if rest and scheme in _BUCKETS:
        return f"/{_BUCKETS[scheme]}/{rest}"
    return url2pathname(rest) if rest and scheme == "file" else name


def beside(file: str | Path, name: str) -> str:
    """Return a name as GDAL takes it: what is relative lies beside the file that holds it."""
    if is_address(name):
        return as_gdal(name)
    if address := web_address(str(file)):
        try:
            return as_gdal(urljoin(address, name))
        except ValueError:  # brackets that are no address: who opens it tells
            return as_gdal(f"{address}/{name}")
    if not is_address(str(file)):
        return str(Path(file).parent / name)
    steps = as_gdal(str(file)).split("/")[:-1]
    for step in name.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step != ".":
            steps.append(step)
    return "/".join(steps)


def names_in(file: Path, endings: tuple[str, ...]) -> list[str]:
    """Return the names in a text file, one a line; none where it is no list of such.

    Args:
        file: the list, which ends in .txt; what is relative in it lies `beside` it.
        endings: of names of files that need not lie here; what follows a bar is none of them.

    Raises:
        OSError: it can't be read.
    """
    if file.suffix.lower() != ".txt" or not os.path.isfile(file):
        return []
    with file.open("rb") as opened:
        content = opened.read(_LONGEST)
    encoding = "utf-16" if content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"
    lines = [line.strip() for line in content.decode(encoding, "replace").splitlines()]
    names = [line.strip('"') for line in lines if line]  # Windows copies paths with these
    first = names[0].split("|")[0] if names else ""  # a text grid begins with no name
    is_name = is_address(first) or first.lower().endswith(endings)
    return names if is_name or (first and Path(beside(file, first)).is_file()) else []


def is_folder(name: str | Path) -> bool:
    """Whether a name is that of a folder: here, or with a slash at its end in a store, archive."""
    text = str(name)
    in_store = is_address(text) and text.endswith("/") and not web_address(text)
    return in_store or os.path.isdir(text)


def files_in(folder: str | Path, endings: tuple[str, ...]) -> list[str]:
    """Return the paths of a folder's files with some endings, by name; not those deeper down.

    Raises:
        OSError: it can't be read.
        InputError: it lies in a store or archive that can't be listed, or is not allowed.
    """
    files = _in_store(str(folder)) if is_address(str(folder)) else _here(Path(folder))
    return sorted(
        file
        for file in files
        if file.lower().endswith(endings) and not PurePath(file).name.startswith(".")
    )


def _here(folder: Path) -> list[str]:
    """Return all but folders: a link to what is gone is a file that whoever opens it misses."""
    return [str(file) for file in folder.iterdir() if not file.is_dir()]


def _in_store(folder: str) -> list[str]:
    from pyogrio import vsi_listtree  # here: it takes a moment

    require_allowed(folder)
    name = as_gdal(folder).rstrip("/")
    try:
        files = vsi_listtree(f"{name}/")
    except OSError as error:
        raise InputError(
            f"The folder {folder} can't be listed: check its name, the network, and the keys in "
            "the engine's environment."
        ) from error
    return [file for file in files if file.rpartition("/")[0] == name]
