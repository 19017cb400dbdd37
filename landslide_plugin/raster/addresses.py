"""Names of files that stand in other files: relative ones, and addresses of the internet."""

from pathlib import Path, PurePosixPath

_BUCKETS = {"s3": "vsis3", "gs": "vsigs", "az": "vsiaz", "oss": "vsioss"}
"""What an address of an object store begins with, to GDAL's file system for it."""


def is_address(name: str) -> bool:
    """Whether a name is one of GDAL's file systems or of the internet."""
    return name.startswith("/vsi") or "://" in name


def beside(file: str | Path, name: str) -> str:
    """Return a name as GDAL takes it: what is relative lies beside the file that holds it."""
    scheme, _, rest = name.partition("://")
    if rest and scheme in ("http", "https"):
        return f"/vsicurl/{name}"
    if rest and scheme in _BUCKETS:
        return f"/{_BUCKETS[scheme]}/{rest}"
    if rest and scheme == "file":
        return rest
    if is_address(name):
        return name
    if is_address(str(file)):
        return str(PurePosixPath(str(file)).parent / name)
    return str(Path(file).parent / name)
