"""The algorithm `landslide:demoarea`."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterFolderDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .demo_layers import load
from .parameters import Declaration, advanced, asked


class DemoArea(EngineAlgorithm):
    """Declares the demo area."""

    ID = "demoarea"
    NAME = "Synthetic demo area"
    TAGS = ("example", "synthetic", "test data", "tutorial", "generator")
    HELP = """
        Generates a synthetic mountain area with image, DEM, rivers, faults, geology and
        landslides, to try every other algorithm on.

        When: for a first walk through the chain, for teaching and for tests. Nothing in it is
        real, and figures measured on it say nothing about real areas.

        Method: terrain with valleys carved along its own drainage; seven bands with forest,
        grass, bare soil, rock, fields, roads and river water, shaded by the relief; landslides
        that start more often on steep slopes, in weak rock and near rivers and faults, and run
        out along the flow. The same seed gives the same area, as long as engine and processor are
        the same: what they round otherwise moves landslides. UTM, 10 m. Run from the Toolbox, it
        loads the layers as a group: the image in natural colours, over geology and relief; without
        a project it only writes them.

        Source: made for this plugin; the factors behind its landslides are those of Gao et al.
        2021, IEEE JSTARS 14:7881.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield asked(choices.DemoArea.SEED), "Another seed gives another area."
        yield (
            advanced(asked(choices.DemoArea.SIZE)),
            "Width and height of the area in pixels of 10 m.",
        )
        yield (
            QgsProcessingParameterFolderDestination("FOLDER", "Folder of the demo area"),
            "The folder that the layers are written to.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add the layers in the folder as outputs, so that a model can go on with them."""
        super().initAlgorithm(configuration)
        kind = QgsProcessing.SourceType
        line, polygon = kind.TypeVectorLine, kind.TypeVectorPolygon
        for output in (
            QgsProcessingOutputRasterLayer("IMAGE", "Image"),
            QgsProcessingOutputRasterLayer("DEM", "DEM"),
            QgsProcessingOutputVectorLayer("RIVERS", "Rivers", line),
            QgsProcessingOutputVectorLayer("FAULTS", "Faults", line),
            QgsProcessingOutputVectorLayer("GEOLOGY", "Geology", polygon),
            QgsProcessingOutputVectorLayer("LANDSLIDES", "Landslides", polygon),
        ):
            self.addOutput(output)

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Generate the area, and have its layers loaded."""
        values = super().processAlgorithm(parameters, context, feedback)
        if values:  # not canceled
            names = {output.name(): output.description() for output in self.outputDefinitions()}
            title = f"{self.NAME}, seed {self._request.get('seed', 0)}"
            load(values, names, title, context)
        return values
