"""The algorithm `landslide:distance`."""

from qgis.core import QgsProcessingParameterRasterDestination, QgsProcessingParameterRasterLayer

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import Declaration, asked, later, vector


class Distance(EngineAlgorithm):
    """Declares the distance to features."""

    ID = "distance"
    NAME = "Distance to rivers, faults or roads"
    GROUP = "Factor layers"
    TAGS = ("river", "fault", "road", "proximity", "buffer", "euclidean")
    STYLES = {"OUTPUT": "distance"}
    HELP = """
        Measures for every pixel the distance in metres to the nearest feature of a layer.

        When: rivers undercut slopes, faults break the rock, roads cut it; the distance to them is
        an influencing factor. Run it once for each layer, with a name of its own.

        Method: exact Euclidean distance from each pixel's centre to that of the nearest pixel that
        a feature touches; pixels that one touches, and those inside polygons, have 0. So a distance
        is within half a pixel's diagonal of the one to the feature itself. Where the CRS's own
        metres are not those of the ground (degrees, Web Mercator, polar and equal-area projections,
        UTM far outside its zone) it is the distance on the ellipsoid, to 0.3 %; all lengths given
        are metres on the ground too. Features outside the reference's extent count as well, also
        beyond the antimeridian. With levels or breaks the
        distance becomes levels 0, 1, 2, ... from near to far, one more than there are breaks: one
        band, whose order says something, so that a stack keeps it one.

        Memory: the raster is worked on in blocks of rows with a margin as wide as the longest
        distance in them. A largest distance bounds it; without one and far from all features it
        can be the whole raster, about 20 bytes a pixel, and what can't fit is refused.

        Sources: Felzenszwalb and Huttenlocher 2012, Theory Comput. 8:415 (the transform); Gao et
        al. 2021, IEEE JSTARS 14:7881 (continuous); Yang, R. et al. 2022, Remote Sens. 14:2206 (six
        levels: the river, which is 30 m to each side of its line, then up to 200, 500, 1000 and
        2000 m from there, and beyond).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            vector("INPUT", "Features to measure from"),
            "Rivers, faults or roads; with a selection, only the selected features.",
        )
        yield (
            QgsProcessingParameterRasterLayer("REFERENCE", "Reference raster"),
            "The raster whose grid the result takes, mostly the image.",
        )
        yield (
            asked(choices.Distance.NAME),
            "Name of the band, by which models find it: river_distance, fault_distance, "
            "road_distance.",
        )
        yield (
            asked(choices.Distance.MAX_DISTANCE),
            "Longer distances are cut to this one, which also needs less memory; 0 does not cut.",
        )
        yield (
            later(asked(choices.Distance.LEVELS)),
            "The six levels of rivers of Yang, R. et al. 2022, whose metres count from the river's "
            "surface: 30 m from a line, the outline of a polygon; or none, which gives the "
            "distance itself, or levels with the breaks below.",
        )
        yield (
            asked(choices.Distance.BREAKS),
            "Distances in metres, separated by commas, at which a new level begins, such as 30, "
            "200, 500, 1000, 2000; empty for the distance itself.",
        )
        yield (
            QgsProcessingParameterRasterDestination("OUTPUT", "Distance"),
            "A GeoTIFF on the reference's grid: float32 metres, or the levels with their names.",
        )
