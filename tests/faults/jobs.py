"""What faults are thrown at: every kind of command, on a small synthetic area.

Each job writes its outputs twice: `old` stands when the fault comes, `new` is what was being made.
The two differ in a parameter, so that it can be told which of them a file is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Run = Callable[[str, dict[str, Any]], Any]

SIZE = 256
TRAINING = {"architecture": "fc_densenet", "backbone": "light", "epochs": 1, "device": "cpu"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command with parameters, of which some are outputs.

    Attributes:
        name: of the job.
        command: of the worker.
        given: parameters of both runs.
        outputs: parameter to the file's name.
        old: parameters of the run whose outputs stand already; None where nothing may stand.
        new: parameters of the run that is disturbed.
        inputs: files that may be cut off.
    """

    name: str
    command: str
    given: dict[str, Any]
    outputs: dict[str, str]
    old: dict[str, Any] | None
    new: dict[str, Any]
    inputs: tuple[str, ...]

    def parameters(self, folder: Path, more: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a run whose outputs go to a folder."""
        outputs = {key: str(folder / name) for key, name in self.outputs.items()}
        return {**self.given, **more, **outputs}


def make_jobs(folder: Path, run: Run) -> list[Job]:
    """Make the inputs in a folder and return the jobs.

    Args:
        folder: where the inputs go.
        run: runs a command undisturbed.
    """
    area = folder / "area"
    run("demoarea", {"folder": str(area), "size": SIZE})
    image, dem, rivers = (str(area / name) for name in ("image.tif", "dem.tif", "rivers.gpkg"))
    landslides = str(area / "landslides.gpkg")
    stack, samples, model = (str(folder / n) for n in ("stack.tif", "samples", "m.safetensors"))
    terrain, probability = str(folder / "terrain.tif"), str(folder / "probability.tif")
    run("terrainfactors", {"input": dem, "factors": ["slope"], "output": terrain})
    run("stack", {"layers": [image, terrain], "output": stack})
    patches = {"stack": stack, "landslides": landslides, "tile_size": 32, "stride": 32}
    run("samples", {**patches, "output": samples})
    run("train", {"samples": samples, **TRAINING, "model": model})
    run("predict", {"stack": stack, "model": model, "probability": probability})

    def job(
        name: str,
        given: dict[str, Any],
        outputs: dict[str, str],
        old: dict[str, Any] | None,
        new: dict[str, Any],
    ) -> Job:
        files = [value for value in given.values() if isinstance(value, str)]
        inputs = tuple(text for text in files if Path(text).is_file())
        return Job(
            name=name,
            command=name.split()[0],
            given=given,
            outputs=outputs,
            old=old,
            new=new,
            inputs=inputs,
        )

    polygons = {"input": probability, "factors": stack, "threshold": 0.1}
    mapped = {"image": image, "dem": dem, "rivers": rivers, "model": model, "device": "cpu"}
    sizes = {"min_area": 0.0}, {"min_area": 2000.0}
    cuts = {"threshold": 0.3}, {"threshold": 0.2}
    return [
        job(
            "terrainfactors",
            {"input": dem},
            {"output": "terrain.tif"},
            {"smoothing": 15.0},
            {"smoothing": 30.0},
        ),
        job(
            "distance",
            {"input": rivers, "reference": dem, "name": "river_distance"},
            {"output": "distance.tif"},
            {"max_distance": 500.0},
            {"max_distance": 900.0},
        ),
        job(
            "stack",
            {"layers": [image, terrain]},
            {"output": "stack.tif"},
            {"reference": image},
            {"reference": terrain},
        ),
        job("samples", patches, {"output": "samples"}, None, {"seed": 1}),
        job("vectorize gpkg", polygons, {"output": "inventory.gpkg"}, *sizes),
        job("vectorize shp", polygons, {"output": "inventory.shp"}, *sizes),
        job(
            "evaluate",
            {"predicted": probability, "reference": landslides},
            {"html": "report.html", "json": "report.json", "csv": "report.csv"},
            *cuts,
        ),
        job(
            "predict",
            {"stack": stack, "model": model, "device": "cpu", "tile_size": 64, "batch_size": 4},
            {"probability": "probability.tif", "mask": "mask.tif"},
            {"overlap": 0.2, **cuts[0]},
            {"overlap": 0.4, **cuts[1]},
        ),
        job(
            "map",
            mapped,
            {
                "inventory": "inventory.gpkg",
                "probability": "probability.tif",
                "html": "report.html",
            },
            {"smoothing": 0.0, **cuts[0]},
            {"smoothing": 20.0, **cuts[1]},
        ),
        job(
            "train",
            {"samples": samples, **TRAINING},
            {"model": "model.safetensors", "html": "training.html"},
            {"seed": 3},
            {"seed": 4},
        ),
        job(
            "exportmodel",
            {"model": model},
            {"output": "exported.onnx"},
            None,
            {"format": "onnx"},
        ),
    ]
