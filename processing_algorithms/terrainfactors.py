"""The algorithm `landslide:terrainfactors`."""

from qgis.core import QgsProcessingParameterRasterDestination, QgsProcessingParameterRasterLayer

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import FILL_HELP, Z_UNIT_HELP, Declaration, asked, fill, later, z_unit


class TerrainFactors(EngineAlgorithm):
    """Declares the terrain factors."""

    ID = "terrainfactors"
    NAME = "Terrain factors"
    GROUP = "Factor layers"
    TAGS = ("dem", "slope", "aspect", "curvature", "northness", "eastness", "relief", "wetness")
    STYLES = {"OUTPUT": "factors"}
    HELP = """
        Derives the influencing factors of landslides that lie in the shape of the ground, from a
        DEM, one named band each.

        When: first, for every area to train on or to map. Use the same factors and smoothing for
        both.

        Method: derivatives over 3 x 3 cells, in true metres on any CRS: measured on the ellipsoid,
        but in the CRS's own metres where these are true to 0.2 % (UTM in its zone). North is that
        of the grid there, and true north elsewhere. Elevation, tpi (elevation
        above the mean of the neighbours), tri (ruggedness) and roughness (highest less lowest)
        are in metres; slope in degrees; aspect in degrees clockwise from north, -1 where flat;
        aspect_class holds 0 for flat and 1 to 8 for north, northeast and on clockwise: Stack
        layers gives each of these classes a band; northness and eastness are cosine and sine of
        the aspect, without the jump at north; curvatures are in 1/m, plan positive on ridges,
        profile positive where the slope is concave, curvature positive where convex; hillshade
        goes from 1 to 255; twi (wetness) is the logarithm of the area that drains through a metre
        of contour over the tangent of the slope, depressions filled and flow shared out among all
        lower neighbours. At edges and beside nodata the missing neighbours are extrapolated.

        Radii: tpi and relief (highest less lowest, in metres) are of the pixels within the radius;
        openness, in degrees, is the mean angle between the zenith and the horizon within it in
        eight directions, 90 on a plane that is level, less in valleys; curvatures are those of
        the DEM smoothed by a Gaussian of half the radius.

        Memory: a few hundred MB whatever the DEM's height, more with radii of many cells; twi needs
        the whole DEM at once, about 65 bytes a cell (80 without richdem2), says so, and is refused
        where that is not free.

        Sources: Horn 1981, Proc. IEEE 69:14 (slope, aspect); Zevenbergen and Thorne 1987, Earth
        Surf. Process. Landf. 12:47 (curvatures); Riley et al. 1999, Intermountain J. Sci. 5:23
        (tri); Wilson et al. 2007, Mar. Geod. 30:3 (tpi, roughness); Yokoyama et al. 2002,
        Photogramm. Eng. Remote Sens. 68:257 (openness); Beven and Kirkby 1979, Hydrol. Sci. Bull.
        24:43, and Quinn et al. 1991, Hydrol. Process. 5:59 (twi); the choice of factors and the
        classes of aspect after Gao et al. 2021, IEEE JSTARS 14:7881.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("INPUT", "DEM"),
            "Elevation, in any CRS; heights in whole metres are better smoothed.",
        )
        yield (
            asked(choices.TerrainFactors.FACTORS),
            "The factors to derive, each a band that bears its name.",
        )
        yield (
            later(asked(choices.TerrainFactors.RADII)),
            "Metres, separated by commas, such as 50, 250: within each the position, relief, "
            "openness and curvatures are derived too, as bands such as tpi_50m; empty for none.",
        )
        yield (
            asked(choices.TerrainFactors.SMOOTHING),
            "Standard deviation, in metres, of the Gaussian that smooths the DEM first; 0 leaves "
            "it as it is. One or two cells take the terraces out of a DEM in whole metres.",
        )
        yield z_unit(), Z_UNIT_HELP
        yield fill(), FILL_HELP
        yield (
            QgsProcessingParameterRasterDestination("OUTPUT", "Terrain factors"),
            "A float32 GeoTIFF on the DEM's grid with a band for each factor.",
        )
