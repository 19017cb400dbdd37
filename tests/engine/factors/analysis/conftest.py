"""Areas whose landslides follow the slope, and small forests."""

import csv

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.analysis import importance
from landslide_mapper.landslide_plugin.factors.analysis import (
    natural_breaks as natural_breaks_module,
)
from landslide_mapper.landslide_plugin.factors.analysis.factoranalysis_command import factoranalysis
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.raster.writer import RasterWriter
from landslide_mapper.landslide_plugin.request import checked
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

SHAPE = (60, 80)


@pytest.fixture(autouse=True)
def small_forests(monkeypatch):
    """Few trees and quantiles, so that the tests are quick."""
    monkeypatch.setattr(importance, "TREES", 20)
    monkeypatch.setattr(natural_breaks_module, "_REPRESENTATIVES", 200)


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def make_lithology(make_raster, tmp_path):
    """Return a function that writes a class raster and returns its path."""

    def make(codes, names):
        with Source.open(make_raster("like.tif", codes.astype(np.int16))) as source:
            grid = source.grid
        path = tmp_path / "lithology.tif"
        with RasterWriter(path, grid, ["lithology"], "int16", classes=names) as writer:
            writer.write(codes.astype(np.int16), Window(0, 0, grid.width, grid.height))
        return str(path)

    return make


@pytest.fixture
def make_area(make_raster, random):
    """Return a function that writes a stack of slope and noise and a mask that follows slope."""

    def make(nodata=None, **bands):
        slope = gaussian_filter(random.normal(size=SHAPE), 2).astype(np.float32)
        slope *= 20 / slope.std()
        noise = random.normal(size=SHAPE).astype(np.float32)
        layers = {"slope": slope, "noise": noise, **bands}
        mask = (slope + random.normal(0, 10, SHAPE) > 30).astype(np.uint8)
        stack = make_raster("stack.tif", np.stack(list(layers.values())), bands=list(layers))
        return stack, make_raster("mask.tif", mask, nodata=nodata), layers, mask

    return make


def run(stack, landslides, **parameters):
    events = []
    given = {"stack": str(stack), "landslides": str(landslides), **parameters}
    given = checked("factoranalysis", factoranalysis, given)
    made = factoranalysis(**given, progress=Progress(events.append))
    return made, events


def texts(events):
    return [event["text"] for event in events if "text" in event]


def table_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
