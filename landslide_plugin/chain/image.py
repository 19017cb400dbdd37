"""What is known of the image to map."""

from dataclasses import dataclass
from typing import Any

from ..contract.errors import InputError
from ..contract.tags import ALGORITHM
from ..inference.resume import identity, traces
from ..raster.grid import Grid, require_grids_overlap
from ..raster.source import Source
from ..raster.stack import LayerStack
from .plan import Plan

_GENERATED = "landslide:demoarea"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image's facts, read in one opening for all that ask.

    Attributes:
        path: its file.
        bands: by common names.
        grid: its pixels.
        date: year-month-day; "" where its metadata don't say.
        synthetic: whether it is generated.
        files: what tells its files from changed ones; see `identity` and `traces`.
    """

    path: str
    bands: list[str]
    grid: Grid
    date: str
    synthetic: bool
    files: list[Any]

    @classmethod
    def read(cls, path: str, sensor: str) -> "Image":
        """Open an image and read them.

        Args:
            path: its file.
            sensor: whose names the bands bear; see `bands.common_name`.

        Raises:
            InputError: no raster that can be read, or no such sensor.
            GridError: it has no CRS, or is not north-up.
        """
        with LayerStack.open([path], sensor=sensor, what="image") as layer:
            source, _ = layer.source_of(layer.bands[0])
            return cls(
                path=path,
                bands=layer.bands,
                grid=layer.grid,
                date=layer.date,
                synthetic=source.dataset.tags().get(ALGORITHM) == _GENERATED,
                files=[*identity(source), *traces(source)],
            )

    def require(self, wanted: Plan) -> None:
        """Refuse an image without the bands that nothing else can give.

        Raises:
            InputError: it lacks one; the message lists those it has.
        """
        missing = [band for band in wanted.image if band not in self.bands]
        if missing:
            raise InputError(
                f"The image {self.path} lacks {', '.join(missing)}, which the model wants; it has "
                f"{', '.join(self.bands)}: name its bands so, choose the sensor (SENSOR), or "
                "take another model."
            )

    def require_on(self, dem: str) -> None:
        """Refuse a DEM that lies elsewhere, by its name, before anything is derived from it.

        Raises:
            GridError: it does.
        """
        with Source.open(dem, what="DEM") as heights:
            require_grids_overlap(heights.grid, f"The DEM {dem}", self.grid)
