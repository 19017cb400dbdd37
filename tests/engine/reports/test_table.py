"""Tables that a spreadsheet opens without running anything."""

import csv

import pytest
from landslide_mapper.landslide_plugin.reports.table import write_csv


def written(tmp_path, cell):
    path = tmp_path / "table.csv"
    write_csv(path, ["name"], [[cell]])
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1][0]


@pytest.mark.parametrize(
    "name", ["=1+1", "+a", "-2+3", "@SUM(A1)", "\tx", "\r=1", '=HYPERLINK("")']
)
def test_what_begins_like_a_formula_is_a_text(tmp_path, name):
    assert written(tmp_path, name) == f"'{name}"


@pytest.mark.parametrize("cell", ["-0.5", "+1", "-1e-07", -0.5, -3, "clay", "a=b", "-inf"])
def test_numbers_and_other_names_stay(tmp_path, cell):
    assert written(tmp_path, cell) == str(cell)


def test_what_is_not_defined_is_empty(tmp_path):
    assert written(tmp_path, None) == ""
