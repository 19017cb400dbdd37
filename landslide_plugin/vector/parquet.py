"""GeoParquet, by the package pyarrow, which the engine does without elsewhere.

Source: GeoParquet 1.0 and 1.1: geometries as WKB, in the CRS that the file's metadata tell as
PROJJSON; where these are silent, longitudes and latitudes.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from ..contract.errors import InputError
from ..core.access import formats, is_format_allowed, require_allowed

PARQUET = (".parquet", ".geoparquet")
_USUAL = "OGC:CRS84"


def is_parquet(path: str | Path) -> bool:
    """Whether a name is one of Parquet."""
    return Path(path).suffix.lower() in PARQUET


def require_parquet(path: str | Path) -> None:
    """Refuse Parquet where nothing reads it.

    Raises:
        InputError: the package is missing, or the file or its format is not allowed.
    """
    require_allowed(str(path))
    if not is_format_allowed("Parquet"):
        raise InputError(f"The file {path} is of the format Parquet{formats()}.")
    if find_spec("pyarrow") is None:
        raise InputError(
            f"The engine's Python lacks the package pyarrow, which reads {path}: install it there, "
            "or save the layer as a GeoPackage."
        )


def read_geoparquet(path: str | Path) -> tuple[NDArray[np.object_] | None, CRS | None, Any]:
    """Read a file of GeoParquet.

    Returns:
        Its geometries, None where it tells none; their CRS, which may be unknown; a pyarrow table
        of its fields.

    Raises:
        InputError: see `require_parquet`, or it is missing, damaged or of another encoding.
    """
    require_parquet(path)
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    try:
        table = read_table(path)
        told = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
        if not told:
            return None, None, table
        name = told["primary_column"]
        encoded = table.column(name).to_numpy()
        geometries = shapely.from_wkb(encoded, on_invalid="fix")
        system = told["columns"][name].get("crs", _USUAL)
        crs = None if system is None else CRS.from_user_input(system)
    except (
        *(ArrowException, CRSError, shapely.errors.ShapelyError),
        *(OSError, ValueError, KeyError, TypeError),
    ) as error:
        raise InputError(
            f"The file {path} can't be read as GeoParquet: it is damaged, or its geometries are no "
            "WKB; save it as a GeoPackage."
        ) from error
    flat: NDArray[np.object_] = shapely.force_2d(geometries)
    return flat, crs, table.drop_columns([name])
