"""The algorithm `landslide:reproduce`."""

from qgis.core import (
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from .algorithm import EngineAlgorithm
from .parameters import Declaration, area, crew, files


class Reproduce(EngineAlgorithm):
    """Declares making a raster again."""

    ID = "reproduce"
    NAME = "Make a probability raster again"
    GROUP = "Mapping"
    TAGS = ("reproducible", "provenance", "plan", "compare", "verify")
    STYLES = {"OUTPUT": "probability"}
    HELP = """
        Makes a probability raster again by the plan that it carries, and tells whether both are the
        same.

        When: to check a map that came from elsewhere or long ago, or that a machine computes as
        another one does.

        Method: models, runtime and precision, light, units, windows, batches, threads, threshold
        and calibration are those that the raster's metadata say (LANDSLIDE_PLAN). Where versions of
        engine and libraries, a model file or the stack are others, nothing is computed. The stack
        is known by its grid, its bands and some of its pixels. On one machine the result is the
        same to the last bit; another kind of processor may round otherwise.

        Sources: the methods are those of Predict landslide probability; why a map should tell how
        it was made, Sandve et al. 2013, PLOS Computational Biology 9:e1003285.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("RASTER", "Probability raster"),
            "Written by Predict landslide probability or Map landslides.",
        )
        yield (
            QgsProcessingParameterRasterLayer("STACK", "Stack", optional=True),
            "The stack that it was made of; empty if it lies where it did.",
        )
        yield (
            files("MODELS", "Model files"),
            "Those that it was made by, in their order; empty if they lie where they did.",
        )
        yield area("The area that was mapped"), "The polygons, if it was made of some only."
        yield from crew()
        yield (
            QgsProcessingParameterRasterDestination("OUTPUT", "Made again"),
            "The probability raster, made again.",
        )

    def numbers(self) -> dict[str, str]:
        """Return how many pixels there are, how many differ, and by how much."""
        return {
            "PIXELS": "Pixels with a probability",
            "DIFFERING": "Pixels that differ",
            "LARGEST": "Largest difference",
        }
