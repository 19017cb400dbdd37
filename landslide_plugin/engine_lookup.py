"""Finds the engine's Python: the one that was named, the one made here, or QGIS's own."""

from __future__ import annotations

import importlib.util
import os
import subprocess  # nosec B404
import sys
from pathlib import Path

from qgis.core import QgsApplication

from .contract.errors import InputError, MissingPackageError
from .core import system
from .setup import home
from .setup.plan import Plan

ROOT = Path(__file__).resolve().parent.parent
SETTING = "LANDSLIDE_ENGINE_PYTHON"
VARIABLE = "LANDSLIDE_PYTHON"

PACKAGES = ("torch", "torchvision", "segmentation_models_pytorch", "rasterio", "geopandas")
"""What QGIS's own Python must have to serve as the engine."""

_DROPPED_PREFIXES = ("PYTHON", "__PYVENV_LAUNCHER__", "PROJ_", "GDAL_", "DYLD_")
"""QGIS's installers set these for its own Python, GDAL and PROJ; the last two on macOS."""


def find_engine() -> Path:
    """Return the engine's Python; see the design's look-up order.

    Raises:
        InputError: the one that was named is not there.
        MissingPackageError: there is none.
    """
    engine = named_engine()
    if engine is not None:
        return engine
    managed = home.find(home.home(), Plan())
    if managed is not None and _is_of_this_version(managed):
        return managed
    python = own_python()
    if python is not None and _has_packages(python):
        return python
    if managed is not None or earlier_folders():
        raise MissingPackageError(
            'The engine is of an earlier version: run "Set up the engine" (landslide:setupengine); '
            "it reuses what is there."
        )
    raise MissingPackageError(
        'The engine is not set up: run "Set up the engine" (landslide:setupengine) once, or '
        "name a Python that has the packages in Settings > Options > Processing > Providers > "
        'Landslide Mapper > "Engine Python".'
    )


def named_engine() -> Path | None:
    """Return the engine that somebody chose: by the setting, the variable, or a `.venv` here.

    Raises:
        InputError: setting or variable name a file that is not there.
    """
    for value, where in (
        (_setting(), 'the Processing setting "Engine Python"'),
        (os.environ.get(VARIABLE, ""), f"the environment variable {VARIABLE}"),
    ):
        if value and not Path(value).is_file():
            raise InputError(
                f"The engine's Python {value}, named by {where}, does not exist: correct it, or "
                'clear it and run "Set up the engine".'
            )
        if value:
            return Path(value)
    return _stamped(ROOT / ".venv")


def earlier_folders() -> list[Path]:
    """Return the engines that the first versions made in the QGIS profile."""
    folder = Path(QgsApplication.qgisSettingsDirPath()) / "landslide_mapper"
    return sorted(path for path in folder.glob("engine-*") if path.is_dir())


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would lead another Python astray."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.upper().startswith(_DROPPED_PREFIXES)
    }


def own_python() -> Path | None:
    """Return the interpreter that QGIS runs on, where there is one beside QGIS.

    In QGIS itself `sys.executable` may be QGIS, which would open a window if it were run: so on
    Windows and in the bundles of macOS, whose Python is at Contents/MacOS/bin/python3.
    """
    given, prefix = Path(sys.executable), Path(sys.exec_prefix)
    if system.is_windows():
        candidates = [prefix / "python.exe"]
    else:
        candidates = [prefix / "bin" / given.name, prefix / "bin" / "python3"]
    candidates += [given.parent / "bin" / "python3", given]
    return next((one for one in candidates if _is_python(one)), None)


def _is_python(path: Path) -> bool:
    return path.name.lower().startswith("python") and path.is_file()


def _stamped(folder: Path) -> Path | None:
    """Return an environment's Python if it was made to its end."""
    python = home.python_of(folder)
    return python if (folder / home.STAMP).is_file() and python.is_file() else None


def _is_of_this_version(python: Path) -> bool:
    """Return whether a managed engine holds the packages of this version; torch may be any."""
    return home.stamp_of(python.parent.parent).get("engine") == Plan().wanted()["engine"]


def _has_packages(python: Path) -> bool:
    """Return whether QGIS's own Python finds all packages, alone as well; that is asked once."""
    if not all(importlib.util.find_spec(name) for name in PACKAGES):
        return False
    if python not in _own_answer:
        script = (
            "import sys, importlib.util as u; "
            "sys.exit(not all(u.find_spec(name) for name in sys.argv[1:]))"
        )
        done = subprocess.run(  # noqa: S603 - QGIS's own interpreter, no shell  # nosec B603
            [str(python), "-c", script, *PACKAGES],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **system.no_window(),
        )
        _own_answer[python] = done.returncode == 0
    return _own_answer[python]


_own_answer: dict[Path, bool] = {}


def _setting() -> str:
    """Return the Processing setting; empty where Processing is not loaded."""
    try:
        from processing.core.ProcessingConfig import ProcessingConfig
    except ImportError:
        return ""
    return str(ProcessingConfig.getSetting(SETTING) or "").strip()
