"""What QGIS's window has of the plugin: a menu under Raster, the first run's message, links."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QObject, QTimer, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices, QIcon
from qgis.PyQt.QtWidgets import QAction, QApplication, QPushButton

from . import __version__
from .contract.errors import LandslideError
from .engine_lookup import find_engine
from .provider import ICON, ID, NAME

MENU = (
    ("map", "Map landslides..."),
    ("setupengine", "Set up the engine..."),
    ("demoarea", "Synthetic demo area..."),
)
"""Algorithms in the menu Raster > Landslide Mapper."""

GREETED = "landslide_mapper/greeted"
"""QGIS's setting that holds the version whose first message was closed."""


class Window(QObject):
    """The plugin's part of QGIS's window; a QObject because only such follow links.

    Args:
        iface: QGIS's interface.
    """

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self._iface = iface
        self._actions: list[QAction] = []
        self._message: Any = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.greet)

    def show(self) -> None:
        """Add the menu, follow links to algorithms, and greet once QGIS's window stands."""
        for name, text in MENU:
            action = QAction(QIcon(str(ICON)), text, self._iface.mainWindow())
            action.triggered.connect(partial(_later, partial(open_dialog, name)))
            self._iface.addPluginToRasterMenu(NAME, action)
            self._actions.append(action)
        QDesktopServices.setUrlHandler(ID, self.follow)
        self._timer.start(0)

    def remove(self) -> None:
        """Take everything back."""
        self._timer.stop()
        QDesktopServices.unsetUrlHandler(ID)
        for action in self._actions:
            self._iface.removePluginRasterMenu(NAME, action)
            action.deleteLater()
        self._actions.clear()
        self._take_message_away()

    def greet(self) -> None:
        """Say what to do first where no engine is found, until closed; again with a new version."""
        lack = _what_lacks()
        if not lack or QgsSettings().value(GREETED) == __version__:
            return
        bar = self._iface.messageBar()
        self._message = bar.createMessage(NAME, lack)
        for text, what in (
            ("Set up the engine", self._set_up),
            ("Map a demo area", self._map_demo_area),
        ):
            button = QPushButton(text)
            button.clicked.connect(partial(_later, what))
            self._message.layout().addWidget(button)
        bar.widgetRemoved.connect(self._closed)
        QgsApplication.taskManager().allTasksFinished.connect(self._look_again)
        bar.pushWidget(self._message, Qgis.MessageLevel.Info, 0)

    @pyqtSlot(QUrl)
    def follow(self, url: QUrl) -> None:
        """Open the algorithm whose id a link is, in place of the message that holds the link."""
        message = QApplication.activeModalWidget()
        if message is not None:
            message.close()
        if QgsApplication.processingRegistry().algorithmById(url.toString()) is not None:
            _later(partial(open_dialog, url.path()))

    def _set_up(self) -> None:
        open_dialog("setupengine")
        self._look_again()

    def _map_demo_area(self) -> None:
        """Open the demo area's dialog and, when it is made, the map's with its layers."""
        area = open_dialog("demoarea")
        self._look_again()
        if area.get("IMAGE"):
            open_dialog("map", {key: area[key] for key in ("IMAGE", "DEM", "RIVERS")})

    def _closed(self, item: Any) -> None:
        """Remember that the user has read it."""
        if item is self._message:
            QgsSettings().setValue(GREETED, __version__)
            self._let_go()

    def _look_again(self) -> None:
        """Take the message away once there is an engine, whoever set it up."""
        if self._message is not None and not _what_lacks():
            self._take_message_away()

    def _take_message_away(self) -> None:
        if self._message is not None:
            message = self._message
            self._let_go()
            self._iface.messageBar().popWidget(message)

    def _let_go(self) -> None:
        """Listen no more to what concerns the message."""
        self._message = None
        self._iface.messageBar().widgetRemoved.disconnect(self._closed)
        QgsApplication.taskManager().allTasksFinished.disconnect(self._look_again)


def open_dialog(name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Open an algorithm's dialog, that of the set-up before it where there is no engine.

    Args:
        name: the algorithm's, without the provider's.
        parameters: what the dialog is filled with.

    Returns:
        The results of the last run; empty when it was not run.
    """
    from processing import execAlgorithmDialog

    if name != "setupengine" and _what_lacks():
        execAlgorithmDialog(f"{ID}:setupengine")
        if _what_lacks():
            return {}
    return execAlgorithmDialog(f"{ID}:{name}", parameters or {}) or {}


def _later(what: Callable[[], Any], *_: Any) -> None:
    """Do something once the click that asks for it is done with, whose button may go meanwhile."""
    QTimer.singleShot(0, what)


def _what_lacks() -> str:
    """Return in a few words why there is no engine; empty where there is one."""
    try:
        find_engine()
    except LandslideError as error:
        return str(error).split(": ")[0] + "."
    return ""
