"""Images of a set whose numbers or pixels are not alike, and numbers that a file scales."""

import json
from typing import Any

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from PIL import Image
from rasterio.transform import from_origin

BYTES = np.random.default_rng(0).integers(0, 255, (12, 1, 32, 32)).astype(np.uint8)


@pytest.fixture
def imported(make_raster, tmp_path):
    """Return a function that imports images of pixel sizes, and returns manifest and warnings."""

    def run(images, sizes, scale=1.0, **parameters):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir()
        mask = np.zeros((32, 32), np.uint8)
        mask[:8, :8] = 1
        for number, (image, size) in enumerate(zip(images, sizes, strict=True)):
            transform = from_origin(500000 + 1000 * number, 5000000, size, size)
            path = make_raster(f"images/{number}.tif", image, transform=transform)
            with rasterio.open(path, "r+") as dataset:
                dataset.scales = [scale]
            make_raster(f"masks/{number}.tif", mask, transform=transform)
        said = []
        folders = {key: str(tmp_path / key) for key in ("images", "masks")}
        given = {**folders, "output": str(tmp_path / "samples"), "bands": ["red"], **parameters}
        run_command("importsamples", given, Progress(said.append))
        manifest = json.loads((tmp_path / "samples" / "manifest.json").read_text())
        return manifest, [event["text"] for event in said if event["type"] == "warning"]

    return run


def test_bytes_that_a_file_scales_are_read_so(imported):
    manifest, _ = imported(BYTES, [10] * 12, scale=1 / 255)
    assert manifest["mean"][0] == pytest.approx(0.5, abs=0.02)


def test_images_of_bytes_and_of_fractions_are_no_one_set(imported):
    images = [*BYTES[:6], *(BYTES[6:] / np.float32(255))]
    with pytest.raises(InputError, match=r"holds decimal numbers, and .* bytes, so that their un"):
        imported(images, [10] * 12)


def test_numbers_of_a_palette_are_no_brightness(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    picture = Image.fromarray(np.zeros((32, 32, 3), np.uint8)).quantize(16)
    picture.save(tmp_path / "images" / "1.png")
    Image.fromarray(np.eye(32, dtype=np.uint8)).save(tmp_path / "masks" / "1.png")
    given: dict[str, Any] = {key: str(tmp_path / key) for key in ("images", "masks")}
    given |= {"output": str(tmp_path / "samples"), "bands": ["grey"]}
    with pytest.raises(InputError, match=r"1\.png holds numbers of colours in a palette: save it"):
        run_command("importsamples", given, Progress())


def test_pixels_of_different_sizes_want_one_that_counts(imported):
    with pytest.raises(InputError, match=r"pixels of 0\.5 to 10 m: import those of each size"):
        imported(BYTES, [0.5, 10] * 6)


@pytest.mark.parametrize(
    "sizes, asked, warned",
    [([0.5, 10], 10, "0.5 to 10 m"), ([10, 10], 30, "10 m, as"), ([10, 10.4], 10, "")],
)
def test_a_resolution_that_files_contradict_counts_and_that_is_said(imported, sizes, asked, warned):
    manifest, warnings = imported(BYTES, sizes * 6, resolution=asked)
    assert manifest["resolution"] == asked
    told = [text for text in warnings if "RESOLUTION says" in text]
    assert len(told) == bool(warned) and all(warned in text for text in told)
