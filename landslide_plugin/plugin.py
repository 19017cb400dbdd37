"""The plugin as QGIS loads it: registers the provider and its setting."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QIcon

from .engine_lookup import SETTING
from .gui import Window
from .provider import ICON, NAME, LandslideProvider


class LandslideMapperPlugin:
    """Adds the provider to Processing, in QGIS and in qgis_process.

    Args:
        iface: QGIS's interface; None in qgis_process.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: LandslideProvider | None = None
        self.window: Window | None = None

    def initProcessing(self) -> None:
        """Register the setting and the provider; qgis_process calls this alone."""
        _add_setting()
        provider = LandslideProvider()
        if QgsApplication.processingRegistry().addProvider(provider):
            self.provider = provider
            provider.refreshAlgorithms()  # now with the models, whose algorithms are known

    def initGui(self) -> None:
        """Register all and show it in QGIS's window; QGIS calls this."""
        self.initProcessing()
        self.window = Window(self.iface)
        self.window.show()

    def unload(self) -> None:
        """Take everything back."""
        if self.window is not None:
            self.window.remove()
            self.window = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        _remove_setting()


def _add_setting() -> None:
    from processing.core.ProcessingConfig import ProcessingConfig, Setting

    ProcessingConfig.settingIcons[NAME] = QIcon(str(ICON))
    ProcessingConfig.addSetting(Setting(NAME, SETTING, "Engine Python", "", valuetype=Setting.FILE))
    ProcessingConfig.readSettings()


def _remove_setting() -> None:
    from processing.core.ProcessingConfig import ProcessingConfig

    ProcessingConfig.removeSetting(SETTING)
