"""When a scene was taken, as its metadata says."""

import datetime
import re
from collections.abc import Iterator

from ..contract.tags import DATE
from .source import Source

KEYS = (
    DATE,
    "ACQUISITIONDATETIME",  # GDAL's own, domain IMAGERY
    "DATATAKE_1_DATATAKE_SENSING_START",  # Sentinel-2
    "PRODUCT_START_TIME",  # Sentinel
    "SENSING_TIME",
    "DATE_ACQUIRED",  # Landsat
    "ACQUISITION_DATE",
    "ACQUISITION_DATETIME",
)
"""Metadata items that hold it. TIFFTAG_DATETIME does not: it is when the file was made."""
_DAY = re.compile(r"(\d{4})[-:/]?(\d{2})[-:/]?(\d{2})(?!\d)")


def scene_date(raster: Source) -> str:
    """Return the day a scene was taken as year-month-day; "" where its metadata don't say."""
    tags = {key.upper(): value for key, value in _tags(raster)}
    for key in KEYS:
        match = _DAY.match(str(tags.get(key, "")).strip())
        if match:
            try:
                return datetime.date(*map(int, match.groups())).isoformat()
            except ValueError:  # 0000-00-00
                continue
    return ""


def _tags(raster: Source) -> Iterator[tuple[str, str]]:
    yield from raster.dataset.tags().items()
    yield from raster.dataset.tags(ns="IMAGERY").items()
