"""The plugin from its archive, in a fresh profile: whole, and clear about what is not in it."""

import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from landslide_mapper.processing_algorithms import ALGORITHMS
from osgeo import gdal, osr

from scripts.zip import make_zip

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def qgis_process(tmp_path_factory):
    """Run qgis_process with the archive's plugin alone; return what it did."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    folder = tmp_path_factory.mktemp("fresh")
    make_zip(ROOT, folder / "plugin.zip")
    with zipfile.ZipFile(folder / "plugin.zip") as archive:
        archive.extractall(folder / "plugins")
    environment = {
        **os.environ,
        "QGIS_PLUGINPATH": str(folder / "plugins"),
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "profile"),
        "QT_QPA_PLATFORM": "offscreen",
        "LANDSLIDE_HOME": str(folder / "home"),
    }

    def run(*words, **variables):
        return subprocess.run(
            ["/usr/bin/qgis_process.bin", *words], cwd=folder, env=environment | variables,
            capture_output=True, text=True,
        )  # fmt: skip

    assert run("plugins", "enable", "landslide_mapper").returncode == 0
    return run


@pytest.fixture
def image(tmp_path):
    """A scene of red, green and blue in pixels of 0.8 m, which no model that ships is for."""
    path = str(tmp_path / "image.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 64, 64, 3, gdal.GDT_Byte)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000, 0.8, 0, 5000000, 0, -0.8))
    values = np.random.default_rng(0).integers(1, 255, (3, 64, 64))
    for number, name in enumerate(("red", "green", "blue"), start=1):
        dataset.GetRasterBand(number).WriteArray(values[number - 1].astype(np.uint8))
        dataset.GetRasterBand(number).SetDescription(name)
    return path


def test_all_algorithms_and_models_are_listed(qgis_process):
    listed = qgis_process("list").stdout
    for kind in ALGORITHMS:
        assert f"landslide:{kind.ID}\t{kind.NAME}" in listed
    assert listed.count("landslide:") == len(ALGORITHMS) + 2  # the graphical models


def test_an_image_for_a_model_that_does_not_ship_is_told_of_it(
    qgis_process, image, tmp_path, engine_python
):
    outputs = [f"INVENTORY={tmp_path / 'a.gpkg'}", f"PROBABILITY={tmp_path / 'a.tif'}"]
    words = ("run", "landslide:map", "--", f"IMAGE={image}", *outputs)
    done = qgis_process(*words, LANDSLIDE_PYTHON=str(engine_python))
    assert done.returncode == 1
    assert "Not at hand, but fit for it: rgb-vhr" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_how_to_have_that_model_is_said_without_an_engine(qgis_process):
    done = qgis_process("run", "landslide:fetchmodel", "--", "NAME=rgb-vhr", LANDSLIDE_PYTHON="")
    assert done.returncode == 1
    assert "'Run a recipe' (landslide:recipe) makes such a model by a recipe of" in done.stderr
