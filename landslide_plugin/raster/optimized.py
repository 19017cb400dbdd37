"""Cloud-optimized GeoTIFFs (COG) of plain ones: copies that tell how far they are, and can end."""

from io import FileIO
from pathlib import Path
from typing import Any

import rasterio
from rasterio import shutil

from ..core.interruption import uninterrupted
from ..core.progress import Progress

_NAME = "plain.tif"
"""By which GDAL asks for the file that is copied; it looks for others beside it."""
_TIMES = 2
"""That a file is read: for the smaller copies, and for the pixels, unless GDAL keeps them."""


def copy_optimized(source: Path, output: Path, progress: Progress, **options: Any) -> None:
    """Write a cloud-optimized GeoTIFF: smaller copies for display first, then the pixels.

    GDAL tells nothing meanwhile, so that it is told by what GDAL reads. While smaller copies are
    made of smaller ones, about a quarter of the time, nothing is.

    Args:
        source: a GeoTIFF.
        output: the file to write.
        progress: told of it; what it raises ends the copy.
        options: those of GDAL's driver COG.

    Raises:
        RasterioError: what GDAL fails with, as is `CPLE_BaseError`.
    """
    raised: list[BaseException] = []
    size = max(_TIMES * source.stat().st_size, 1)
    count = 0

    class Told(FileIO):
        def read(self, wanted: int | None = -1) -> bytes:
            nonlocal count
            try:
                content = super().read(-1 if wanted is None else wanted)
                count += len(content)
                progress.update(count / size)
            except BaseException as error:  # GDAL would go on
                raised.append(error)
            return b"" if raised or signals else content

    def opened(name: str, mode: str = "rb", **_: Any) -> FileIO:
        if name != _NAME:
            raise FileNotFoundError(name)
        return Told(source)

    with uninterrupted() as signals:  # exceptions don't come through GDAL
        try:
            # In one thread, this one, which signals reach.
            with (
                rasterio.Env(ZSTD_LEVEL_OVERVIEW=1),  # of smaller copies that GDAL keeps meanwhile
                rasterio.open(_NAME, opener=opened, num_threads=1) as plain,
            ):
                shutil.copy(plain, output, driver="COG", **options)
        finally:
            if raised:
                raise raised[0]
    progress.update(1)
