"""Every call that README documents is run, in its order, in an empty folder."""

import os
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from landslide_mapper.processing_algorithms import ALGORITHMS
from landslide_mapper.processing_algorithms.request import problem_of
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingParameterFile,
)

WORKFLOWS = "processing_algorithms/workflows"
ROOT = Path(__file__).resolve().parents[2]
NOT_RUN = {
    "landslide:setupengine",  # installs 2 GB; test_setup.py runs it on a small list
    "landslide:fetchmodel",  # downloads; test_fetchmodel.py runs it with a server of its own
}

NOT_MADE = {"MIN_AREA", "THRESHOLD", "SCORE", "RESOLUTION", "RECIPE"}
"""Keys whose values hold a dot and are no file that a call reads or makes in its folder."""


def documented_calls(page="README.md"):
    text = (ROOT / page).read_text(encoding="utf-8").split("<!-- calls:")[1]
    lines = text.split("```sh\n")[1].split("```")[0].splitlines()
    return [shlex.split(line) for line in lines]


def test_each_algorithm_and_model_has_a_call():
    called = {call[2] for call in documented_calls()}
    models = {str(path.relative_to(ROOT)) for path in ROOT.glob(f"{WORKFLOWS}/*.model3")}
    algorithms = {f"landslide:{kind.ID}" for kind in ALGORITHMS}
    assert algorithms | models == called


@pytest.mark.usefixtures("provider")
def test_calls_of_weak_supervision_are_known():
    """Its calls are README's with other values, so that these alone are looked at."""
    called = documented_calls("docs/weak_supervision.md")
    assert len(called) == 8
    for _, _, name, _, *words in called:
        algorithm = QgsApplication.processingRegistry().algorithmById(name)
        for word in words:
            key, _, value = word.partition("=")
            definition = algorithm.parameterDefinition(key)
            assert definition is not None, f"{name} has no {key}"
            if not isinstance(definition, QgsProcessingParameterFile):
                assert problem_of(definition, value, QgsProcessingContext()) == "" or "." in value


@pytest.mark.slow
def test_documented_calls_run(tmp_path, engine_python):
    write_tiles(tmp_path / "tiles")
    environment = {
        **os.environ,
        "QGIS_PLUGINPATH": str(ROOT / "build" / "plugins"),
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profile"),
        "QT_QPA_PLATFORM": "offscreen",
        "LANDSLIDE_PYTHON": str(engine_python),
    }

    def call(*words):
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-2000:]}{done.stderr}"

    call("qgis_process.bin", "plugins", "enable", "landslide_mapper")
    for words in documented_calls():
        if words[2] in NOT_RUN:
            continue
        call(
            *[
                word.replace("processing_algorithms/", f"{ROOT}/processing_algorithms/").replace(
                    "models/recipes/", f"{ROOT}/models/recipes/"
                )
                for word in words
            ]
        )
        for word in words:
            key, _, name = word.partition("=")
            if "." in name and key not in NOT_MADE:
                assert (tmp_path / name).exists(), f"{words[2]} left no {name}"


def write_tiles(folder):
    """Write eight synthetic tiles: a bright square, the landslide, on noise."""
    noise = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(8):
        mask = np.zeros((64, 64), np.uint8)
        row, col = noise.integers(8, 36, 2)
        mask[row : row + 20, col : col + 20] = 255
        image = noise.integers(40, 90, (3, 64, 64)).astype(np.uint8) + mask // 3
        for kind, bands in (("images", image), ("masks", mask[np.newaxis])):
            memory = gdal.GetDriverByName("MEM").Create("", 64, 64, len(bands), gdal.GDT_Byte)
            for index, band in enumerate(bands, start=1):
                memory.GetRasterBand(index).WriteArray(band)
            path = folder / kind / f"tile_{number}.png"
            gdal.GetDriverByName("PNG").CreateCopy(str(path), memory)
            Path(f"{path}.aux.xml").unlink(missing_ok=True)
