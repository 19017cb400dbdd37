"""What of a raster is no data, by its file or as fill, and what networks get in its place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

UNDECLARED_FILL = 1e30
"""Values beyond this size are fill, declared or not (GDAL's and Esri's -3.4e38).

Far below that, so that what other programs' resampling mixed from fill and data is fill too.
"""


def valid_by_nodata(
    dataset: DatasetReader, read: NDArray[np.float32], indexes: Sequence[int]
) -> NDArray[np.bool_] | None:
    """Return what GDAL's masks say, without their help, which is slow; None for other kinds.

    These are bands without masks, and those of single precision with nodata, which GDAL reads
    again. It is done here as GDAL does it: what is nodata but for rounding is nodata.

    Args:
        dataset: what was read.
        read: its values, the first axis that of the bands.
        indexes: GDAL's numbers of the bands.
    """
    flags, types = dataset.mask_flag_enums, dataset.dtypes
    if all(flags[i - 1] == [MaskFlags.all_valid] for i in indexes):
        return np.ones(read.shape, bool)
    if any(flags[i - 1] != [MaskFlags.nodata] or types[i - 1] != "float32" for i in indexes):
        return None
    valid = np.ones(read.shape, bool)
    for values, one, index in zip(read, valid, indexes, strict=True):
        nodata = np.float32(dataset.nodatavals[index - 1])
        if abs(nodata) < UNDECLARED_FILL:  # else no value anyway
            rounding = 4 * np.finfo(np.float32).eps * abs(nodata)
            np.less(values, nodata - rounding, out=one)
            one |= values > nodata + rounding
    return valid


def nearest_valid(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Have ground go on where nothing is known: each pixel gets what the nearest valid one has.

    So a network gets it in training and in maps. The edge of a hole that holds one value looks like
    nothing on the ground: `docs/experiments.md`.

    Args:
        values: (bands, rows, columns).
        valid: (rows, columns).

    Returns:
        Values, the same array where all is valid or nothing is.
    """
    if valid.all() or not valid.any():
        return values
    from scipy.ndimage import distance_transform_edt  # loading it takes a tenth of a second

    rows, cols = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    filled: NDArray[np.float32] = values[:, rows, cols]
    return filled
