"""The algorithm `landslide:predict`."""

from qgis.core import QgsProcessingParameterRasterDestination, QgsProcessingParameterRasterLayer

from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, area, device, model_file, number, whole


class Predict(EngineAlgorithm):
    """Declares the prediction."""

    ID = "predict"
    NAME = "Predict landslide probability"
    GROUP = "Mapping"
    TAGS = ("deep learning", "inference", "segmentation", "fc-densenet", "sliding window")
    STYLES = {"PROBABILITY": "probability", "MASK": "mask"}
    HELP = """
        Runs a model over a stack and writes the probability of landslide for every pixel.

        When: with a stack that holds the model's bands, at about the resolution it was trained
        at. For a whole chain from image and DEM use Map landslides.

        Method: a window slides over the stack with overlap, and where windows overlap their
        probabilities are blended, the middle of each counting most, so that no seams show. Bands
        are found by name and scaled with the statistics in the model file. Pixels that are nodata
        in any of the bands stay nodata.

        Source: sliding window over the whole area after Gao et al. 2021, IEEE JSTARS 14:7881.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("STACK", "Stack"),
            "Raster with the bands that the model lists, in any order.",
        )
        yield model_file(), "A model that marks pixels, made by Train a model."
        yield area(), "Pixels outside these polygons are not predicted; empty for all."
        yield (
            number("THRESHOLD", "Threshold", None, 0.0, 1.0),
            "Probability from which a pixel of the mask is landslide; empty for the model's own.",
        )
        yield (
            advanced(whole("TILE_SIZE", "Tile size (pixels)", 0, 0, 8192)),
            "Width and height of the window; 0 for the model's own.",
        )
        yield (
            advanced(number("OVERLAP", "Overlap (share of the tile)", 0.25, 0.0, 0.9)),
            "Share of the window that it has in common with the next one.",
        )
        yield (
            advanced(whole("BATCH_SIZE", "Batch size", 0, 0)),
            "Windows run at once; 0 chooses by the device.",
        )
        yield device(), "What the network runs on; auto takes a GPU where there is one."
        yield (
            QgsProcessingParameterRasterDestination("PROBABILITY", "Landslide probability"),
            "A float32 GeoTIFF from 0 to 1, nodata -9999.",
        )
        yield (
            QgsProcessingParameterRasterDestination("MASK", "Landslide mask", optional=True),
            "A GeoTIFF with 1 on landslides, 0 elsewhere, nodata 255.",
        )
