"""The algorithm `landslide:classes`."""

from qgis.core import (
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import Declaration, asked, field, later, polygons_or_raster


class Classes(EngineAlgorithm):
    """Declares the class raster."""

    ID = "classes"
    NAME = "Lithology or land cover classes"
    GROUP = "Factor layers"
    TAGS = ("geology", "lithology", "land cover", "soil", "categorical", "rasterize")
    STYLES = {"OUTPUT": "classes"}
    HELP = """
        Turns a map of classes, such as lithology or land cover, into a raster that keeps the
        names of its classes.

        When: before stacking. The stack makes of each class a band of its own with 0 and 1, for
        the numbers of classes have no order that a network could learn from.

        Method: a pixel takes the class of the polygon that covers its centre; pixels outside all
        polygons are nodata. Names that differ in capitals or blanks alone are one class. A raster
        of classes is brought to the reference's grid by nearest neighbour; its classes' names are
        read from its category names or its attribute table.

        Source: lithology as an influencing factor after Gao et al. 2021, IEEE JSTARS 14:7881.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            polygons_or_raster("INPUT", "Polygons or class raster"),
            "The geological or land cover map, as polygons or as a raster of whole numbers.",
        )
        yield (
            field("FIELD", "Field with the class", "INPUT"),
            "The polygons' field that names the class; not needed for a raster. For an expression, "
            "give the layer a virtual field of it.",
        )
        yield (
            QgsProcessingParameterRasterLayer("REFERENCE", "Reference raster"),
            "The raster whose grid the result takes, mostly the image.",
        )
        yield (
            asked(choices.Classes.NAME),
            "Name of the band; the bands of the stack begin with it: lithology_granite.",
        )
        yield (
            later(asked(choices.Classes.ONE_HOT)),
            "Writes bands of 0 and 1 named <band>_<class> instead, as the stack would; for other "
            "programs.",
        )
        yield (
            QgsProcessingParameterRasterDestination("OUTPUT", "Classes"),
            "A GeoTIFF of whole numbers with the classes' names in its metadata, or of bands of "
            "0 and 1.",
        )
