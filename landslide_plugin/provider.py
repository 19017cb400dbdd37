"""The Processing provider: what it is called and which algorithms it has."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsProcessingModelAlgorithm, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..processing_algorithms import ALGORITHMS
from ..processing_algorithms.pages import help_page
from . import __version__
from .engine_lookup import ROOT

ID, NAME = "landslide", "Landslide Mapper"
ICON = ROOT / "icon.svg"
WORKFLOWS = ROOT / "processing_algorithms" / "workflows"
"""The graphical models that the plugin ships."""


class LandslideProvider(QgsProcessingProvider):
    """The provider `landslide`: algorithms first, then the models that chain them."""

    def id(self) -> str:
        """Return the prefix of all ids."""
        return ID

    def name(self) -> str:
        """Return what the Toolbox shows."""
        return NAME

    def versionInfo(self) -> str:
        """Return the plugin's version."""
        return __version__

    def icon(self) -> QIcon:
        """Return the icon of the Toolbox entry."""
        return QIcon(str(ICON))

    def svgIconPath(self) -> str:
        """Return the icon's file."""
        return str(ICON)

    def supportsNonFileBasedOutput(self) -> bool:
        """Return False: the engine writes files, never into memory or databases."""
        return False

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """Return the endings of GeoTIFF, which all output rasters are."""
        return ["tif", "tiff"]

    def loadAlgorithms(self) -> None:
        """Add the algorithms, and the models once the registry knows the algorithms in them."""
        for kind in ALGORITHMS:
            self.addAlgorithm(kind())
        if QgsApplication.processingRegistry().providerById(self.id()) is None:
            return
        for path in sorted(WORKFLOWS.glob("*.model3")):
            model = QgsProcessingModelAlgorithm()
            if model.fromFile(str(path)):
                model.setSourceFilePath(str(path))
                self.addAlgorithm(model)
                texts = model.helpContent()
                page = help_page(model, texts["ALG_DESC"].split("\n"))
                model.setHelpContent({**texts, "HELP_URL": page})
