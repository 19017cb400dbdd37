"""Writing an inventory so that it opens well: aliases and a style in GeoPackages, short names."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import quoteattr  # nosec B406

import geopandas as gpd

from ..contract.fields import FIELDS
from ..core.progress import Progress
from ..vector.layers import write_vector

STYLE = Path(__file__).with_name("inventory.qml")
SHAPEFILE = (".shp", ".shz", ".shp.zip")
SHORT = {name: field.short for name, field in FIELDS.items() if field.short}


def write_inventory(
    frame: gpd.GeoDataFrame, output: str, progress: Progress, tags: Mapping[str, str] | None = None
) -> None:
    """Write an inventory.

    In a GeoPackage fields get aliases with their units, and the layer a style; in a Shapefile,
    names of more than ten letters are replaced by the fields' short ones.

    Args:
        frame: what `make_inventory` made.
        output: the layer to write.
        progress: told of names that change.
        tags: metadata items of the layer.

    Raises:
        OutputError: see `write_vector`.
    """
    ending = Path(output).suffix.lower()
    if output.lower().endswith(SHAPEFILE):
        frame = frame.rename(columns=SHORT)
        changed = ", ".join(f"{name} is {short}" for name, short in SHORT.items())
        progress.message(f"A Shapefile's names have at most ten letters: {changed}.")
    finish = _decorate if ending == ".gpkg" else None
    write_vector(frame, output, geometry_type="Polygon", finish=finish, tags=tags)


def _decorate(path: Path) -> None:
    """Add aliases (OGC 12-128r19, schema extension) and the style as QGIS keeps it."""
    layer = path.stem
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS gpkg_data_columns (table_name TEXT NOT NULL, "
            "column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT, "
            "constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name), "
            "CONSTRAINT gdc_tn UNIQUE (table_name, name))"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS gpkg_data_column_constraints (constraint_name TEXT NOT "
            "NULL, constraint_type TEXT NOT NULL, value TEXT, min NUMERIC, min_is_inclusive "
            "BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT, CONSTRAINT "
            "gdcc_ntv UNIQUE (constraint_name, constraint_type, value))"
        )
        definition = "http://www.geopackage.org/spec/#extension_schema"
        database.execute(
            "CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, "
            "extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL, "
            "CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))"
        )
        database.executemany(
            "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_schema', ?, 'read-write')",
            [("gpkg_data_columns", definition), ("gpkg_data_column_constraints", definition)],
        )
        database.executemany(
            "INSERT INTO gpkg_data_columns (table_name, column_name, name, title, description) "
            "VALUES (?, ?, ?, ?, ?)",
            [
                (layer, name, field.alias, field.alias, field.meaning)
                for name, field in FIELDS.items()
            ],
        )
        database.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
            "f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), "
            "f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, "
            "useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), "
            "update_time DATETIME DEFAULT CURRENT_TIMESTAMP)"
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES "
            "('layer_styles', 'attributes', 'layer_styles')"
        )
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
            "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner, "
            "update_time) VALUES ('', '', ?, 'geom', 'landslides', ?, '', 1, 'red outlines', '', "
            "strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",  # or GDAL warns whenever it is read
            (layer, _style()),
        )


def _style() -> str:
    """Return the style with the aliases, for GDAL before 3.7 doesn't read those in the file."""
    aliases = "".join(
        f'<alias index="{index}" field={quoteattr(name)} name={quoteattr(field.alias)}/>'
        for index, (name, field) in enumerate(FIELDS.items(), start=1)  # 0 is fid
    )
    style = STYLE.read_text(encoding="utf-8")
    return style.replace("<aliases/>", f"<aliases>{aliases}</aliases>")
