"""The algorithm `landslide:evaluate`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    HTML_FILES,
    Declaration,
    advanced,
    area,
    asked,
    later,
    polygons_or_raster,
)


class Evaluate(EngineAlgorithm):
    """Declares the accuracy report."""

    ID = "evaluate"
    NAME = "Accuracy report"
    GROUP = "Inventory and accuracy"
    TAGS = ("accuracy", "validation", "confusion matrix", "kappa", "f1", "iou", "precision")
    HELP = """
        Holds landslide maps against a reference and reports how well they agree.

        When: to learn how far a map can be trusted, on an area whose landslides are known and
        that the model was not trained on; or to compare several maps, such as those of several
        models, on the same pixels.

        Method: all are drawn on one grid, and only pixels that are known in all of them and lie in
        the area count. From the confusion matrix come overall accuracy, precision, recall, F1,
        kappa, intersection over union of both classes and their mean, false positive rate and
        Matthews correlation. Areas and outlines: bias, mapping error and degree of matching, F
        score of outlines within a tolerance; areas and tolerance are of the ground, whatever the
        CRS, as those of the inventory. Landslides, each feature of polygons being one, and in a
        raster pixels that touch, if only at a corner, where its inventory has a polygon each: how
        many the map touches, by size class, false alarms per square kilometre, matches at an
        intersection over union above 0.5, and the frequency of their areas. Of a probability also
        average precision, ROC, Brier score, reliability and the best threshold. Intervals that hold
        95 % come from a bootstrap over blocks of the area, since neighbouring pixels are alike.

        Beside each score stands what a map without any landslide and one of nothing but landslide
        would get: landslides cover little of most areas, so overall accuracy alone says little. A
        measure that is not defined, such as recall without any reference landslide, is left
        empty. With several maps the outputs are the first one's; the report and the files hold all.

        Sources: Cohen 1960, Educ. Psychol. Meas. 20:37 (kappa); Carrara et al. 1992, ITC Journal
        1992:172, and Galli et al. 2008, Geomorphology 94:268 (matching); Malamud et al. 2004,
        Earth Surf. Process. Landforms 29:687 (area frequency); Csurka et al. 2013, BMVC
        (outlines); the choice of pixel measures after Gao et al. 2021, IEEE JSTARS 14:7881, and
        Zhou et al. 2022, Remote Sens. 14:3650.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterMultipleLayers(
                "PREDICTED", "Maps to judge", QgsProcessing.SourceType.TypeMapLayer
            ),
            "Probability, mask or polygons of each map; one map or several. A raster that tells "
            "kinds of landslide apart is landslide where it is of any.",
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
            asked(choices.Evaluate.THRESHOLD),
            "Probability from which a pixel of a map is landslide. Empty takes of each map the one "
            "that it carries from Predict landslide probability or Map landslides; of rasters that "
            "tell of none, 0.5. Of no effect on masks and polygons.",
        )
        yield (
            advanced(later(asked(choices.Evaluate.TOLERANCE))),
            "How far outlines may lie apart and still agree; 0 for the side of two pixels.",
        )
        yield (
            advanced(later(asked(choices.Evaluate.BLOCK_SIZE))),
            "Blocks of the area are drawn to say how sure the scores are: larger than landslides "
            "and what makes them alike; 0 for a hundredth of the area, at least three times the "
            "side of a mean landslide.",
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
            "The same figures, with those of the curves, for programs.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "CSV",
                "Table of scores",
                "Table (*.csv)",
                optional=True,
                createByDefault=False,
            ),
            "One row a map and score, with interval and baselines.",
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
            "AREA_BIAS": "Mapped area / reference area - 1",
            "MAPPING_ERROR": "Mapping error of two inventories (Carrara)",
            "MATCHING": "Degree of cartographic matching (Galli)",
            "MATCHING_MEDIAN": "Median matching of the touched reference landslides",
            "BOUNDARY_F": "F score of outlines within the tolerance",
            "BOUNDARY_PRECISION": "Precision of outlines",
            "BOUNDARY_RECALL": "Recall of outlines",
            "HIT_RATE": "Share of the reference landslides that the map touches",
            "HIT_RATE_SMALL": "Hit rate of landslides below 1,000 m2",
            "HIT_RATE_MEDIUM": "Hit rate of landslides of 1,000 to 10,000 m2",
            "HIT_RATE_LARGE": "Hit rate of landslides of 10,000 to 100,000 m2",
            "HIT_RATE_VERY_LARGE": "Hit rate of landslides from 100,000 m2",
            "FALSE_ALARMS_KM2": "Landslides of the map beside the reference's, per km2",
            "OBJECT_PRECISION": "Precision of landslides, matched at an IoU above 0.5",
            "OBJECT_RECALL": "Recall of landslides, matched at an IoU above 0.5",
            "OBJECT_F1": "F1 score of landslides, matched at an IoU above 0.5",
            "SIZE_DISTANCE": "Greatest gap of the two distributions of landslide area",
            "AVERAGE_PRECISION": "Average precision of the probability",
            "ROC_AUC": "Area under the ROC curve",
            "BRIER": "Brier score of the probability",
            "BRIER_SKILL": "Brier skill against the landslide share",
            "CALIBRATION_ERROR": "Calibration error of the probability",
            "BEST_THRESHOLD": "Threshold with the highest F1 on these pixels",
            "BEST_F1": "F1 at the best threshold",
            "AREA_KM2": "Area compared (km2)",
            "REFERENCE_AREA_M2": "Landslide area of the reference (m2)",
            "PREDICTED_AREA_M2": "Landslide area of the map (m2)",
            "REFERENCE_LANDSLIDES": "Number of reference landslides",
            "PREDICTED_LANDSLIDES": "Number of landslides in the map",
        }
