"""Tables for spreadsheets: CSV whose cells are values, never formulas."""

import csv
from collections.abc import Iterable
from pathlib import Path

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table; cells of undefined values (None) are empty.

    A name from a layer or file could begin like a formula, which a spreadsheet would run when it
    opens the table: an apostrophe goes before it, as OWASP's "CSV injection" advises. Numbers
    stay as they are.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows([_value(cell) for cell in row] for row in rows)


def _value(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(_BEGINS_FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
