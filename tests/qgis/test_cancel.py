"""QGIS's Cancel at random moments of every command: soon over, and nothing half-written.

`LANDSLIDE_CANCELS` sets how many a command; a thorough run has 20.
"""

import os
import random
import threading
import time

import pytest
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS, OUTPUTS
from landslide_mapper.landslide_plugin.engine_process import EngineCanceled, run_command

TIMES = int(os.environ.get("LANDSLIDE_CANCELS", "1"))
SECONDS = 5.0
"""Within which a cancel is to be over, on a machine that does nothing else."""
BUSY = 3.0
"""How much longer it may take here, where other tests may run beside it."""
SIZE = 256
TRAINING = {"epochs": 3, "device": "cpu", "tile_size": 32}


@pytest.fixture(scope="module")
def commands(engine_python, tmp_path_factory):
    """Each command with its parameters, on a small synthetic area."""
    from .conftest import Recorder

    folder = tmp_path_factory.mktemp("inputs")
    area = folder / "area"

    def made(command, **parameters):
        run_command(command, parameters, Recorder(), python=engine_python)

    made("demoarea", folder=str(area), size=SIZE)
    image, dem, rivers = (str(area / name) for name in ("image.tif", "dem.tif", "rivers.gpkg"))
    landslides, samples = str(area / "landslides.gpkg"), str(folder / "samples")
    model, detector = str(folder / "m.safetensors"), str(folder / "d.safetensors")
    probability = str(folder / "p.tif")
    patches = {"stack": image, "landslides": landslides, "tile_size": 32, "stride": 32}
    made("samples", **patches, output=samples)
    light = {"samples": samples, "architecture": "fc_densenet", "backbone": "light"}
    objects = {"samples": samples, "architecture": "mask_rcnn", "backbone": "resnet18"}
    made("train", **light, **{**TRAINING, "epochs": 1}, model=model)
    made("train", **objects, **{**TRAINING, "epochs": 1}, model=detector)
    made("predict", stack=image, model=model, probability=probability, device="cpu")
    geology = {"input": str(area / "geology.gpkg"), "field": "lithology"}
    compared = {"predicted": probability, "reference": landslides}
    weak = {"samples": samples, "method": "cam", "encoder": "resnet18", "tile_size": 32}
    return {
        "terrainfactors": {"input": dem},
        "spectralindices": {"input": image},
        "streams": {"input": dem},
        "distance": {"input": rivers, "reference": dem, "name": "river_distance"},
        "classes": {**geology, "reference": dem, "name": "lithology"},
        "mosaic": {"tiles": [image], "missing": "nodata"},
        "stack": {"layers": [image, dem]},
        "factoranalysis": {"stack": image, "landslides": landslides},
        "samples": patches,
        "train": {**light, **TRAINING},
        "trainweak": {**weak, "epochs": 2, "device": "cpu"},
        "predict": {"stack": image, "model": model, "device": "cpu", "tile_size": 64},
        "reproduce": {"raster": probability},
        "detect": {"stack": image, "model": detector, "device": "cpu"},
        "vectorize": {"input": probability},
        "evaluate": compared,
        "map": {"image": image, "dem": dem, "rivers": rivers, "model": model, "device": "cpu"},
        "demoarea": {"size": SIZE},
        "exportmodel": {"model": model, "format": "onnx"},
    }


NAMES = {
    "output": "output.tif", "model": "model.safetensors", "html": "page.html",
    "table": "table.csv", "csv": "scores.csv", "json": "scores.json", "mask": "mask.tif",
    "probability": "probability.tif", "inventory": "inventory.gpkg", "folder": "area",
}  # fmt: skip
OTHERS = {
    "streams": {"output": "streams.gpkg"}, "vectorize": {"output": "inventory.gpkg"},
    "detect": {"output": "found.gpkg"}, "samples": {"output": "samples"},
    "exportmodel": {"output": "model.onnx"}, "mosaic": {"output": "image.vrt"},
}  # fmt: skip
EARLIER = b"an earlier result"
NEW = ("samples", "area")
"""Folders, which are never replaced."""


NOT_RUN = {"device", "importsamples", "recipe"}
"""A recipe does nothing but run the others."""


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - NOT_RUN))
def test_cancel_is_soon_over_and_leaves_what_stood(
    commands, command, engine_python, recorder, tmp_path
):
    keys = [key for key in OUTPUTS.get(command, ("output",)) if key in NAMES]
    names = {key: OTHERS.get(command, NAMES).get(key, NAMES[key]) for key in keys}
    moments = random.Random(command)  # noqa: S311
    for number in range(TIMES):
        folder = tmp_path / str(number)
        folder.mkdir()
        outputs = {key: folder / name for key, name in names.items()}
        standing = [path for path in outputs.values() if path.name not in NEW]
        for path in standing:
            path.write_bytes(EARLIER)
        parameters = {**commands[command], **{key: str(path) for key, path in outputs.items()}}
        delay = moments.uniform(0.2, 6)
        seconds = canceled_after(delay, command, parameters, engine_python, recorder)
        if seconds is None:
            continue  # it was faster
        assert seconds < SECONDS + BUSY
        print(f"{command}: {seconds:.2f} s")
        kept = (".resume-", *(f"{path.name}." for path in standing))
        left = {path.name for path in folder.iterdir() if not path.name.startswith(kept)}
        assert left - set(NEW) == {path.name for path in standing}
        earlier = [path for path in standing if path.read_bytes() == EARLIER]
        # A training writes the best model that it has; and all may have been moved just before.
        assert len(earlier) in (0, len(standing)) or command in ("train", "trainweak")


def canceled_after(delay, command, parameters, python, recorder):
    """Return the seconds from a cancel to its end; None where the command ended before."""
    feedback, asked = recorder(), []

    def cancel():
        asked.append(time.monotonic())
        feedback.cancel()

    timer = threading.Timer(delay, cancel)
    timer.start()
    try:
        run_command(command, parameters, feedback, python=python)
    except EngineCanceled:
        return time.monotonic() - asked[0]
    finally:
        timer.cancel()
    return None
