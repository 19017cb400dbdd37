"""The algorithm `landslide:stack`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    FILL_HELP,
    Declaration,
    advanced,
    area,
    asked,
    fill,
    later,
    scaling,
)


class Stack(EngineAlgorithm):
    """Declares the stack."""

    ID = "stack"
    NAME = "Stack layers"
    GROUP = "Factor layers"
    TAGS = ("bands", "align", "resample", "reproject", "one-hot", "composite")
    STYLES = {"OUTPUT": "factors"}
    HELP = """
        Brings the image and all factor layers onto one grid, as one raster with named bands.

        When: after the factor layers are made, before samples are cut or a model is run. Models
        find their bands by name, so the order does not matter.

        Method: every layer is reprojected and resampled to the reference's grid. Bands named as
        those of Sentinel-2 or Landsat get common names (B04 becomes red); names that would occur
        twice get a number. Layers of classes that this plugin made become one band of 0 and 1 for
        each class. These, other classes (known by a colour table, class names or a raster
        attribute table, and kept as one band of values) and aspect are resampled by nearest
        neighbour; classes that nothing marks as such can't be told from measurements. Other bands
        are made of valid pixels alone: a pixel is valid where these have at least half of the
        weight. A pixel that is nodata in any band is nodata in all. The log ends with a table of
        each band's source, minimum, mean, maximum and share of nodata, so that a wrong layer is
        seen at once.

        Bands of imagery become reflectance from 0 to 1 where their files or products tell how, or
        Scale and Offset do, which count for all bands of imagery that hold digital numbers
        (docs/imagery_units.md); their unit says so in the stack. Pictures in natural colours, from
        0 to 255, and other numbers of unknown units stay as they are.

        Bilinear and cubic weigh all pixels of a finer layer that lie near a pixel of the grid, so
        that nothing is skipped; average takes exactly those within it, as a coarser sensor would.

        Source: the combination of image and influencing factors after Gao et al. 2021, IEEE
        JSTARS 14:7881.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterMultipleLayers(
                "LAYERS", "Layers to stack", QgsProcessing.SourceType.TypeRaster
            ),
            "The image and the factor layers, in any CRS and resolution; they have to overlap.",
        )
        yield (
            QgsProcessingParameterRasterLayer("REFERENCE", "Reference raster", optional=True),
            "The raster whose CRS, resolution and extent the stack takes; empty for the first "
            "layer.",
        )
        yield (
            advanced(asked(choices.Stack.RESAMPLING)),
            "How continuous layers are brought to the grid; the average suits layers much finer "
            "than the reference: bilinear then blurs over two of its pixels.",
        )
        yield area(), "Pixels outside these polygons become nodata; empty keeps all."
        yield (
            advanced(later(asked(choices.Stack.SENSOR))),
            "Whose band names the layers have; B4 is red of Landsat 8, but near infrared of "
            "Landsat 5. Names alone tell those of Sentinel-2; those of another sensor are left as "
            "they are.",
        )
        yield fill(), FILL_HELP
        yield from scaling(choices.Stack.SCALE, choices.Stack.OFFSET)
        yield (
            QgsProcessingParameterRasterDestination("OUTPUT", "Stack"),
            "A float32 GeoTIFF with every band and its name.",
        )
