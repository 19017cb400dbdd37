"""What outputs tell of their origin: of their own run alone, whoever ran before or beside it."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from landslide_mapper.landslide_plugin import __version__
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.core.provenance import NO_ORIGIN, Provenance
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors

ROOT = Path(__file__).resolve().parents[3]

IN_ONE_PROCESS = """
import io, json, sys, threading
sys.path.insert(0, {root!r})
from landslide_plugin import worker

worker.register_package()
from landslide_mapper.landslide_plugin.answer import answer

first, second = (io.StringIO(json.dumps(request)) for request in json.loads({requests!r}))
if {beside}:
    begun, ended = threading.Event(), threading.Event()
    def send(event):
        if event["type"] == "progress" and not begun.is_set():
            begun.set()
            ended.wait(60)
    beside = threading.Thread(target=answer, args=(first, send))
    beside.start()
    begun.wait(60)
    answer(second, lambda event: None)
    ended.set()
    beside.join()
else:
    answer(first, lambda event: None)
    answer(second, lambda event: None)
"""
"""Runs two requests: the second after the first, or from its first progress on till its end."""


def run_in_one_process(*requests, beside=False):
    script = IN_ONE_PROCESS.format(root=str(ROOT), requests=json.dumps(requests), beside=beside)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def raster_tags(path):
    with rasterio.open(path) as dataset:
        return {key: text for key, text in dataset.tags().items() if key.startswith("LANDSLIDE_")}


def layer_tags(path):
    return pyogrio.read_info(path)["layer_metadata"]


@pytest.fixture
def asked(make_raster, tmp_path):
    """Return three requests by command: two for rasters of a DEM, one for polygons of a model."""
    rows, columns = np.mgrid[:24, :32].astype(np.float32)
    dem = make_raster("dem.tif", 200 - rows + np.abs(columns - 16))
    mapped = make_raster("mapped.tif", (rows > 12).astype(np.float32) * np.float32(0.9))
    parameters = {
        "terrainfactors": {"input": dem, "output": str(tmp_path / "terrain.tif")},
        "streams": {"input": dem, "output": str(tmp_path / "streams.gpkg"), "min_area": 0.005},
        "vectorize": {"input": mapped, "output": str(tmp_path / "found.gpkg"), "model": "mine"},
    }
    return {name: {"command": name, "parameters": given} for name, given in parameters.items()}


def told_by(request, **more):
    """Return the tags that a request's output must have."""
    return {
        "LANDSLIDE_ALGORITHM": f"landslide:{request['command']}",
        "LANDSLIDE_PARAMETERS": json.dumps(request["parameters"], sort_keys=True),
        "LANDSLIDE_VERSION": __version__,
        **more,
    }


def test_the_second_command_of_a_process_tells_nothing_of_the_first(asked):
    first, second = asked["vectorize"], asked["terrainfactors"]
    run_in_one_process(first, second)
    told = layer_tags(first["parameters"]["output"])
    assert told.items() >= told_by(first, LANDSLIDE_MODEL="mine").items()
    assert raster_tags(second["parameters"]["output"]) == told_by(second)


def test_two_commands_beside_each_other_tell_of_themselves(asked):
    first, second = asked["streams"], asked["terrainfactors"]
    run_in_one_process(first, second, beside=True)
    assert layer_tags(first["parameters"]["output"]) == told_by(first)
    assert raster_tags(second["parameters"]["output"]) == told_by(second)


def test_a_call_from_python_tells_the_version_alone_or_what_it_is_given(make_raster, tmp_path):
    dem = make_raster("dem.tif", np.mgrid[:9, :9][0].astype(np.float32))
    output = str(tmp_path / "slope.tif")
    terrainfactors(input=dem, output=output, factors=["slope"], progress=Progress())
    assert raster_tags(output) == {"LANDSLIDE_VERSION": __version__}
    origin = Provenance("mine:slope", {"dem": "a"})
    terrainfactors(input=dem, output=output, factors=["slope"], origin=origin, progress=Progress())
    assert raster_tags(output) == origin.tags()


def test_a_run_is_not_changed_by_naming_its_model():
    run = Provenance("landslide:predict", {"stack": "a.tif"})
    assert "LANDSLIDE_MODEL" not in run.tags()
    assert run.with_model("small").tags() == {**run.tags(), "LANDSLIDE_MODEL": "small"}
    assert "LANDSLIDE_MODEL" not in run.tags()
    with pytest.raises(dataclasses.FrozenInstanceError):
        NO_ORIGIN.model = "small"  # type: ignore[misc]
