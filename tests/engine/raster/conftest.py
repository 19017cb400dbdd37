"""Rasters of classes and areas, as layers of stacks; a server of files."""

import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core import gdal_options
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.raster.writer import RasterWriter
from rasterio.windows import Window


@pytest.fixture
def make_classes(make_raster, tmp_path):
    """Return a function that writes a categorical raster and returns its path."""

    def make(name, array, classes, like, band="lithology"):
        with Source.open(like) as source:
            grid = source.grid
        path = tmp_path / name
        with RasterWriter(path, grid, [band], "int16", classes=classes) as writer:
            writer.write(array.astype(np.int16), Window(0, 0, grid.width, grid.height))
        return str(path)

    return make


@pytest.fixture
def make_area(tmp_path):
    """Return a function that writes polygons as a layer and returns its path."""

    def make(*polygons, crs="EPSG:32632"):
        path = tmp_path / "area.gpkg"
        gpd.GeoDataFrame(geometry=list(polygons), crs=crs).to_file(path)
        return str(path)

    return make


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the address that it is served at."""
    for name, value in {
        **gdal_options.PATIENCE,
        **gdal_options.SERVERS,
        "GDAL_HTTP_RETRY_DELAY": "0.1",
    }.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "served"
    folder.mkdir()
    script = str(Path(__file__).with_name("server.py"))
    with subprocess.Popen(
        [sys.executable, script, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield folder, f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()
