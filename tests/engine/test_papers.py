"""The tables of `experiments.papers`: what they ask of `train`, their data, and how they go on."""

import csv
import inspect
import json
import subprocess
import sys

import pytest
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.start import find_start
from landslide_mapper.landslide_plugin.training.train_command import train

from experiments.papers import __main__ as program
from experiments.papers.data import landslide4sense
from experiments.papers.tables import TABLES

from .conftest import ROOT

ROWS = [(name, row) for name, table in TABLES.items() for row in table.rows]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=lambda part: getattr(part, "slug", part))
def test_a_row_asks_for_what_there_is(name, row):
    settings = TABLES[name].settings(row, 0, quick=False)
    assert settings.keys() <= inspect.signature(train).parameters.keys()
    given = settings.get("backbone", ""), settings.get("pretrained", "none")
    assert find_start(settings["architecture"], *given, "", "").arguments is not None


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rows_are_compared_on_the_same_data(table):
    by_name = {row.name: row for row in table.rows}
    assert len({row.slug for row in table.rows}) == len(table.rows)
    assert all(by_name[row.base].data == row.data for row in table.rows if row.base)


@pytest.mark.parametrize("name", ["syang2022", "chen2022"])
def test_pretrained_weights_have_a_twin_that_differs_in_nothing_else(name):
    rows = {row.name: row.settings for row in TABLES[name].rows}
    pretrained = [name for name in rows if name.endswith(", lite0 pretrained") and "FL" not in name]
    assert pretrained
    for name in pretrained:
        assert {**rows[name], "pretrained": "none"} == rows[name.removesuffix(" pretrained")]


def test_parts_of_landslide4sense_never_touch(data_dir, tmp_path):
    landslide4sense(data_dir, str(tmp_path / "set"), train=30, validation=20, test=20)
    with (data_dir / "landslide4sense_rgb" / "layout.csv").open(newline="") as lines:
        places = {p["file"]: (p["area"], int(p["row"])) for p in csv.DictReader(lines)}
    rows = {"train": set(), "validation": set(), "test": set()}
    samples = SampleSet.read(tmp_path / "set").samples
    for sample in samples:
        area, row = places[sample.source]
        assert area == "A"
        rows[sample.split].add(row)
    assert len(samples) == 70
    assert max(rows["train"]) + 1 < min(rows["validation"])
    assert max(rows["validation"]) + 1 < min(rows["test"])


def test_what_is_measured_already_is_not_measured_again(tmp_path, monkeypatch):
    table = TABLES["defaults"]
    row = table.rows[0]
    known = {"settings": table.settings(row, 0, quick=False), "row": row.name}
    (tmp_path / f"{row.slug}-seed0.json").write_text(json.dumps(known))
    asked = []

    def fail(command, request):
        asked.append(request)
        raise SystemExit(1)

    monkeypatch.setattr(program, "run", fail)
    assert program._result(tmp_path, table, row, tmp_path, 0, quick=False) == known
    assert not asked
    assert program._result(tmp_path, table, row, tmp_path, 1, quick=False) is None
    assert len(asked) == 1


QUICK = {
    "defaults": "Mars, U-Net lite0",
    "syang2022": "U-Net, lite0 pretrained",
    "chen2022": "U-Net, lite0 pretrained",
    "ryang2022": "U-Net, imagery + factors + enhancement",
    "enhancement": "FC-DenseNet light + enhancement",
    "factors": "Mars, imagery + elevation + slope + thermal inertia",
    "terrain": "begun with rgb-vhr, imagery + slope + relative elevation",
    "gao2021": "ResU-Net, imagery + factors",
}
"""A light row of each table: all 81 take a quarter of an hour even when each is tiny."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_table_runs_through(name, data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_DATA", str(data_dir))
    command = [sys.executable, "-m", "experiments.papers", name, "--quick", "--seeds", "0"]
    subprocess.run([*command, "--only", QUICK[name], "--out", str(tmp_path)], cwd=ROOT, check=True)
    text = (tmp_path / "table.md").read_text()
    assert "Failed" not in text
    assert f"| {QUICK[name]} |" in text
