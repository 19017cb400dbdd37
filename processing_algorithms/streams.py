"""The algorithm `landslide:streams`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import FILL_HELP, Z_UNIT_HELP, Declaration, asked, fill, z_unit


class Streams(EngineAlgorithm):
    """Declares the streams."""

    ID = "streams"
    NAME = "Streams from a DEM"
    GROUP = "Factor layers"
    TAGS = ("dem", "river", "drainage", "hydrology", "flow accumulation", "channel")
    STYLES = {"OUTPUT": "lines"}
    HELP = """
        Draws the streams of an area from its DEM, as lines that run downstream.

        When: where there is no river layer, or the one there is misses the small channels along
        which landslides run out.

        Method: depressions are filled, each cell drains to the neighbour of steepest descent
        (D8), and the cells that drain at least the given area are the streams, joined to lines
        between confluences. The DEM is held whole in memory, about 65 bytes a cell (80 without
        richdem2). Along the DEM's border drainage from outside is unknown, so take a DEM somewhat
        larger than the area.

        Sources: O'Callaghan and Mark 1984, Comput. Vis. Graph. Image Process. 28:323 (D8); Barnes
        et al. 2014, Comput. Geosci. 62:117 (filling), by the library RichDEM where it is
        there (package richdem2; about ten times as fast).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("INPUT", "DEM"),
            "Elevation, in any CRS.",
        )
        yield (
            asked(choices.Streams.MIN_AREA),
            "A stream begins where this many square kilometres drain; smaller values give a "
            "denser network.",
        )
        yield z_unit(), Z_UNIT_HELP
        yield fill(), FILL_HELP
        yield (
            QgsProcessingParameterVectorDestination(
                "OUTPUT", "Streams", QgsProcessing.SourceType.TypeVectorLine
            ),
            "Lines with strahler (order), length_m (geodesic) and drained_km2 at their lower end.",
        )
