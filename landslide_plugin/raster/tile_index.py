"""Tile indexes: layers of footprints whose field names the file of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..contract.errors import InputError
from ..core.access import is_format_allowed
from ..vector.parquet import is_parquet, require_parquet

LOCATION = "location"
"""The field that names the files, as gdaltindex has it."""
_VECTORS = (".gpkg", ".shp", ".fgb", ".geojson")


def read_index(file: Path) -> list[str]:
    """Return the files that a tile index names, in its order; none where it is no index.

    Raises:
        InputError: a footprint without a file.
    """
    if file.suffix.lower() not in _VECTORS:
        return []
    import pyogrio.raw  # here: it takes a moment
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        told = pyogrio.read_info(file)
        if LOCATION not in told["fields"] or not is_format_allowed(told["driver"]):
            return []
        _, _, _, columns = pyogrio.raw.read(file, columns=[LOCATION], read_geometry=False)
    except (DataSourceError, DataLayerError):
        return []
    return [_named(value, file) for value in columns[0]]


def read_parquet(file: Path) -> list[Mapping[str, Any]]:
    """Return the rows of a GeoParquet file but for their geometries; none where it is none.

    Raises:
        InputError: no package that reads it is installed, or it is damaged.
    """
    if not is_parquet(file):
        return []
    require_parquet(file)
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as opened:
            wanted = {LOCATION, "assets", "id", "datetime"} & set(opened.schema_arrow.names)
            rows: list[Mapping[str, Any]] = opened.read(columns=sorted(wanted)).to_pylist()
    except (ArrowException, OSError) as error:
        raise InputError(f"The index {file} can't be read: it is damaged.") from error
    return rows


def _named(value: Any, file: Path) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"The index {file} has a footprint without a file in {LOCATION}.")
    return value
