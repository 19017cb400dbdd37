"""The algorithm `landslide:vectorize`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, number, text


class Vectorize(EngineAlgorithm):
    """Declares the inventory."""

    ID = "vectorize"
    NAME = "Landslide inventory from raster"
    GROUP = "Inventory and accuracy"
    TAGS = ("polygonize", "polygons", "inventory", "attributes", "area", "landslide")
    STYLES = {"OUTPUT": "inventory"}
    HELP = """
        Draws landslide polygons from a probability raster or a mask and measures them.

        When: after Predict landslide probability, to get an inventory with attributes.

        Method: pixels from the threshold on that share an edge are one landslide; holes and
        landslides below the given sizes go, outlines are simplified and repaired. Area (m2) and
        perimeter (m) are geodesic whatever the CRS; mean and highest probability are those of the
        pixels inside; with a stack of factors come lowest and highest elevation, relief (m), mean
        slope (degrees) and the circular mean of the aspect (degrees).

        Sources: Visvalingam and Whyatt 1993, Cartogr. J. 30:46 (simplification, by GEOS, that
        keeps the edges neighbours share); Karney 2013, J. Geod. 87:43 (geodesic measures).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("INPUT", "Probability or mask"),
            "Probability from 0 to 1, or a mask with 1 on landslides.",
        )
        yield (
            number("THRESHOLD", "Threshold", 0.5, 0.0, 1.0),
            "Probability from which a pixel is landslide.",
        )
        yield (
            number("MIN_AREA", "Smallest landslide (m2)", 0.0, 0.0),
            "Smaller polygons are left out.",
        )
        yield (
            number("MAX_HOLE", "Largest hole to fill (m2)", 0.0, 0.0),
            "Holes in a landslide up to this size are filled.",
        )
        yield (
            number("SIMPLIFY", "Simplification (m)", 0.0, 0.0),
            "How far an outline may be moved to make it smoother; 0 keeps the pixels' outline.",
        )
        yield (
            QgsProcessingParameterRasterLayer(
                "FACTORS", "Factors for the attributes", optional=True
            ),
            "Raster with bands elevation, slope and aspect, for the attributes drawn from them.",
        )
        yield (
            advanced(text("MODEL", "Name of the model")),
            "Written to every polygon; empty takes the name in the raster's metadata.",
        )
        yield (
            QgsProcessingParameterVectorDestination(
                "OUTPUT", "Landslide inventory", QgsProcessing.TypeVectorPolygon
            ),
            "Valid polygons, one for each landslide, with their attributes.",
        )

    def numbers(self) -> dict[str, str]:
        """Return what the inventory holds."""
        return {"COUNT": "Number of landslides", "AREA_M2": "Area of all landslides (m2)"}
