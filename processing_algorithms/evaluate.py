"""The algorithm `landslide:evaluate`."""

from qgis.core import QgsProcessingParameterFileDestination, QgsProcessingParameterRasterLayer

from .algorithm import EngineAlgorithm
from .parameters import HTML_FILES, Declaration, area, number, polygons_or_raster


class Evaluate(EngineAlgorithm):
    """Declares the accuracy report."""

    ID = "evaluate"
    NAME = "Accuracy report"
    GROUP = "Inventory and accuracy"
    TAGS = ("accuracy", "validation", "confusion matrix", "kappa", "f1", "iou", "precision")
    HELP = """
        Holds a landslide map against a reference and reports how well they agree.

        When: to learn how far a map can be trusted, on an area whose landslides are known and
        that the model was not trained on.

        Method: both are drawn on one grid and every valid pixel is counted as right or wrong.
        From the confusion matrix come overall accuracy, precision, recall, F1, kappa,
        intersection over union of both classes and their mean, false positive rate and Matthews
        correlation. Landslides are counted as well: how many of the reference the map touches. A
        measure that is not defined, such as recall without any reference landslide, is left
        empty. Landslides cover little of most areas, so overall accuracy alone says little.

        Sources: Cohen 1960, Educ. Psychol. Meas. 20:37 (kappa); the choice of measures after Gao
        et al. 2021, IEEE JSTARS 14:7881, and Zhou et al. 2022, Remote Sens. 14:3650.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            polygons_or_raster("PREDICTED", "Map to judge"),
            "Probability, mask or polygons of the map.",
        )
        yield (
            polygons_or_raster("REFERENCE", "Reference landslides"),
            "The known landslides, as polygons or as a mask.",
        )
        yield (
            area(),
            "The area to count in, where the reference is complete; empty for the whole map.",
        )
        yield (
            number("THRESHOLD", "Threshold", 0.5, 0.001, 1.0),
            "Probability from which a pixel of the map is landslide; of no effect on masks and "
            "polygons.",
        )
        yield (
            QgsProcessingParameterRasterLayer("IMAGE", "Image behind the error map", optional=True),
            "Drawn behind the error map of the report.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "HTML", "Accuracy report", HTML_FILES, optional=True
            ),
            "Figures, confusion matrix and error map to read in a browser.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "JSON",
                "Figures",
                "JSON file (*.json)",
                optional=True,
                createByDefault=False,
            ),
            "The same figures for programs.",
        )

    def numbers(self) -> dict[str, str]:
        """Return the measures."""
        return {
            "OA": "Overall accuracy",
            "PRECISION": "Precision of landslide",
            "RECALL": "Recall of landslide",
            "F1": "F1 score of landslide",
            "KAPPA": "Cohen's kappa",
            "IOU_LANDSLIDE": "Intersection over union of landslide",
            "IOU_BACKGROUND": "Intersection over union of background",
            "MIOU": "Mean intersection over union",
            "FPR": "False positive rate",
            "MCC": "Matthews correlation coefficient",
            "HIT_RATE": "Share of the reference landslides that the map touches",
            "REFERENCE_LANDSLIDES": "Number of reference landslides",
            "PREDICTED_LANDSLIDES": "Number of landslides in the map",
        }
