"""The algorithm `landslide:spectralindices`."""

from qgis.core import (
    QgsProcessingParameterBand,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from .algorithm import EngineAlgorithm
from .parameters import SENSORS, Declaration, advanced, choice, choices

INDICES = ("ndvi", "mndwi", "ndwi", "ndbi", "bsi", "savi", "nbr", "brightness")
DEFAULT = ("ndvi", "mndwi")
BANDS = ("BLUE", "GREEN", "RED", "NIR", "SWIR1", "SWIR2")


class SpectralIndices(EngineAlgorithm):
    """Declares the spectral indices."""

    ID = "spectralindices"
    NAME = "Spectral indices"
    GROUP = "Factor layers"
    TAGS = (
        "ndvi",
        "mndwi",
        "bsi",
        "nbr",
        "vegetation",
        "water",
        "bare soil",
        "sentinel",
        "landsat",
        "planet",
    )
    STYLES = {"OUTPUT": "factors"}
    HELP = """
        Derives indices of vegetation, water and bare ground from a multispectral image, one named
        band each. Landslides bare the ground: NDVI falls there, and MNDWI tells bare ground from
        water.

        When: for a model that was trained with these indices, or before stacking for training.

        Method: normalized differences (a - b) / (a + b), from -1 to 1: ndvi of nir and red, mndwi
        of green and swir1, ndwi of green and nir, ndbi of swir1 and nir, nbr of nir and swir2;
        bsi sets swir1 + red against nir + blue; savi is soil adjusted with L = 0.5; brightness is
        the mean of the visible bands. The last two want reflectance from 0 to 1. Bands are found
        by their names or by the sensor's band order; bands chosen below come first. A pixel
        whose divisor is zero is nodata.

        Sources: Rouse et al. 1974, NASA SP-351 (ndvi); Xu 2006, Int. J. Remote Sens. 27:3025
        (mndwi); McFeeters 1996, Int. J. Remote Sens. 17:1425 (ndwi); Zha et al. 2003, Int. J.
        Remote Sens. 24:583 (ndbi); Rikimaru et al. 2002, Trop. Ecol. 43:39 (bsi); Huete 1988,
        Remote Sens. Environ. 25:295 (savi); Key and Benson 2006, USDA RMRS-GTR-164 (nbr).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("INPUT", "Image"),
            "The multispectral image, digital numbers or reflectance.",
        )
        yield (
            choices("INDICES", "Indices", INDICES, DEFAULT),
            "The indices to derive, each a band that bears its name.",
        )
        yield (
            choice("SENSOR", "Sensor", SENSORS, "auto"),
            "Whose band names and order the image follows; auto goes by the band names, custom "
            "by the bands chosen below.",
        )
        for key in BANDS:
            band = QgsProcessingParameterBand(
                key, f"Band {key.lower()}", parentLayerParameterName="INPUT", optional=True
            )
            yield (
                advanced(band),
                f"Which band of the image is {key.lower()}; empty finds it by name or sensor.",
            )
        yield (
            QgsProcessingParameterRasterDestination("OUTPUT", "Spectral indices"),
            "A float32 GeoTIFF on the image's grid with a band for each index.",
        )
