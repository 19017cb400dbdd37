"""The QGIS side runs on Python 3.9, which QGIS 3.22 to 3.34 have on Windows and macOS."""

import ast
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGIN = ("__init__.py", "landslide_plugin/plugin.py", "landslide_plugin/setup/__main__.py")
LATER = {
    "zip": "strict",  # 3.10
    "dataclass": "slots kw_only",  # 3.10
    "write_text": "newline",  # 3.10
}
"""Function to keywords that it has since a later Python."""
NEWER = (
    "itertools.pairwise itertools.batched datetime.UTC hashlib.file_digest types.UnionType "
    "contextlib.chdir contextlib.aclosing typing.Self typing.TypeAlias typing.assert_never "
    "typing.override enum.StrEnum tomllib inspect.get_annotations math.cbrt warnings.deprecated"
).split()
"""What the standard library has since a later Python."""


def imported(tree, file):
    """Yield the files of this project that are imported when a file is, so not in functions."""
    for node in top_level(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = file.parents[node.level - 1]
            base = folder.joinpath(*(node.module or "").split("."))
            for name in [base, *(base / alias.name for alias in node.names)]:
                yield from (
                    path
                    for path in (name.with_suffix(".py"), name / "__init__.py")
                    if path.is_file()
                )


def top_level(node):
    """Yield the statements that run on import, without those that are for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from top_level(child)


def parsed(file):
    return ast.parse(file.read_text(encoding="utf-8"), str(file), feature_version=(3, 9))


def qgis_side():
    """Return the files that QGIS's Python imports."""
    waiting = {ROOT / name for name in BEGIN} | set((ROOT / "processing_algorithms").rglob("*.py"))
    seen = set()
    while waiting:
        file = waiting.pop()
        seen.add(file)
        waiting |= set(imported(ast.parse(file.read_text(encoding="utf-8")), file)) - seen
    return sorted(file.relative_to(ROOT).as_posix() for file in seen)


@pytest.mark.parametrize("name", qgis_side())
class TestEachFile:
    def test_is_checked_by_the_linter_as_python_3_9(self, name):
        """A file that the QGIS side begins to import belongs into pyproject.toml's list."""
        rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        targets = rules["tool"]["ruff"]["per-file-target-version"]
        result = [targets[glob] for glob in targets for each in spelt(glob) if fnmatch(name, each)]
        assert "py39" in result

    def test_has_no_syntax_of_a_later_one(self, name):
        assert parsed(ROOT / name)

    def test_joins_no_types_by_a_bar_when_it_runs(self, name):
        """Annotations are texts, where a file says so; `isinstance(x, int | str)` is 3.10's."""
        tree = parsed(ROOT / name)
        text = ast.unparse(tree)
        if "|" in text:
            assert "from __future__ import annotations" in text or not annotated_by_a_bar(tree)
        for node in without_annotations(tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
                sides = [ast.unparse(side) for side in (node.left, node.right)]
                assert not any(is_type(side) for side in sides), f"{name}:{node.lineno}"

    def test_uses_nothing_of_a_later_standard_library(self, name):
        tree = parsed(ROOT / name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in NEWER, f"{name}:{node.lineno}"
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
                assert not names & set(NEWER), f"{name}:{node.lineno}"
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).split(".")[-1]
                words = {word.arg for word in node.keywords}
                assert not words & set(LATER.get(called, "").split()), f"{name}:{node.lineno}"


def spelt(glob):
    """Return the patterns that one with names in braces stands for."""
    ((before, names, after),) = re.findall(r"^([^{]*)\{?([^}]*)\}?(.*)$", glob)
    return [f"{before}{name}{after}" for name in names.split(",")]


def without_annotations(node):
    """Yield the expressions that are evaluated."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from without_annotations(child)


def annotated_by_a_bar(tree):
    notes = [
        getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")
    ]
    return any("|" in ast.unparse(note) for note in notes if isinstance(note, ast.AST))


def is_type(text):
    """Whether an operand is a type, rather than a flag of Qt or QGIS, which has a dot."""
    builtin = r"(int|float|str|bool|bytes|list|tuple|dict|set|None|Path)(\[.*\])?"
    return re.fullmatch(builtin, text) is not None


def test_the_rules_find_what_they_are_for():
    tree = ast.parse(
        "x = isinstance(1, list | tuple)\ny = Flag.A | Flag.B\ndef f(a: int | None): ..."
    )
    bars = [node for node in without_annotations(tree) if isinstance(node, ast.BinOp)]
    assert [is_type(ast.unparse(node.left)) for node in bars] == [True, False]
    assert annotated_by_a_bar(tree)
    with pytest.raises(SyntaxError):
        ast.parse("match 1:\n    case 1: ...", feature_version=(3, 9))
