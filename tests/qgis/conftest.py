"""Fixtures of the tests of the QGIS side; they run where the engine's packages are not."""

import os
from pathlib import Path
from unittest import mock

import pytest
from landslide_mapper import classFactory
from landslide_mapper.landslide_plugin import engine_lookup
from landslide_mapper.landslide_plugin.setup import home
from processing.gui import Postprocessing
from qgis.core import (
    QgsApplication,
    QgsLayerTreeModel,
    QgsProcessingFeedback,
    QgsProject,
)
from qgis.gui import QgsLayerTreeView

ROOT = Path(__file__).resolve().parents[2]


class Recorder(QgsProcessingFeedback):
    """Keeps what an algorithm reports; cancels itself at a message that holds `cancel_at`."""

    def __init__(self, cancel_at=None):
        super().__init__(False)
        self.infos, self.warnings, self.errors, self.log, self.percents = [], [], [], [], []
        self._cancel_at = cancel_at
        self.progressChanged.connect(self.percents.append)

    def pushInfo(self, info):
        self.infos.append(info)
        if self._cancel_at and self._cancel_at in info:
            self.cancel()

    def pushWarning(self, warning):
        self.warnings.append(warning)

    def pushDebugInfo(self, info):
        self.log.append(info)

    def reportError(self, error, fatalError=False):
        self.errors.append(error)


@pytest.fixture
def recorder():
    return Recorder


@pytest.fixture
def feedback():
    return Recorder()


@pytest.fixture(scope="module")
def provider(qgis_processing):
    """The provider as QGIS has it while the plugin is loaded."""
    registry = QgsApplication.processingRegistry()
    if registry.providerById("landslide") is not None:
        registry.removeProvider("landslide")
    plugin = classFactory(None)
    plugin.initProcessing()
    yield plugin.provider
    plugin.unload()


@pytest.fixture(scope="session")
def engine_python():
    """The engine's Python; tests that need the true engine are skipped where there is none."""
    folder = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    path = Path(os.environ.get("LANDSLIDE_PYTHON") or ROOT / ".venv" / folder)
    if not path.exists():
        pytest.skip(f"the engine's Python {path} is absent")
    return path


@pytest.fixture
def engine(engine_python, monkeypatch):
    """The true engine, found by the environment variable."""
    monkeypatch.setenv(engine_lookup.VARIABLE, str(engine_python))
    return engine_python


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    """A machine without any engine."""
    monkeypatch.delenv(engine_lookup.VARIABLE, raising=False)
    monkeypatch.setattr(engine_lookup, "ROOT", tmp_path / "plugin")
    monkeypatch.setattr(engine_lookup, "earlier_folders", list)
    monkeypatch.setenv(home.VARIABLE, str(tmp_path / "home"))


@pytest.fixture
def project(qgis_app, monkeypatch):
    """An empty project, whose layers a panel shows; QGIS 3.44 wants a real one."""
    project, panel = QgsProject.instance(), QgsLayerTreeView()
    project.clear()
    panel.setModel(QgsLayerTreeModel(project.layerTreeRoot(), panel))
    window = mock.Mock()
    window.layerTreeView.return_value = panel
    monkeypatch.setattr(Postprocessing, "iface", window, raising=False)
    yield project
    project.clear()
