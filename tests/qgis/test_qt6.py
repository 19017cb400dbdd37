"""The QGIS side runs with Qt 5 and Qt 6 alike: no name and no call that QGIS 4 lacks.

The rules are those of QGIS's own migration script (pyqt5_to_pyqt6), which pyqgis4-checker runs too.
Which names are members of enums is asked of the QGIS at hand.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import qgis

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("landslide_plugin", "processing_algorithms", "tests/qgis")
SOURCES = [ROOT / "__init__.py", *(p for name in FOLDERS for p in (ROOT / name).rglob("*.py"))]
FILES = sorted(path for path in SOURCES if "qgis" in path.read_text(encoding="utf-8"))

ENUM_TYPES = {"enumtype", "EnumMeta", "EnumType"}
"""Types of enums: sip's own in Qt 5, Python's before 3.11 and since."""
GONE = {"QDesktopWidget", "QRegExp", "qApp", "resources_rc"}
RENAMED = {"exec_": "exec()", "activated[str]": "textActivated", "desktop": "primaryScreen()"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_qgis_4_has_all_that_is_used(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("from qgis.PyQt.QtCore import Qt\nQt.UserRole", "Qt.ItemDataRole.UserRole"),
        ("from qgis.core import Qgis as Q\nQ.Warning", "Q.MessageLevel.Warning"),
        ("import qgis.core\nqgis.core.QgsWkbTypes.Point", "qgis.core.QgsWkbTypes.Type.Point"),
        ("from qgis.PyQt.QtCore import QVariant\nQVariant.Int", "QMetaType.Type"),
        ("from PyQt5.QtCore import Qt", "qgis.PyQt"),
        ("import PyQt6.QtCore", "qgis.PyQt"),
        ("from qgis.PyQt.QtCore import QRegExp", "QRegExp is gone"),
        ("dialog.exec_()", "exec()"),
        ("box.activated[str].connect(print)", "textActivated"),
        ("widget.fontMetrics().width('m')", "horizontalAdvance()"),
        ("menu.addAction(icon, 'Map', run, 'Ctrl+M')", "QAction"),
        ("QDateTime(2026, 1, 31, 12, 0, 0, 0, 0)", "QTime"),
    ],
)
def test_what_qgis_4_lacks_is_found(code, fault):
    (result,) = faults(code)
    assert fault in result


@pytest.mark.parametrize(
    "code",
    [
        "from qgis.PyQt.QtCore import Qt\nQt.ItemDataRole.UserRole",
        "from qgis.core import QgsProcessing\nkind = QgsProcessing.SourceType\nkind.TypeRaster",
        "from qgis.PyQt.QtCore import QMetaType\nQMetaType.Type.QVariantMap",
        "from qgis.PyQt.QtCore import QVariant\nQVariant().isNull()",
        "from qgis.PyQt.QtWidgets import QAction\nmenu.addAction(QAction('Map'))",
        "from qgis.core import QgsProject\nQgsProject.instance",
    ],
)
def test_what_both_have_is_let_pass(code):
    assert faults(code) == []


def faults(source):
    """Return a sentence for each name or call in a Python source that QGIS 4 lacks."""
    nodes: list[Any] = list(ast.walk(ast.parse(source)))
    names = {}
    for node in nodes:
        names.update(imported(node))
    result = ((node, gone(node) or moved(node, names)) for node in nodes)
    return [f"line {node.lineno}: {fault}" for node, fault in result if fault]


def imported(node):
    """Return what the names of an import from QGIS stand for."""
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "qgis":
        module = importlib.import_module(node.module)
        return {a.asname or a.name: getattr(module, a.name, None) for a in node.names}
    if isinstance(node, ast.Import):
        ours = [a for a in node.names if a.name.split(".")[0] == "qgis"]
        modules = {a.asname or "qgis": importlib.import_module(a.name) for a in ours}
        return {name: qgis if name == "qgis" else module for name, module in modules.items()}
    return {}


def moved(node, names):
    """Return where a member of an enum stands that is named without its enum."""
    if not isinstance(node, ast.Attribute):
        return ""
    owner = resolved(node.value, names)
    kind = type(getattr(owner, node.attr, None))
    if owner is None or type(kind).__name__ not in ENUM_TYPES or owner is kind:
        return ""
    if ast.unparse(node.value) == "QVariant":
        return f"{ast.unparse(node)} is a type of QMetaType.Type"
    enum = next(name for name in dir(owner) if getattr(owner, name, None) is kind)
    return f"{ast.unparse(node)} is {ast.unparse(node.value)}.{enum}.{node.attr}"


def resolved(node, names):
    """Return what a dotted name stands for; None where it doesn't come from QGIS."""
    if isinstance(node, ast.Attribute):
        return getattr(resolved(node.value, names), node.attr, None)
    return names.get(node.id) if isinstance(node, ast.Name) else None


def gone(node):
    """Return what is to be used for a module, class or call that Qt 6 lacks."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        if any(name.startswith(("PyQt5", "PyQt6")) for name in modules):
            return "PyQt comes from qgis.PyQt"
        lacking = GONE.intersection(modules)
        return f"{', '.join(lacking)} is gone" if lacking else ""
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        text = ast.unparse(node)
        if text.endswith("etrics().width"):
            return "QFontMetrics has horizontalAdvance()"
        name = text.rpartition(".")[2]
        return f"{name} is {RENAMED[name]}" if name in RENAMED else ""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        if name == "addAction" and len(node.args) >= 4:
            return "addAction takes a QAction"
        if name == "QDateTime" and len(node.args) == 8:
            return "QDateTime takes a QDate and a QTime"
    return ""
