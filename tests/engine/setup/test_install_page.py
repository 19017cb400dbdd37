"""The page on installation says what the set-up will tell."""

import re
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.setup.machine import Machine
from landslide_mapper.landslide_plugin.setup.plan import Plan

PAGE = Path(__file__).resolve().parents[3] / "docs" / "install.md"
MACHINES = {
    "Linux, x86_64": Machine("Linux"),
    "Windows": Machine("Windows"),
    "macOS, Apple silicon": Machine("Darwin", "aarch64", 15),
}
ROWS = re.findall(
    r"^\| (.+) \| (.+) \| ([\d.]+) GB \| ([\d.]+) GB \|$", PAGE.read_text("utf-8"), re.M
)


@pytest.mark.parametrize("system, builds, download, disk", ROWS)
def test_its_sizes_are_those_of_the_locks(system, builds, download, disk):
    for torch in ("cpu", "pypi") if builds == "all" else builds.split(", "):
        sizes = Plan(torch=torch, machine=MACHINES[system]).sizes("3.12")
        assert f"{sizes['download'] / 1e9:.1f}" == download, torch
        assert f"{sizes['disk'] / 1e9:.1f}" == disk, torch


def test_it_has_rows_of_each_system():
    assert {row[0] for row in ROWS} == set(MACHINES)


@pytest.mark.parametrize(
    "system",
    ["Windows", "macOS", "Debian, Ubuntu", "Fedora", "Flatpak", "Snap", "Servers",
     "Without internet", "Proxies", "GPU"],
)  # fmt: skip
def test_each_system_has_its_section(system):
    assert re.search(rf"^## {system}", PAGE.read_text("utf-8"), re.M)
