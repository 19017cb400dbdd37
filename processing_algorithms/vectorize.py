"""The algorithm `landslide:vectorize`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import FILL_HELP, Declaration, advanced, asked, fill, later, rasters, text


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

        Method: pixels from the threshold on that share an edge are one landslide. In this order
        it grows down to a lower probability, is opened and closed, has its holes filled, is parted
        from those it touches and into source and runout; then outlines are made simpler and
        smoother, so that neighbours keep shared edges, and small ones go. All sizes are metres on
        the ground; opening, closing and simplification take those of the pixels in the middle.

        Fields: area and perimeter (m2 and m) are geodesic whatever the CRS; length (m) is the
        extent along the mean slope direction and width that across it (without an aspect those of
        the smallest box); mean and highest probability, and with a stack of factors lowest and
        highest elevation, relief (m), mean slope (degrees), circular mean of the aspect (degrees)
        and least distance to a river (m) are those of the pixels inside; the distance is NULL where
        it is unknown for one of them, as a river may be nearer there.

        Several rasters, such as those of neighbouring UTM zones, are one inventory in the CRS of
        the first: where landslides of different rasters overlap the larger one stands; one of
        which more than half lies in such is left out, of others that part is cut off.

        Kind: where the raster tells kinds of landslide apart, each is outlined by itself: pixels
        whose probabilities together reach the threshold, of the kind whose own is the highest.

        Confidence: the steps of the USGS inventory from the mean probability p: 8 (high) from 0.9,
        5 (confident) from 0.75, 3 (likely) from 0.6, 2 (probable) from 0.4, 1 (possible) below;
        only as good as the probability is calibrated: by the model's temperature to ground like
        that of its samples, by the landslide fraction in Predict to the scene's.

        Sources: Visvalingam and Whyatt 1993, Cartogr. J. 30:46 (simplification, by GEOS); Chaikin
        1974, Comput. Graph. Image Process. 3:346 (smoothing); Grimaud 1992, SPIE 1769:292 (saddles
        that part); Karney 2013, J. Geod. 87:43 (geodesic measures); Belair et al. 2022, doi
        10.5066/P9FZUX6N (steps of confidence).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("INPUT", "Probability or mask"),
            "Probability from 0 to 1, or a mask with 1 on landslides. Of a model that tells "
            "several kinds of landslide apart, its bands of probability or its mask of classes.",
        )
        yield (
            later(advanced(rasters("MORE_INPUTS", "Further rasters"))),
            "Such as those of the next UTM zones, for one inventory: a landslide that several show "
            "counts once.",
        )
        yield (
            asked(choices.Vectorize.THRESHOLD),
            "Probability that a landslide reaches somewhere. Empty takes the one that the raster "
            "carries from Predict landslide probability or Map landslides, which is the model's "
            "own unless another was asked for there; of rasters that tell of none, 0.5. Of a mask "
            "all is landslide.",
        )
        yield (
            asked(choices.Vectorize.GROW),
            "A landslide that reaches the threshold extends down to this lower probability; empty "
            "takes the threshold.",
        )
        yield (
            asked(choices.Vectorize.MIN_AREA),
            "Smaller polygons are left out.",
        )
        yield (
            advanced(later(asked(choices.Vectorize.MIN_SLOPE))),
            "Ground whose slope, averaged over 50 m to each side, is less holds no landslide: "
            "fields, river beds and roads go, and so do deposits on valley floors. 0 leaves none "
            "out. Needs the slope, in degrees, among the factors.",
        )
        yield (
            asked(choices.Vectorize.MAX_HOLE),
            "Holes in a landslide up to this size are filled.",
        )
        yield (
            later(advanced(asked(choices.Vectorize.OPENING))),
            "Radius of a disc: what it does not fit into goes, such as specks and thin bridges.",
        )
        yield (
            later(advanced(asked(choices.Vectorize.CLOSING))),
            "Radius of a disc: gaps that it does not fit into are closed.",
        )
        yield (
            later(asked(choices.Vectorize.SPLIT)),
            "At saddles of the probability, at necks, or along drainage divides (needs the "
            "elevation among the factors).",
        )
        yield (
            later(advanced(asked(choices.Vectorize.SPLIT_DEPTH))),
            "How deep a saddle must be to part two landslides, as share of the lower peak above "
            "the lowest probability, of the half width, or of the valley's depth.",
        )
        yield (
            later(asked(choices.Vectorize.PARTS)),
            "Cuts each landslide in source, the upper third of its elevations, and runout, named "
            "in the field part; both keep its slide_id. Needs the elevation among the factors.",
        )
        yield (
            asked(choices.Vectorize.SIMPLIFY),
            "How far an outline may be moved to make it smoother; 0 keeps the pixels' outline.",
        )
        yield (
            later(asked(choices.Vectorize.SMOOTH)),
            "How often each corner is cut off; 2 or 3 make outlines look drawn by hand.",
        )
        yield (
            QgsProcessingParameterRasterLayer(
                "FACTORS", "Factors for the attributes", optional=True
            ),
            "Raster with bands elevation, slope, aspect and river_distance (any of them), for the "
            "attributes drawn from them.",
        )
        yield (
            advanced(text("MODEL", "Name of the model")),
            "Written to every polygon; empty takes the name in the raster's metadata.",
        )
        yield (
            advanced(text("DATE", "Date of the scene")),
            "Written to every polygon, as year-month-day; empty takes the date in the raster's "
            "metadata, which stack and prediction hand on from the image where it tells one.",
        )
        yield fill(), FILL_HELP
        yield (
            QgsProcessingParameterVectorDestination(
                "OUTPUT", "Landslide inventory", QgsProcessing.SourceType.TypeVectorPolygon
            ),
            "Valid polygons, one for each landslide, with their attributes.",
        )

    def numbers(self) -> dict[str, str]:
        """Return what the inventory holds."""
        return {"COUNT": "Number of landslides", "AREA_M2": "Area of all landslides (m2)"}
