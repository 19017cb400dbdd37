"""Fixtures of the engine's tests."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

ROOT = Path(__file__).resolve().parents[2]
UTM = from_origin(500000, 5000000, 10, 10)


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LANDSLIDE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data folder {folder} is absent")
    return folder


@pytest.fixture
def make_raster(tmp_path):
    """Return a function that writes an array as GeoTIFF and returns its path."""

    def make(name, array, crs="EPSG:32632", transform=UTM, nodata=None, bands=None):
        array = np.asarray(array)
        array = array[np.newaxis] if array.ndim == 2 else array
        path = tmp_path / name
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=array.shape[0],
            height=array.shape[1],
            width=array.shape[2],
            dtype=array.dtype,
            crs=crs,
            transform=transform,
            nodata=nodata,
        ) as dataset:
            dataset.write(array)
            for index, band in enumerate(bands or [], start=1):
                dataset.set_band_description(index, band)
        return str(path)

    return make
