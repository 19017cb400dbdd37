"""Prediction that is cancelled or killed: the message, the processes, the earlier output."""

import os
import signal
import subprocess

import numpy as np
import processing
import pytest
from landslide_mapper.landslide_plugin import engine_lookup, engine_process
from osgeo import gdal
from qgis.core import QgsProcessingException

MAKE_MODEL = """
import sys
from landslide_plugin.worker import register_package
register_package()
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build
card = ModelCard(
    name="untrained", architecture="fc_densenet", arguments={}, bands=["band_1"], mean=[0.0],
    task="semantic-segmentation", std=[1.0], resolution=10.0, tile_size=64,
    classes=["background", "landslide"], threshold=0.5, training={}, metrics={}, licence="CC0-1.0",
)
save_model(sys.argv[1], build("fc_densenet", 1, 2), card)
"""


@pytest.fixture
def inputs(engine, tmp_path):
    """A network of random weights and a raster that keeps it busy for minutes."""
    model, stack = tmp_path / "in" / "model.safetensors", tmp_path / "in" / "stack.tif"
    model.parent.mkdir()
    subprocess.run([str(engine), "-c", MAKE_MODEL, str(model)], cwd=engine_lookup.ROOT, check=True)
    raster = gdal.GetDriverByName("GTiff").Create(str(stack), 2048, 2048, 1, gdal.GDT_Float32)
    raster.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    raster.SetProjection(gdal.osr.GetUserInputAsWKT("EPSG:32632"))
    raster.GetRasterBand(1).WriteArray(np.random.default_rng(0).random((2048, 2048), np.float32))
    return {"STACK": str(stack), "MODEL": str(model), "DEVICE": "cpu", "TILE_SIZE": 128}


@pytest.fixture
def pids(monkeypatch):
    """The process ids of the workers that get started."""
    result = []
    start = engine_process.start

    def remember(*arguments):
        process = start(*arguments)
        result.append(process.pid)
        return process

    monkeypatch.setattr(engine_process, "start", remember)
    return result


@pytest.fixture
def outputs(tmp_path):
    """Destinations at which earlier results stand."""
    folder = tmp_path / "out"
    folder.mkdir()
    paths = {"PROBABILITY": folder / "probability.tif", "MASK": folder / "mask.tif"}
    for path in paths.values():
        path.write_text("an earlier result")
    return paths


def predict(inputs, outputs, feedback):
    parameters = {**inputs, **{key: str(path) for key, path in outputs.items()}}
    return processing.run("landslide:predict", parameters, feedback=feedback)


def assert_nothing_is_left(outputs, pids):
    folder = outputs["MASK"].parent
    left = [path.name for path in folder.iterdir() if not path.name.startswith(".resume-")]
    assert sorted(left) == ["mask.tif", "probability.tif"]
    assert all(path.read_text() == "an earlier result" for path in outputs.values())
    assert pids and not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@pytest.mark.usefixtures("provider")
def test_kill_9(inputs, outputs, recorder, pids):
    feedback = recorder()

    def kill(percent):
        if percent > 0:
            os.kill(pids[0], signal.SIGKILL)

    feedback.progressChanged.connect(kill)
    with pytest.raises(QgsProcessingException, match=r"ended from outside \(signal 9"):
        predict(inputs, outputs, feedback)
    assert_nothing_is_left(outputs, pids)


@pytest.mark.usefixtures("provider")
def test_cancel(inputs, outputs, recorder, pids):
    """Within a small part of the work, which is slow on a busy machine too."""
    feedback = recorder()
    feedback.progressChanged.connect(lambda percent: percent > 0 and feedback.cancel())
    predict(inputs, outputs, feedback)
    assert feedback.percents[-1] < 20
    assert_nothing_is_left(outputs, pids)
