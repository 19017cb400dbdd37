"""The algorithm `landslide:exportmodel`."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterFileDestination,
    QgsProcessingUtils,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, asked, model_file


class ExportModel(EngineAlgorithm):
    """Declares the export."""

    ID = "exportmodel"
    NAME = "Export a model"
    GROUP = "Samples and training"
    TAGS = ("onnx", "deepness", "stac", "mlm", "deep learning", "model card")
    HELP = """
        Writes a model for other programs: its network as ONNX, or its description as a STAC item.

        When: to run a model in Deepness or any program that reads ONNX, or to list it in a STAC
        catalogue. Predict landslide probability runs such ONNX files too.

        Method: the ONNX file gives probabilities, calibrated by the model's temperature, and holds
        both the STAC item with the Machine Learning Model extension and the keys that Deepness
        reads. Before it is written ONNX Runtime runs it, and its probabilities have to be those of
        PyTorch within 0.0001. Deepness gives a model its bands by number, not by name, reads
        8-bit images only, and does not bring a scene to the light that some models want.

        Sources: ONNX, onnx.ai; STAC MLM extension 1.4; Aszkowski et al. 2023, SoftwareX
        23:101495 (Deepness).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield model_file(), "A model made by Train a model; for ONNX one that marks pixels."
        yield (
            asked(choices.ExportModel.FORMAT),
            "ONNX for the network with its description, a STAC item for the description alone.",
        )
        yield (
            advanced(asked(choices.ExportModel.TILE_SIZE)),
            "Width and height of the ONNX model's tiles, rounded up to a multiple of 32; 0 for the "
            "model's own.",
        )
        yield (
            advanced(asked(choices.ExportModel.ANY_SIZE)),
            "Let tiles have any size that is a multiple of 32; Deepness can't open such a file.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "OUTPUT", "Exported model", "ONNX model (*.onnx);;STAC item (*.json)"
            ),
            "The file to write, ending in .onnx or, for a STAC item, .json.",
        )

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Export; a temporary file gets the ending of its format, which QGIS does not know."""
        temporary = parameters.get("OUTPUT") == QgsProcessing.TEMPORARY_OUTPUT
        if temporary and self._request.get("format") == "stac":
            path = QgsProcessingUtils.generateTempFilename("OUTPUT.json")
            parameters = {**parameters, "OUTPUT": path}
        return super().processAlgorithm(parameters, context, feedback)

    def numbers(self) -> dict[str, str]:
        """Return how near the exported network is to the model."""
        return {"DIFFERENCE": "Largest difference of probabilities"}
