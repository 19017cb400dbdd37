"""The algorithm `landslide:detect`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    DEVICE_HELP,
    FILL_HELP,
    Declaration,
    advanced,
    area,
    asked,
    device,
    fill,
    later,
    model_file,
)


class Detect(EngineAlgorithm):
    """Declares the detection."""

    ID = "detect"
    NAME = "Detect single landslides"
    GROUP = "Mapping"
    TAGS = ("deep learning", "inference", "instance", "mask r-cnn", "object detection")
    STYLES = {"OUTPUT": "inventory", "MASK": "mask"}
    HELP = """
        Finds each landslide as an object of its own and draws its outline.

        When: with a Mask R-CNN, where neighbouring landslides have to be told apart or counted.

        Method: the network looks at overlapping tiles and gives boxes, masks and scores. A
        landslide that several tiles see becomes one polygon, with the highest of its scores: two
        finds are one where they share half of the smaller one's part that both tiles see.
        Polygons have the attributes of the inventory: geodesic area (m2) and perimeter (m).

        Sources: He et al. 2017, ICCV 2980 (Mask R-CNN); Yang, R. et al. 2022, Remote Sens.
        14:2206 (with DEM, slope and river distance).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("STACK", "Stack"),
            "Raster with the bands that the model lists, in any order.",
        )
        yield model_file(), "A model that finds objects, made by Train a model."
        yield (
            asked(choices.Detect.SCORE),
            "Finds that the network is less sure of are left out; empty for the model's threshold.",
        )
        yield (
            advanced(asked(choices.Detect.TILE_SIZE)),
            """Width and height of a tile in pixels of the model's resolution, to which the stack
            is resampled; 0 for the model's own.""",
        )
        yield (
            advanced(asked(choices.Detect.OVERLAP)),
            "Share of a tile that it has in common with the next one.",
        )
        yield area(), "Landslides are looked for within these polygons; empty for all."
        yield device(), DEVICE_HELP
        yield fill(), FILL_HELP
        yield (
            QgsProcessingParameterVectorDestination(
                "OUTPUT", "Landslides", QgsProcessing.SourceType.TypeVectorPolygon
            ),
            "One polygon for each landslide, with its score.",
        )
        yield (
            later(
                QgsProcessingParameterRasterDestination(
                    "MASK", "Landslide mask", optional=True, createByDefault=False
                )
            ),
            "A GeoTIFF with 1 on landslides, 0 elsewhere, nodata 255.",
        )

    def numbers(self) -> dict[str, str]:
        """Return the number of finds."""
        return {"COUNT": "Number of landslides"}
