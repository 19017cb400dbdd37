"""The command for indices of spectral bands."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import numpy as np

from ..contract.choices import SpectralIndices
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.reflectance import given_units
from ..raster.writer import RasterWriter
from . import spectral


def spectralindices(
    *,
    input: str,
    output: str,
    indices: Annotated[Sequence[str], SpectralIndices.INDICES] = SpectralIndices.INDICES.default,
    sensor: Annotated[str, SpectralIndices.SENSOR] = SpectralIndices.SENSOR.default,
    blue: Annotated[int, SpectralIndices.BLUE] = SpectralIndices.BLUE.default,
    green: Annotated[int, SpectralIndices.GREEN] = SpectralIndices.GREEN.default,
    red: Annotated[int, SpectralIndices.RED] = SpectralIndices.RED.default,
    nir: Annotated[int, SpectralIndices.NIR] = SpectralIndices.NIR.default,
    swir1: Annotated[int, SpectralIndices.SWIR1] = SpectralIndices.SWIR1.default,
    swir2: Annotated[int, SpectralIndices.SWIR2] = SpectralIndices.SWIR2.default,
    bands: Sequence[str] = (),
    earlier: str = "",
    scale: Annotated[float | None, SpectralIndices.SCALE] = SpectralIndices.SCALE.default,
    offset: Annotated[float | None, SpectralIndices.OFFSET] = SpectralIndices.OFFSET.default,
    earlier_scale: Annotated[
        float | None, SpectralIndices.EARLIER_SCALE
    ] = SpectralIndices.EARLIER_SCALE.default,
    earlier_offset: Annotated[
        float | None, SpectralIndices.EARLIER_OFFSET
    ] = SpectralIndices.EARLIER_OFFSET.default,
    fill: Annotated[str, SpectralIndices.FILL] = SpectralIndices.FILL.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Derive spectral indices from an image; see `spectral.INDICES`.

    Args:
        input: the image, whose grid counts; its numbers are brought to reflectance as its file,
            its product or `scale` and `offset` say.
        output: float32 GeoTIFF, one band an index, named after it; with an earlier image, then
            one band a change: `spectral.CHANGE`.
        indices: names of indices, in the order of the output's bands.
        sensor: a key of `bands.SENSORS`, "auto" (bands found by their names) or "custom"
            (by the numbers alone).
        blue: number of the blue band, from 1; 0 = by name or sensor. So are the others.
        green: number of the green band.
        red: number of the red band.
        nir: number of the near infrared band.
        swir1: number of the short-wave infrared band at 1.6 micrometres.
        swir2: number of the short-wave infrared band at 2.2 micrometres.
        bands: files of further bands of the image, of any resolution; they are brought to the
            image's grid, and numbers count on through them.
        earlier: an image from before, of the same sensor.
        scale: what the image's stored numbers are multiplied by to give reflectance; None for
            what the image tells.
        offset: what is added then; None is 0.
        earlier_scale: likewise of the earlier image.
        earlier_offset: likewise.
        fill: "auto" or "keep": fill that an image does not declare is nodata, or is kept.
        origin: what the outputs tell of the run.
        progress: where to report.

    Raises:
        InputError: a band that can't be found, or two images of which one has an offset that is
            known and the other not.
        GridError: an image has no CRS or is rotated, or the images don't overlap.
    """
    names = list(dict.fromkeys(indices))
    numbers = {
        "blue": blue, "green": green, "red": red, "nir": nir, "swir1": swir1, "swir2": swir2,
    }  # fmt: skip
    files = list(dict.fromkeys([input, *(bands or ())]))
    given = given_units(scale, offset)
    given_earlier = given_units(earlier_scale, earlier_offset, "EARLIER_")
    with ExitStack() as opened:
        images = [
            spectral.open_image(
                files, names, opened, sensor=sensor, numbers=numbers, given=given, fill=fill,
                progress=progress.part(0, 0.2),
            )
        ]  # fmt: skip
        written = list(names)
        if earlier:
            before = spectral.open_image(
                [earlier], names, opened, sensor=sensor, numbers=numbers, given=given_earlier,
                reference=input, what="earlier image", fill=fill,
                progress=progress.part(0.2, 0.4),
            )  # fmt: skip
            spectral.require_same_units(images[0], before)
            images.append(before)
            written += [spectral.CHANGE + name for name in names]
        grid = images[0].layers.grid
        blocks = spectral.stream_indices(images, names)
        with RasterWriter(output, grid, written, tags=origin.tags()) as writer:
            _write_indices(blocks, writer, input, progress.part(0.4, 1))
    return {"output": output}


def _write_indices(
    blocks: spectral.Blocks, writer: RasterWriter, image: str, progress: Progress
) -> None:
    """Write a stream of blocks; refuse to leave a band without any valid pixel."""
    any_valid = np.zeros(len(writer.bands), bool)
    for window, values, valid in blocks:
        writer.write(values, window, valid)
        any_valid |= valid.any(axis=(1, 2))
        progress.update((window.row_off + window.height) / writer.grid.height)
    if not any_valid.all():
        empty = [band for band, some in zip(writer.bands, any_valid, strict=True) if not some]
        raise InputError(
            f"The image {image} holds no valid pixel for {', '.join(empty)}: check the nodata "
            "value of its bands and of the earlier image."
        )
