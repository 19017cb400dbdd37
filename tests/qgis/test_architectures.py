"""Every architecture trains on real Bijie tiles by qgis_process, as without a screen."""

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest
from osgeo import gdal

ROOT = Path(__file__).resolve().parents[2]
SIDE, TILES = 64, 24
ARCHITECTURES = {
    "fc_densenet": "light",
    "compact_unet": "light",
    "unet": "light",
    "resunet": "light",
    "segnet": "light",
    "fcn8s": "light",
    "fcn_fused": "light",
    "smp_unet": "mobilenet_v2",
    "smp_unetplusplus": "mobilenet_v2",
    "smp_deeplabv3plus": "mobilenet_v2",
    "smp_pspnet": "mobilenet_v2",
    "smp_fpn": "mobilenet_v2",
    "smp_segformer": "mit_b0",
    "mask_rcnn": "resnet18",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory, engine_python):
    """Return a function that runs an algorithm and returns its results."""
    folder = tmp_path_factory.mktemp("qgis")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "landslide_mapper").symlink_to(ROOT)
    environment = {
        **os.environ,
        "QGIS_PLUGINPATH": str(folder / "plugins"),
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "profile"),
        "QT_QPA_PLATFORM": "offscreen",
        "LANDSLIDE_PYTHON": str(engine_python),
    }

    def call(*words):
        program = ["/usr/bin/qgis_process.bin", *words]
        return subprocess.run(program, env=environment, capture_output=True, text=True)

    if call("plugins", "enable", "landslide_mapper").returncode:
        pytest.skip("qgis_process can't be run here")

    def run(algorithm, **parameters):
        words = [f"{key}={value}" for key, value in parameters.items()]
        done = call("run", f"landslide:{algorithm}", "--json", "--", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout[done.stdout.index("{") :])["results"]

    return run


@pytest.fixture(scope="module")
def samples(run, tmp_path_factory):
    """The middle of real tiles, half of them with a landslide."""
    data = Path(os.environ.get("LANDSLIDE_DATA", ROOT.parent / "shared" / "data")) / "bijie"
    if not data.is_dir():
        pytest.skip(f"the real data {data} is absent")
    folder = tmp_path_factory.mktemp("bijie")
    for kind in ("ls", "nls"):
        paths = sorted((data / "images").glob(f"{kind}_*"))
        large = [path for path in paths if min(size(path)) >= SIDE]
        for path in large[: TILES // 2]:
            cut(path, folder / "images" / f"{path.stem}.tif")
            mask = data / "masks" / f"{path.stem}.png"
            if mask.exists():
                cut(mask, folder / "masks" / f"{path.stem}.tif")
    output = folder / "samples"
    result = run(
        "importsamples",
        IMAGES=folder / "images",
        MASKS=folder / "masks",
        VALIDATION=0.25,
        OUTPUT=output,
    )
    assert result["TRAIN"] == TILES * 3 // 4
    return output


def size(path):
    dataset = gdal.Open(str(path))
    return dataset.RasterXSize, dataset.RasterYSize


def cut(path, output):
    output.parent.mkdir(exist_ok=True)
    width, height = size(path)
    window = [(width - SIDE) // 2, (height - SIDE) // 2, SIDE, SIDE]
    assert gdal.Translate(str(output), str(path), srcWin=window) is not None


def card_of(model):
    """Return the properties of the STAC item in the header of a safetensors file."""
    with model.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return json.loads(header["__metadata__"]["stac_item"])["properties"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_three_epochs_make_a_model(run, samples, tmp_path, architecture):
    model = tmp_path / "model.safetensors"
    result = run(
        "train",
        SAMPLES=samples,
        ARCHITECTURE=architecture,
        BACKBONE=ARCHITECTURES[architecture],
        EPOCHS=3,
        BATCH_SIZE=6,
        DEVICE="cpu",
        MODEL=model,
    )
    assert 0 <= result["IOU"] <= result["F1"] <= 1 and 0 < result["THRESHOLD"] < 1
    card = card_of(model)
    assert card["mlm:architecture"] == architecture
    assert card["landslide:training"]["epochs"] == 3
    assert card["landslide:training"]["ending"] == "all epochs"
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    print(f"{architecture}: F1 {result['F1']:.3f}, {card['mlm:total_parameters']} parameters")
