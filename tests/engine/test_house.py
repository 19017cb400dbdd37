"""The house's rules: which room may know which, who may know QGIS, where a command stands."""

import ast
import sys
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.contract import choices
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS

from scripts.rooms import ENGINE, FLOOR, PICTURE, ROOT, arrows, imports, picture, room_of, sources

DOOR = {"engine_lookup.py", "engine_process.py", "gui.py", "plugin.py", "provider.py"}
"""Files of the engine's folder that QGIS runs, beside `setup/network.py`."""

LONGEST, LONGEST_OF_TESTS = 400, 450
"""Lines of a file."""


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


def test_the_picture_of_the_rooms_is_drawn_from_their_imports():
    drawn = picture(arrows())
    assert PICTURE.read_text(encoding="utf-8") == drawn, "python -m scripts.rooms draws it anew"


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
    source = ast.parse((ENGINE / f"{COMMANDS[command].replace('.', '/')}.py").read_text("utf-8"))
    public = [item.name for item in source.body if isinstance(item, ast.FunctionDef)]
    assert [name for name in public if name in COMMANDS] == [command]


def test_a_commands_parameters_stand_under_its_name():
    assert {name.lower() for name in choices.__all__} == {*COMMANDS, "setupengine"}


def test_what_is_made_of_more_than_four_values_has_them_named():
    """But for what QGIS's Python 3.9 reads too, which has no `kw_only`."""
    read_by_both = ("contract", "setup", "known_models.py")
    trees = {
        file: ast.parse(file.read_text("utf-8"))
        for file in sources()
        if not set(read_by_both) & set(file.parts)
    }
    nodes = [(file, node) for file, tree in trees.items() for node in ast.walk(tree)]
    records = {
        node.name
        for _, node in nodes
        if isinstance(node, ast.ClassDef)
        if any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    }
    by_place = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.func.id}"
        for file, node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in records and len(node.args) > 4
    ]
    assert not by_place


def test_an_algorithm_and_its_command_have_one_name():
    without_a_command = {"setupengine", "fetchmodel"}
    algorithms = {
        file.stem
        for file in (ROOT / "processing_algorithms").glob("*.py")
        if 'ID = "' in file.read_text(encoding="utf-8")
    } - {"algorithm"}
    assert algorithms - without_a_command == set(COMMANDS) - {"device"}


MANY_MEANINGS = {"place", "known", "found", "there", "share", "how", "own", "made"}
"""Plain words that have meant five things each; CONTRIBUTING lists those that mean one."""


def test_a_name_says_which_of_a_plain_words_meanings():
    """A reliability diagram's `share` is a key of the accuracy report, which users read."""
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    names = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (*sources(), *scripts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (getattr(node, key, None) for key in ("id", "attr", "arg", "name"))
        if name in MANY_MEANINGS
    }
    told = {f"landslide_plugin/evaluation/{name}.py: share" for name in ("figures", "probability")}
    assert names <= told


def test_a_file_is_as_long_as_can_be_read_in_one_go():
    folders = ("landslide_plugin", "models", "processing_algorithms", "scripts", "benchmarks",
               "experiments", "tests")  # fmt: skip
    long = {
        file.relative_to(ROOT).as_posix()
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if len(file.read_text(encoding="utf-8").splitlines())
        > (LONGEST_OF_TESTS if folder == "tests" else LONGEST)
    }
    assert not long
