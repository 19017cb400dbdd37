"""Fixtures of the engine's tests."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import settings
from rasterio.transform import from_origin

ROOT = Path(__file__).resolve().parents[2]
UTM = from_origin(500000, 5000000, 10, 10)

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LANDSLIDE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data folder {folder} is absent")
    return folder


@pytest.fixture(scope="module")
def one_thread():
    """One thread, in this process and those it starts, for tests that compare bits.

    Sums depend on the number of threads: one and two differ by up to 4e-7 of a probability.
    """
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(before)


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


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MiB; skipped where none can be mounted (only root can)."""
    yield from _mounted(tmp_path / "disk", "tmpfs", "size=2m")


@pytest.fixture
def read_only_folder(tmp_path):
    """A folder on a read-only file system, which binds root too."""
    yield from _mounted(tmp_path / "read_only", "tmpfs", "ro,size=1m")


def _mounted(folder, kind, options):
    folder.mkdir()
    try:
        mount = ["mount", "-t", kind, "-o", options, kind, str(folder)]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a {kind} can't be mounted here: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
