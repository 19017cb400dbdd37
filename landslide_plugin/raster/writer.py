"""Writing rasters block by block; the file appears under its name only when it is whole."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.drivers import driver_from_extension
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from ..contract.errors import OutputError
from ..core.ahead import THREADS
from ..core.progress import Progress
from ..core.system import replace
from ..outputs.whole import whole_file
from .grid import Grid
from .optimized import copy_optimized

NODATA = {"float32": -9999.0, "uint8": 255, "int16": -32768, "uint16": 65535, "int32": -2147483648}
"""The nodata value of each type that the provider writes."""

COMPRESSIONS: dict[str, dict[str, Any]] = {
    "zstd": {"compress": "zstd", "zstd_level": 1, "num_threads": "all_cpus"},
    "none": {},
}
"""Name to GDAL's creation options; all are lossless."""

_TILE = 256
"""Pixels along a side of a tile."""


class RasterWriter:
    """A GeoTIFF in the making: tiled, compressed, bands named.

    Use it as a context manager; leaving it with an error removes what was written.

    Args:
        path: the destination; what stands there is replaced on success only.
        grid: the output's grid.
        bands: one name a band.
        dtype: one of the keys of `NODATA`.
        tags: metadata items of the file: its origin, see `Provenance.tags`, and others.
        classes: value to name, for one categorical band.
        compress: a key of `COMPRESSIONS`.
        overviews: how pixels are joined in smaller copies for display, "average" or "nearest":
            the file is a cloud-optimized GeoTIFF then; a plain one, without copies, when empty.
    """

    def __init__(
        self,
        path: str | Path,
        grid: Grid,
        bands: Sequence[str],
        dtype: str = "float32",
        tags: Mapping[str, str] | None = None,
        classes: Mapping[int, str] | None = None,
        compress: str = "zstd",
        overviews: str = "",
    ) -> None:
        self.path = Path(path)
        self.grid = grid
        self.bands = list(bands)
        self.dtype = dtype
        self.nodata = NODATA[dtype]
        self._tags = dict(tags or {})
        self._classes = dict(classes or {})
        self._compression = dict(COMPRESSIONS[compress])
        if self._compression:
            self._compression["predictor"] = 3 if dtype == "float32" else 2
        self._overviews = overviews
        self._optimized = False
        self._stack = ExitStack()

    def __enter__(self) -> "RasterWriter":
        """Create the temporary file."""
        with ExitStack() as stack:
            self._partial = stack.enter_context(whole_file(self.path))
            _require_ending(self.path)
            # Without one, the dataset makes one and ends it on close, also one nested in it.
            stack.enter_context(rasterio.Env())
            try:
                self._dataset = stack.enter_context(self._create())
                self._describe()
            except RasterioError as error:
                raise self._write_error() from error
            self._stack = stack.pop_all()
        return self

    def write(
        self, values: NDArray[Any], window: Window, valid: NDArray[np.bool_] | None = None
    ) -> None:
        """Write a block of all bands.

        Args:
            values: (bands, rows, columns), or (rows, columns) for one band.
            window: where it goes.
            valid: same shape or (rows, columns); nodata is written where it is False.

        Raises:
            OutputError: the disk is full.
        """
        block = values if values.ndim == 3 else values[np.newaxis]
        if valid is not None and not valid.all():
            block = np.where(valid, block, self.nodata)
        try:
            with _late_errors() as errors:
                self._dataset.write(block.astype(self.dtype, copy=False), window=window)
        except RasterioError as error:
            raise self._write_error() from error
        if errors:
            raise self._write_error()

    def finish(self, progress: Progress | None = None) -> None:
        """Write out what GDAL still holds and check it; what follows is only the move.

        For several outputs that belong together: finish all before leaving any.

        Args:
            progress: told how far that is.

        Raises:
            OutputError: the disk is full or failed.
        """
        failure = self._finish(progress or Progress())
        if failure is not None:
            raise failure

    def tag_band(self, index: int, tags: Mapping[str, str]) -> None:
        """Add metadata items to a band, numbered from 1, such as its statistics."""
        self._dataset.update_tags(index, **tags)

    def set_unit(self, index: int, unit: str) -> None:
        """Say what a band, numbered from 1, is measured in."""
        self._dataset.set_band_unit(index, unit)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Move the file to its destination, or remove it after an error."""
        failure = self._finish(Progress()) if error is None else error
        if failure is None:
            self._stack.__exit__(None, None, None)
            return
        self._stack.__exit__(type(failure), failure, failure.__traceback__)
        if failure is not error:
            raise failure

    def _create(self) -> DatasetWriter:
        return rasterio.open(
            self._partial,
            "w",
            driver="GTiff",
            width=self.grid.width,
            height=self.grid.height,
            count=len(self.bands),
            dtype=self.dtype,
            crs=self.grid.crs,
            transform=self.grid.transform,
            nodata=self.nodata,
            tiled=True,
            blockxsize=_TILE,
            blockysize=_TILE,
            interleave="band",  # tiles of one band each: less to move, one band reads fast
            bigtiff="if_safer",
            **self._compression,
        )

    def _finish(self, progress: Progress) -> OutputError | None:
        """Close the file and read the last block of each band back.

        GDAL writes most of a file only now, so what fails must be heard and is not believed unread.
        """
        try:
            with _late_errors() as errors:
                self._dataset.close()
                self._optimize(progress)
            if errors:
                return self._write_error()
            with rasterio.open(self._partial) as written:
                last = Window(self.grid.width - 1, self.grid.height - 1, 1, 1)
                written.read(window=last)  # of all bands at once: rasterio looks at all each time
        except (RasterioError, CPLE_BaseError):  # the latter from a copy
            return self._write_error()
        return None

    def _optimize(self, progress: Progress) -> None:
        """Make a cloud-optimized GeoTIFF of the file."""
        if not self._overviews or self._optimized:
            return
        self._optimized = True
        optimized = self._partial.with_name(f"{self._partial.name}.cog")
        copy_optimized(
            self._partial,
            optimized,
            progress,
            blocksize=_TILE,
            compress=self._compression.get("compress", "none"),
            level=self._compression.get("zstd_level", 1),
            predictor="yes",
            overview_resampling=self._overviews,
            num_threads="all_cpus",
            bigtiff="if_safer",
        )
        replace(optimized, self._partial)

    def _describe(self) -> None:
        self._dataset.update_tags(**self._tags)
        for index, name in enumerate(self.bands, start=1):
            self._dataset.set_band_description(index, name)
        if self._classes:
            self._dataset.update_tags(
                1, **{f"class_{value}": name for value, name in self._classes.items()}
            )

    def _write_error(self) -> OutputError:
        return OutputError(
            f"{self.path} can't be written: the disk is full or failed; free some space or choose "
            "another folder. Nothing was written."
        )


class _Listener(logging.Handler):
    """Keeps what GDAL signalled."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep GDAL's errors, which rasterio logs as information.

        But for those of threads that read meanwhile: what fails there is raised there.
        """
        text = record.getMessage()
        reads = str(record.threadName).startswith(THREADS)
        if text.startswith("GDAL signalled an error") and not reads:
            self.errors.append(text)


def _require_ending(path: Path) -> None:
    """Refuse a name that promises another format.

    Raises:
        OutputError: it does.
    """
    try:
        driver = driver_from_extension(path)
    except ValueError:  # none that is known
        return
    if driver not in ("GTiff", "COG"):
        raise OutputError(
            f"{path} would hold a GeoTIFF under the ending of {driver}: choose a name that ends in "
            ".tif."
        )


@contextmanager
def _late_errors() -> Iterator[list[str]]:
    """Collect the errors that GDAL signals meanwhile.

    What goes wrong while compression threads or `close` write to disk is not raised by rasterio,
    only logged.
    """
    logger, listener = logging.getLogger("rasterio"), _Listener()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with rasterio.Env():
            yield listener.errors
    finally:
        logger.propagate = propagate
        logger.setLevel(level)
        logger.removeHandler(listener)
