"""The algorithm `landslide:factoranalysis`."""

from qgis.core import QgsProcessingParameterFileDestination, QgsProcessingParameterRasterLayer

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    FILL_HELP,
    HTML_FILES,
    Declaration,
    area,
    asked,
    fill,
    polygons_or_raster,
)


class FactorAnalysis(EngineAlgorithm):
    """Declares the factor analysis."""

    ID = "factoranalysis"
    NAME = "Factor analysis"
    GROUP = "Factor layers"
    TAGS = ("importance", "random forest", "gini", "frequency ratio", "susceptibility", "jenks")
    HELP = """
        Says which factors of a stack have to do with its landslides, and in which of their values
        landslides are frequent.

        When: after stacking and before training, to choose the factors worth giving to a model,
        or to understand where in an area slopes fail.

        Method: two importances from a random forest on up to 20,000 pixels of landslide and as
        many of other ground. Gini importance is what Gao et al. report; it is biased towards
        continuous factors of many values. Permutation importance is the loss of AUC when a
        factor's values are shuffled, in spatial blocks that the forest has not seen: trust this
        one. Each factor of values is cut into natural-break intervals (Jenks), and over all
        pixels the landslide frequency and the frequency ratio of each interval or class are
        counted. Correlation and variance inflation tell which factors say the same. The bands
        that a stack makes of a class layer count as one factor. Classes and directions have no
        order, and so no AUC of their values.

        Sources: Gao et al. 2021, IEEE JSTARS 14:7881; Strobl et al. 2007, BMC Bioinformatics 8:25
        (bias of Gini importance); Breiman 2001, Machine Learning 45:5; Lee and Pradhan 2007,
        Landslides 4:33 (frequency ratio); Fox and Monette 1992, J. Am. Stat. Assoc. 87:178.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("STACK", "Stack"),
            "The factors, as one raster with named bands.",
        )
        yield (
            polygons_or_raster("LANDSLIDES", "Landslides"),
            "The known landslides, as polygons or as a mask; all that lie in the area, or others "
            "count as stable ground. A probability raster counts from the threshold on that it "
            "carries.",
        )
        yield (
            asked(choices.FactorAnalysis.CLASSES),
            "How many natural-break intervals a factor of values is cut into.",
        )
        yield (
            area(),
            "The area in which the landslides are completely known; empty for the whole stack.",
        )
        yield (
            asked(choices.FactorAnalysis.SEED),
            "The same seed draws the same pixels and grows the same forests.",
        )
        yield fill(), FILL_HELP
        yield (
            QgsProcessingParameterFileDestination(
                "HTML", "Factor report", HTML_FILES, optional=True
            ),
            "Importance, landslide frequency and correlation, to read in a browser.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "TABLE",
                "Table",
                "CSV table (*.csv)",
                optional=True,
                createByDefault=False,
            ),
            "All numbers, one row for each interval or class of each factor.",
        )

    def numbers(self) -> dict[str, str]:
        """Return how far the factors tell landslides from other ground."""
        return {
            "AUC_BLOCKS": "AUC of the forest in blocks not trained on",
            "AUC_RANDOM": "AUC of the forest on pixels left out at random",
        }
