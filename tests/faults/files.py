"""What a file holds, without the moments at which it was written."""

import hashlib
import json
import re
from pathlib import Path

import geopandas as gpd
import rasterio
from safetensors import SafetensorError, safe_open

MOMENTS = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?|\d+(\.\d+)? s\b|(?i:seconds)\D{1,60}\d+"
)
PICTURES = re.compile(r"(data:image/\w+;base64,|<svg).*?(\"|</svg>)", re.DOTALL)


def fingerprint(path: Path) -> str:
    """Return a digest of what a file or folder holds, or why it can't be read."""
    try:
        return _digest(path)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        return f"unreadable: {error}"


def _digest(path: Path) -> str:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        content = "".join(f"{file.relative_to(path)} {_digest(file)}" for file in files)
        return hashlib.sha256(content.encode()).hexdigest()
    return hashlib.sha256(_content(path)).hexdigest()


def _content(path: Path) -> bytes:
    kind = path.suffix.lower()
    if kind == ".tif":
        return _raster(path)
    if kind in (".gpkg", ".shp"):
        frame = gpd.read_file(path, layer=path.stem)
        rows = frame.drop(columns="geometry").to_json()
        content: bytes = rows.encode() + b"".join(frame.geometry.to_wkb())
        return content
    if kind == ".safetensors":
        with safe_open(str(path), "np") as file:
            card = json.loads((file.metadata() or {})["stac_item"])
            tensors = [file.get_tensor(name).tobytes() for name in sorted(file.keys())]
        facts = {**card["properties"], "datetime": "", "landslide:training": ""}
        return json.dumps(facts, sort_keys=True).encode() + b"".join(tensors)
    if kind == ".html":
        text = path.read_text(encoding="utf-8")
        if not text.rstrip().endswith("</html>"):
            raise ValueError("the page has no end")
        return MOMENTS.sub("", PICTURES.sub("", text)).encode()
    if kind == ".json":
        return json.dumps(json.loads(path.read_text(encoding="utf-8")), sort_keys=True).encode()
    return path.read_bytes()


def _raster(path: Path) -> bytes:
    parts = []
    with rasterio.open(path) as dataset:
        parts += [json.dumps(dataset.tags(), sort_keys=True).encode(), dataset.read().tobytes()]
        parts += [json.dumps(dataset.descriptions).encode()]
        levels = len(dataset.overviews(1))
    for level in range(levels):
        with rasterio.open(path, overview_level=level) as dataset:
            parts.append(dataset.read().tobytes())
    return b"".join(parts)
