"""What QGIS's window has of the plugin: menu, first message, links, Help pages, Toolbox."""

import sys
from pathlib import Path
from unittest import mock

import pytest
import qgis.utils
from landslide_mapper import classFactory
from landslide_mapper.landslide_plugin import engine_lookup, gui
from landslide_mapper.processing_algorithms import ALGORITHMS
from qgis.core import QgsApplication, QgsSettings
from qgis.gui import QgsMessageBar, QgsProcessingToolboxProxyModel
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QMainWindow, QMenu, QPushButton


class Iface:
    """As much of QGIS's interface as the plugin asks for."""

    def __init__(self):
        self.window, self.raster = QMainWindow(), QMenu("Raster")
        self.bar = QgsMessageBar(self.window)

    def mainWindow(self):
        return self.window

    def messageBar(self):
        return self.bar

    def addPluginToRasterMenu(self, name, action):
        menus = [entry.menu() for entry in self.raster.actions() if entry.text() == name]
        (menus[0] if menus else self.raster.addMenu(name)).addAction(action)

    def removePluginRasterMenu(self, name, action):
        for entry in self.raster.actions():
            if entry.text() == name:
                entry.menu().removeAction(action)
                if not entry.menu().actions():
                    self.raster.removeAction(entry)

    def entries(self):
        return {a.text(): a for entry in self.raster.actions() for a in entry.menu().actions()}

    def buttons(self):
        item = self.bar.currentItem()
        return {b.text(): b for b in item.findChildren(QPushButton)} if item else {}


@pytest.fixture
def iface(qgis_processing, monkeypatch):
    result = Iface()
    monkeypatch.setattr(qgis.utils, "iface", result)
    QgsSettings().remove(gui.GREETED)
    yield result
    QgsSettings().remove(gui.GREETED)


@pytest.fixture
def plugin(iface, no_engine):
    """The plugin in QGIS's window, on a machine without engine."""
    plugin = classFactory(iface)
    plugin.initGui()
    QgsApplication.processEvents()
    yield plugin
    plugin.unload()


@pytest.fixture
def dialogs(monkeypatch):
    """Which dialogs get opened with what; `ran` says what an algorithm's run does and returns."""
    import processing

    opened, ran = [], {}

    def execute(algorithm, parameters=None):
        opened.append((algorithm, parameters or {}))
        return ran[algorithm]() if algorithm in ran else {}

    monkeypatch.setattr(processing, "execAlgorithmDialog", execute)
    return mock.Mock(opened=opened, ran=ran)


@pytest.fixture
def make_engine(monkeypatch):
    """What a successful run of the set-up changes: from then on there is an engine."""

    def make():
        monkeypatch.setenv(engine_lookup.VARIABLE, sys.executable)
        return {"ENGINE": sys.executable}

    return make


class TestMenu:
    def test_raster_has_the_algorithms_to_begin_with(self, plugin, iface):
        assert list(iface.entries()) == [
            "Map landslides...",
            "Set up the engine...",
            "Synthetic demo area...",
        ]

    def test_an_entry_opens_its_dialog(self, plugin, iface, dialogs, make_engine):
        make_engine()
        for action in iface.entries().values():
            action.trigger()
            QgsApplication.processEvents()
        names = ["landslide:map", "landslide:setupengine", "landslide:demoarea"]
        assert dialogs.opened == [(name, {}) for name in names]

    def test_without_engine_the_set_up_comes_first(self, plugin, iface, dialogs):
        iface.entries()["Map landslides..."].trigger()
        QgsApplication.processEvents()
        assert dialogs.opened == [("landslide:setupengine", {})]


class TestFirstMessage:
    def test_says_where_to_begin_where_there_is_no_engine(self, plugin, iface):
        assert list(iface.buttons()) == ["Set up the engine", "Map a demo area"]
        assert iface.bar.currentItem().text() == "The engine is not set up."

    def test_says_that_an_engine_is_of_an_earlier_version(self, plugin, iface, monkeypatch):
        iface.bar.popWidget(iface.bar.currentItem())
        QgsSettings().remove(gui.GREETED)
        monkeypatch.setattr(engine_lookup, "earlier_folders", lambda: [Path("engine-0.1.0")])
        plugin.window.greet()
        assert iface.bar.currentItem().text() == "The engine is of an earlier version."

    def test_is_not_shown_where_there_is_one(self, iface, no_engine, make_engine):
        make_engine()
        plugin = classFactory(iface)
        plugin.initGui()
        QgsApplication.processEvents()
        assert iface.bar.currentItem() is None
        plugin.unload()

    def test_goes_when_the_engine_is_set_up(self, plugin, iface, dialogs, make_engine):
        dialogs.ran["landslide:setupengine"] = make_engine
        iface.buttons()["Set up the engine"].click()
        QgsApplication.processEvents()
        assert dialogs.opened == [("landslide:setupengine", {})]
        assert iface.bar.currentItem() is None

    def test_goes_when_the_engine_is_set_up_from_the_toolbox(self, plugin, iface, make_engine):
        done = QgsApplication.taskManager().allTasksFinished
        done.emit()
        assert iface.bar.currentItem() is not None
        make_engine()
        done.emit()
        assert iface.bar.currentItem() is None

    def test_stays_when_the_set_up_was_left(self, plugin, iface, dialogs):
        iface.buttons()["Set up the engine"].click()
        QgsApplication.processEvents()
        assert list(iface.buttons()) == ["Set up the engine", "Map a demo area"]

    def test_a_demo_area_is_set_up_made_and_mapped(self, plugin, iface, dialogs, make_engine):
        area = {"IMAGE": "i.tif", "DEM": "d.tif", "RIVERS": "r.gpkg"}
        dialogs.ran["landslide:setupengine"] = make_engine
        dialogs.ran["landslide:demoarea"] = lambda: {**area, "FOLDER": "f"}
        iface.buttons()["Map a demo area"].click()
        QgsApplication.processEvents()
        assert dialogs.opened == [
            ("landslide:setupengine", {}),
            ("landslide:demoarea", {}),
            ("landslide:map", area),
        ]

    def test_closed_it_comes_back_with_a_new_version_only(self, plugin, iface, monkeypatch):
        iface.bar.popWidget(iface.bar.currentItem())  # as its close button does
        plugin.window.greet()
        assert iface.bar.currentItem() is None
        monkeypatch.setattr(gui, "__version__", "99.0")
        plugin.window.greet()
        assert iface.bar.currentItem() is not None


class TestUnload:
    def test_leaves_nothing(self, iface, no_engine):
        listeners = iface.bar.receivers(iface.bar.widgetRemoved)
        plugin = classFactory(iface)
        plugin.initGui()
        QgsApplication.processEvents()
        window = plugin.window
        plugin.unload()
        QgsApplication.processEvents()
        assert iface.raster.actions() == []
        assert iface.bar.currentItem() is None
        assert QgsSettings().value(gui.GREETED) is None
        assert QgsApplication.processingRegistry().providerById("landslide") is None
        assert iface.bar.receivers(iface.bar.widgetRemoved) == listeners
        assert not window._timer.isActive()

    def test_before_the_message_was_shown_it_never_is(self, iface, no_engine):
        plugin = classFactory(iface)
        plugin.initGui()
        window = plugin.window
        plugin.unload()
        QgsApplication.processEvents()
        assert iface.bar.currentItem() is None
        del window  # which lived on


class TestLink:
    def test_cannot_be_run_links_to_the_set_up(self, plugin, dialogs):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("landslide:map")
        fine, message = algorithm.canExecute()
        assert not fine
        assert '<a href="landslide:setupengine">' in message
        assert QDesktopServices.openUrl(QUrl("landslide:setupengine"))
        QgsApplication.processEvents()
        assert dialogs.opened == [("landslide:setupengine", {})]

    def test_without_a_window_the_message_is_plain(self, plugin, monkeypatch):
        monkeypatch.setattr(qgis.utils, "iface", None)
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("landslide:map")
        assert "<" not in algorithm.canExecute()[1]

    def test_a_link_to_no_algorithm_opens_nothing(self, plugin, dialogs):
        QDesktopServices.openUrl(QUrl("landslide:nothing"))
        QgsApplication.processEvents()
        assert dialogs.opened == []


class TestHelp:
    def test_each_algorithm_and_model_has_a_page_that_tells_of_its_parameters(self, provider):
        algorithms = provider.algorithms()
        assert len(algorithms) > len(ALGORITHMS)
        for algorithm in algorithms:
            url = QUrl(algorithm.helpUrl())
            assert url.isLocalFile(), algorithm.name()
            page = Path(url.toLocalFile()).read_text(encoding="utf-8")
            assert f"<h1>{algorithm.displayName()}</h1>" in page
            for parameter in algorithm.parameterDefinitions():
                assert f"<code>{parameter.name()}</code>" in page


def test_the_toolbox_begins_with_the_set_up(provider):
    model = QgsProcessingToolboxProxyModel(None, QgsApplication.processingRegistry())
    rows = [model.index(row, 0) for row in range(model.rowCount())]
    row = next(index for index in rows if index.data() == "Landslide Mapper")
    names = [model.index(number, 0, row).data() for number in range(model.rowCount(row))]
    assert names[:2] == ["Set up the engine", "Synthetic demo area"]
