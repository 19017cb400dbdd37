"""The house's rules: which room may know which, who may know QGIS, where a command stands."""

import ast
import sys
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.worker import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "landslide_plugin"

FLOORS = (
    {"contract"},
    {"core", "request.py"},
    {"outputs"},
    {"setup", "vector"},
    {"engine_lookup.py", "models"},
    {"engine_process.py", "raster"},
    {"inventory", "processing_algorithms", "reports", "samples"},
    {"evaluation", "factors", "inference", "provider.py"},
    {"chain", "demo", "gui.py", "training"},
    {"plugin.py"},
)
"""Rooms from the ground up: folders, and the files that stand alone. Imports only go down."""

DOOR = {"engine_lookup.py", "engine_process.py", "gui.py", "plugin.py", "provider.py"}
"""Files of the engine's folder that QGIS runs, beside `setup/network.py`."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(file):
    """Return the room that a file of the project stands in."""
    inside = file.relative_to(ENGINE if file.is_relative_to(ENGINE) else ROOT)
    return inside.parts[0]


def sources():
    folders = (ENGINE, ROOT / "models", ROOT / "processing_algorithms")
    return [file for folder in folders for file in sorted(folder.rglob("*.py"))]


def imports(file):
    """Yield each import's line, and the file of this project or the package that is imported."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                places = (base / f"{alias.name}.py", base.with_suffix(".py"), base / "__init__.py")
                yield node.lineno, next(place for place in places if place.is_file())


def test_every_room_has_its_floor():
    rooms = {room_of(file) for file in sources()} - {"__init__.py", "worker.py"}
    assert rooms == set(FLOOR)


def test_imports_only_go_down():
    up = [
        f"{file.relative_to(ROOT)}:{line} imports {other.relative_to(ROOT)}"
        for file in sources()
        if room_of(file) in FLOOR
        for line, other in imports(file)
        if isinstance(other, Path) and room_of(other) in FLOOR
        if room_of(other) != room_of(file) and FLOOR[room_of(other)] >= FLOOR[room_of(file)]
    ]
    assert not up


def test_qgis_stays_at_the_door():
    knows = {
        file.relative_to(ENGINE).as_posix()
        for file in ENGINE.rglob("*.py")
        if any(name in ("qgis", "processing") for _, name in imports(file))
    }
    assert knows <= {*DOOR, "setup/network.py"}


def test_what_both_pythons_agree_on_needs_the_standard_library_alone():
    others = [name for file in (ENGINE / "contract").rglob("*.py") for _, name in imports(file)]
    assert {name for name in others if not isinstance(name, Path)} <= sys.stdlib_module_names


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_stands_in_a_file_of_its_name(command):
    assert COMMANDS[command].endswith(f".{command}_command")
    source = ast.parse((ENGINE / f"{COMMANDS[command].replace('.', '/')}.py").read_text("utf-8"))
    public = [item.name for item in source.body if isinstance(item, ast.FunctionDef)]
    assert [name for name in public if name in COMMANDS] == [command]


def test_an_algorithm_and_its_command_have_one_name():
    without_a_command = {"setupengine", "fetchmodel"}
    algorithms = {
        file.stem
        for file in (ROOT / "processing_algorithms").glob("*.py")
        if 'ID = "' in file.read_text(encoding="utf-8")
    } - {"algorithm"}
    assert algorithms - without_a_command == set(COMMANDS) - {"device"}
