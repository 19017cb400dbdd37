"""How a raster lies in its file, by which a compressed one is told from another on its grid.

Object stores want a signature before they say whether a file is still the same.
"""

import hashlib
import json
from contextlib import closing

import rasterio

from .opening import open_raster


def layout(name: str) -> str:
    """Return a digest of a raster's grid, bands and metadata, and of where its blocks lie.

    It is read anew, whatever GDAL remembers of the file. Where other content has blocks of the same
    sizes, as without compression, it is the same.

    Args:
        name: as GDAL takes it.

    Raises:
        InputError: see `open_raster`.
    """
    digest = hashlib.sha256()
    with rasterio.Env(CPL_VSIL_CURL_NON_CACHED=name):
        open_raster(name, "file").close()  # GDAL forgets when it closes
    with closing(open_raster(name, "file")) as dataset:
        facts = [str(dataset.crs), list(dataset.transform), dataset.shape, dataset.dtypes]
        digest.update(json.dumps([*facts, dataset.tags()], sort_keys=True).encode())
        for band in dataset.indexes:
            for (row, column), _ in dataset.block_windows(band):
                for key in ("OFFSET", "SIZE"):
                    item = f"BLOCK_{key}_{column}_{row}"
                    digest.update(f"{dataset.get_tag_item(item, 'TIFF', band)} ".encode())
    return digest.hexdigest()
