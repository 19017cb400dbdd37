"""The algorithm `landslide:map`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    DEVICE_HELP,
    FILL_HELP,
    FRACTION_HELP,
    HTML_FILES,
    Z_UNIT_HELP,
    Declaration,
    advanced,
    area,
    asked,
    crew,
    device,
    field,
    fill,
    later,
    model_file,
    polygons_or_raster,
    scaling,
    vector,
    z_unit,
)


class MapLandslides(EngineAlgorithm):
    """Declares the whole chain."""

    ID = "map"
    NAME = "Map landslides"
    GROUP = "Mapping"
    TAGS = ("landslide", "inventory", "chain", "workflow", "deep learning", "event", "rapid")
    STYLES = {"INVENTORY": "inventory", "PROBABILITY": "probability"}
    HELP = """
        Maps landslides in one go: from an image to inventory polygons, with a DEM to their terrain
        too. Without a model file it takes one of those at hand: that ship, or were fetched.

        When: an area has to be mapped, after an earthquake or a storm or for a regional inventory;
        and as the first thing to try.

        Method: of terrain factors, spectral indices, distances and classes only those that the
        model asks for are derived; they are stacked with the image, the model slides over the
        stack, and the result is vectorized with attributes. Each step can be had by itself from
        the algorithms of the other groups, for more say in it. The report shows what was mapped,
        which model was taken and why, and what to beware of.

        The image is brought to reflectance, or to the numbers that the model was trained on, where
        its file, its product or Scale and Offset say how (docs/imagery_units.md); models of
        pictures in natural colours take it in its own light.

        A run that is canceled or broken off once its layers are stacked leaves them, and what is
        finished of the map, in a hidden folder beside the probability raster. The same run, to the
        same file, goes on from there; any other run to that file removes them.

        Several scenes: Run as Batch Process, at the foot of the dialog, takes a folder of images,
        one run each; without a screen it is a loop over qgis_process run landslide:map.

        Source: the chain after Gao et al. 2021, IEEE JSTARS 14:7881; the single algorithms name
        those of their steps.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        kind = QgsProcessing.SourceType
        line, polygon = kind.TypeVectorLine, kind.TypeVectorPolygon
        yield (
            QgsProcessingParameterRasterLayer("IMAGE", "Image"),
            "The scene to map, with named bands or of a known sensor; its grid is the result's. "
            "Where its metadata tell when it was taken, the landslides bear that date. "
            "Many files as one image makes one of tiles first, of a DEM's too.",
        )
        yield (
            later(QgsProcessingParameterRasterLayer("DEM", "DEM")),
            "Elevation that covers the image; without it the inventory has no attributes "
            "of terrain, and models that want terrain can't be used.",
        )
        yield (
            later(model_file()),
            "A model that marks pixels, made by Train a model; empty for the one at hand that fits "
            "the image best: one for Sentinel-2 ships with the plugin, Fetch a model gets one for "
            "red, green and blue of 0.4 to 3 m. The log says which, why, and where it is known to "
            "fail.",
        )
        yield (
            vector("RIVERS", "Rivers", line, optional=True),
            "River lines; each landslide gets its distance to them. Empty derives streams from "
            "the DEM if the model wants them.",
        )
        yield (
            vector("FAULTS", "Faults", line, optional=True),
            "Fault lines, needed only if the model wants the distance to them.",
        )
        yield (
            later(polygons_or_raster("GEOLOGY", "Geology, polygons or class raster")),
            "Needed only if the model wants lithology; a raster's classes bear the names of its "
            "category names or attribute table.",
        )
        yield (
            field("GEOLOGY_FIELD", "Field with the lithology", "GEOLOGY"),
            "The field of the polygons that names the class, spelt as in training; not needed for "
            "a raster. For an expression, give the layer a virtual field of it.",
        )
        yield area(), "The area to map; empty for the whole image."
        yield (
            asked(choices.Map.THRESHOLD),
            "Probability from which a pixel is landslide; empty for the model's own.",
        )
        yield (
            asked(choices.Map.MIN_AREA),
            "Smaller polygons are left out.",
        )
        yield (
            advanced(later(asked(choices.Map.MIN_SLOPE))),
            "Ground whose slope, averaged over 50 m to each side, is less holds no landslide: "
            "fields, river beds and roads go, and so do deposits on valley floors. 0 leaves none "
            "out. Needs the DEM.",
        )
        yield (
            asked(choices.Map.SENSOR),
            "Whose band names and order the image follows, where its names alone do not tell.",
        )
        yield from scaling(choices.Map.SCALE, choices.Map.OFFSET)
        yield (
            advanced(asked(choices.Map.SMOOTHING)),
            "Standard deviation in metres of the Gaussian on the DEM, as in training; empty for "
            "what the model's card says, or none.",
        )
        yield (
            advanced(asked(choices.Map.STREAM_AREA)),
            "Where streams derived from the DEM begin, as in training.",
        )
        yield z_unit(), Z_UNIT_HELP
        yield device(), DEVICE_HELP
        yield advanced(later(asked(choices.Map.LANDSLIDE_FRACTION))), FRACTION_HELP
        yield fill(), FILL_HELP
        yield from crew()
        yield (
            QgsProcessingParameterVectorDestination("INVENTORY", "Landslide inventory", polygon),
            "Valid polygons, one for each landslide, with their attributes.",
        )
        yield (
            QgsProcessingParameterRasterDestination("PROBABILITY", "Landslide probability"),
            "A float32 GeoTIFF from 0 to 1, nodata -9999.",
        )
        yield (
            QgsProcessingParameterFileDestination("HTML", "Map report", HTML_FILES, optional=True),
            "What was mapped, with picture, sizes, model and warnings, to read in a browser.",
        )

    def numbers(self) -> dict[str, str]:
        """Return what the inventory holds."""
        return {"COUNT": "Number of landslides", "AREA_M2": "Area of all landslides (m2)"}
