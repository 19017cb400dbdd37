"""The algorithm `landslide:spectralindices`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBand,
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
    asked,
    fill,
    scaling,
)


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
        "burn",
        "change",
        "difference",
        "sentinel",
        "landsat",
        "planet",
    )
    STYLES = {"OUTPUT": "factors"}
    HELP = """
        Derives indices of vegetation, water and bare ground from a multispectral image, one named
        band each, and their change since an earlier image. Landslides bare the ground: NDVI falls
        there, and MNDWI tells bare ground from water.

        When: for a model that was trained with these indices, or before stacking for training.
        After an event, the change since an image from before tells new scars from fields and
        rocks that were bare already.

        Method: normalized differences (a - b) / (a + b), from -1 to 1: ndvi of nir and red, mndwi
        of green and swir1, ndwi of green and nir, ndbi of swir1 and nir, nbr of nir and swir2;
        bsi sets swir1 + red against nir + blue; savi is 1.5 (nir - red) / (nir + red + 0.5);
        brightness is the mean of blue, green and red. Bands are found by their names or by the
        sensor's band order; bands chosen below come first. Bands of other resolution and the
        earlier image are brought to the image's grid. A pixel whose divisor is zero is nodata.

        The change of each index, such as dndvi, is earlier less later, as the differenced burn
        ratio dnbr is defined. So dndvi, dsavi and dnbr are positive where a landslide bared green
        ground; dbsi, dndbi, dbrightness and dndwi are negative there. Take both images from the
        same season.

        Indices are of reflectance, and an offset that was added to it changes ratios too. The scale
        and offset that a file declares are applied; else those that the product's name, its
        metadata beside the file or the file's tags tell (Sentinel-2's processing baseline, which
        adds 1000 since 04.00; Landsat Collection 2; docs/imagery_units.md). Where nothing tells,
        each index of whole numbers warns, and the change is refused if the offset of one image is
        known and that of the other is not: give SCALE and OFFSET then.

        Sources: Rouse et al. 1974, NASA SP-351 (ndvi); Xu 2006, Int. J. Remote Sens. 27:3025
        (mndwi); McFeeters 1996, Int. J. Remote Sens. 17:1425 (ndwi); Zha et al. 2003, Int. J.
        Remote Sens. 24:583 (ndbi); Rikimaru et al. 2002, Trop. Ecol. 43:39 (bsi); Huete 1988,
        Remote Sens. Environ. 25:295 (savi); Key and Benson 2006, USDA RMRS-GTR-164 (nbr and the
        sign of changes).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        kinds = choices.SpectralIndices
        yield (
            QgsProcessingParameterRasterLayer("INPUT", "Image"),
            "The multispectral image, digital numbers or reflectance, whose grid the output takes.",
        )
        yield (
            QgsProcessingParameterMultipleLayers(
                "BANDS", "Further bands", QgsProcessing.SourceType.TypeRaster, optional=True
            ),
            "Rasters that hold further bands of the image, of any resolution, such as one file a "
            "band; empty if the image has all.",
        )
        yield (
            QgsProcessingParameterRasterLayer("EARLIER", "Earlier image", optional=True),
            "An image of the same sensor from before the event, for the change of each index; "
            "empty for none. If it comes in several files, stack them first.",
        )
        yield (
            asked(kinds.INDICES),
            "The indices to derive, each a band that bears its name.",
        )
        yield (
            asked(kinds.SENSOR),
            "Whose band names and order the image follows; for another sensor choose the bands "
            "below.",
        )
        for kind in (kinds.BLUE, kinds.GREEN, kinds.RED, kinds.NIR, kinds.SWIR1, kinds.SWIR2):
            band = QgsProcessingParameterBand(
                kind.key, kind.label, parentLayerParameterName="INPUT", optional=True
            )
            yield (
                advanced(band),
                f"Which band of the image is {kind.key.lower()}; empty finds it by name or sensor.",
            )
        yield from scaling(kinds.SCALE, kinds.OFFSET)
        yield from scaling(kinds.EARLIER_SCALE, kinds.EARLIER_OFFSET)
        yield fill(), FILL_HELP
        yield (
            QgsProcessingParameterRasterDestination("OUTPUT", "Spectral indices"),
            "A float32 GeoTIFF on the image's grid with a band for each index, then one for the "
            "change of each.",
        )
