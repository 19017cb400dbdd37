"""Requests that can't be done as they are: each command's good one with one value spoilt."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import geopandas as gpd
import numpy as np
from landslide_mapper.landslide_plugin.answer import answer, find_command
from landslide_mapper.landslide_plugin.contract.commands import OUTPUTS
from landslide_mapper.landslide_plugin.request import FROM_WORKER
from shapely.geometry import LineString, box

from .hostile_files import SIDE, make_hostile, write

INPUTS = (
    "input reference rivers faults geology dem image images masks without stack landslides area "
    "earlier bands layers hard_negatives samples start_from model more_models more_stacks factors "
    "predicted tiles"
).split()
"""Parameters that name files; some are lists of words in other commands, which is as well."""
LENGTHS = ("epochs", "gan_epochs", "size", "folds", "width", "blocks", "depth", "tile_size")
"""Numbers that lengthen a run: what is large there is right, but takes long."""
NOT_TRIED = {("train", "pretrained"), ("trainweak", "pretrained")}
"""These would ask the internet."""
WORDS: list[Any] = [
    "", "nothing", "$\\frac{$", "a\nb", "'\";--", "\u202e\u0416", "x" * 5000, "../../a", "=1+1",
]  # fmt: skip
WRONG: list[Any] = [None, 7, -0.5, True, "\ud800", "a\0b", [], [[]], {"a": 1}, ["a", None], [1e400]]
NUMBERS: list[Any] = [
    0, -1, 1, 2, 3, -7, 0.5, -1e-9, 1e-300, 1e300, 1e400, -1e400, float("nan"), 2**31, -(2**31),
    2**62, 2**64, 10**400, "3", "", True, [3],
]  # fmt: skip
LISTS: list[Any] = [
    [], ["nothing"], ["$"], [""], ["a"] * 300, [["a"]], [0], [-1.5, 2.0], [3, 2, 1], [1e300],
    [float("nan")], "a", "1,2", [None], [2, 2],
]  # fmt: skip


@dataclass(frozen=True)
class BadRequest:
    """One request.

    Attributes:
        command: of the worker.
        key: the parameter that is spoilt.
        value: what it is spoilt with.
        parameters: all of them.
    """

    command: str
    key: str
    value: Any
    parameters: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.command} {self.key}={str(self.value)[:70]!r}"


class Ground:
    """A small area, from which good requests of every command are made.

    Args:
        folder: an empty folder, whose `out` takes the outputs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.out.mkdir()
        self.requests = self._make()
        good = {"raster": self._file("dem.tif"), "vector": self._file("landslides.gpkg")}
        good["model"] = self._file("model.safetensors")
        hostile = folder / "hostile"
        hostile.mkdir()
        self.hostile = make_hostile(hostile, good)

    def bad_requests(self) -> Iterator[BadRequest]:
        """Yield all requests with one bad value."""
        for command, good in self.requests.items():
            function = find_command(command)
            hints = get_type_hints(function)
            for key in inspect.signature(function).parameters:
                if key in FROM_WORKER or (command, key) in NOT_TRIED:
                    continue
                for value in self._values(command, key, hints[key]):
                    yield BadRequest(command, key, value, {**good, key: value})

    def _values(self, command: str, key: str, hint: Any) -> list[Any]:
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        if key in OUTPUTS.get(command, ("output",)):
            return [*WORDS, *WRONG, *self._bad_outputs()]
        listed = any(get_origin(kind) in (list, Sequence) for kind in kinds)
        if key in INPUTS and (listed or str in kinds):
            names = [*self.hostile, self._file("dem.tif"), self._file("landslides.gpkg")]
            good = self.requests[command].get(key)
            first = good[:1] if isinstance(good, list) else []
            return [*WRONG, *([[*first, name] for name in names] if listed else names)]
        if listed:
            return [*LISTS, *WRONG]
        if str in kinds:
            return [*WORDS, *WRONG]
        if bool in kinds:
            return ["true", 1, 0, *WRONG]
        large = [value for value in NUMBERS if isinstance(value, int) and 9 < value < 2**63]
        return [*(n for n in NUMBERS if key not in LENGTHS or n not in large), *WRONG]

    def _bad_outputs(self) -> list[str]:
        out = self.out
        names = ["none/a.tif", "a.none", "a", "long" * 100 + ".tif", "$\\frac{$.tif", "a\nb.gpkg"]
        return [
            *(str(out / name) for name in names),
            str(out),
            "/",
            "/dev/null",
            "/dev/full",
            "/proc/a.tif",
            "/proc/self/a.gpkg",
            "/vsimem/a.tif",
            "http://127.0.0.1:9/a.tif",
            self._file("dem.tif"),
            self._file("landslides.gpkg"),
            self._file("samples"),
            self._file("model.safetensors"),
            self._file("dem.tif") + ".aux.xml",
        ]

    def _file(self, name: str) -> str:
        return str(self.folder / name)

    def _make(self) -> dict[str, dict[str, Any]]:
        """Make the inputs and return a good request of each command."""
        self._draw()
        out = self.out
        image, dem, rivers, landslides, stack, samples, model, probability = (
            self._file(name)
            for name in (
                "image.tif", "dem.tif", "rivers.gpkg", "landslides.gpkg", "stack.tif", "samples",
                "model.safetensors", "probability.tif",
            )
        )  # fmt: skip
        steps = [{"command": "demoarea", "parameters": {"folder": "{work}/area", "size": 128}}]
        Path(self._file("recipe.json")).write_text(json.dumps({"steps": steps}), encoding="utf-8")
        patches = {"stack": stack, "landslides": landslides, "tile_size": 16, "stride": 16}
        training = {"samples": samples, "backbone": "light", "epochs": 1, "device": "cpu"}
        mapped = {"stack": stack, "model": model, "device": "cpu", "runtime": "torch"}
        for command, parameters in (
            ("stack", {"layers": [image, dem], "output": stack}),
            ("samples", {**patches, "output": samples, "split": "random", "validation": 0.4}),
            ("train", {**training, "model": model}),
            ("predict", {**mapped, "probability": probability}),
        ):
            status, told = ask(command, parameters)
            if status:
                raise AssertionError(f"{command}: {told}")
        tiles = self._file("samples/images")
        tif, gpkg, html = (str(out / f"out.{ending}") for ending in ("tif", "gpkg", "html"))
        new = {"model": str(out / "out.safetensors"), "html": html}
        return {
            "terrainfactors": {"input": dem, "output": tif},
            "spectralindices": {"input": image, "output": tif},
            "streams": {"input": dem, "output": gpkg, "min_area": 0.001},
            "distance": {"input": rivers, "reference": dem, "output": tif},
            "classes": {"input": landslides, "reference": dem, "field": "kind", "output": tif},
            "mosaic": {"tiles": [image], "output": str(out / "out.vrt"), "missing": "nodata"},
            "stack": {"layers": [image, dem], "output": tif},
            "factoranalysis": {
                "stack": stack, "landslides": landslides, "html": html,
                "table": str(out / "out.csv"),
            },
            "samples": {**patches, "output": str(out / "samples")},
            "importsamples": {
                "images": tiles, "masks": self._file("samples/labels"),
                "bands": ["blue", "green", "red", "nir", "elevation"],
                "output": str(out / "tiles"),
            },
            "train": {**training, **new},
            "trainweak": {
                **training, **new, "method": "cam", "encoder": "resnet18", "tile_size": 32,
            },
            "predict": {**mapped, "probability": tif, "mask": str(out / "mask.tif")},
            "reproduce": {"raster": probability, "output": tif},
            "detect": {"stack": stack, "model": model, "device": "cpu", "output": gpkg},
            "vectorize": {"input": probability, "output": gpkg, "threshold": 0.3},
            "evaluate": {
                "predicted": [probability], "reference": landslides, "threshold": 0.5,
                "html": html, "json": str(out / "out.json"), "csv": str(out / "out.csv"),
            },
            "map": {
                "image": image, "dem": dem, "model": model, "device": "cpu", "inventory": gpkg,
                "html": html,
            },
            "recipe": {"recipe": self._file("recipe.json"), "folder": str(out / "work")},
            "demoarea": {"folder": str(out / "demo"), "size": 128},
            "exportmodel": {"model": model, "output": str(out / "out.onnx")},
            "device": {"device": "cpu"},
        }  # fmt: skip

    def _draw(self) -> None:
        """Write image, DEM, rivers and landslides."""
        rows, columns = np.mgrid[:SIDE, :SIDE]
        random = np.random.default_rng(0)
        image = random.uniform(0.05, 0.4, (4, SIDE, SIDE)).astype(np.float32)
        image[:, 10:20, 10:30] += 0.3
        write(Path(self._file("image.tif")), image, names=["blue", "green", "red", "nir"])
        dem = (500 - 2.0 * rows + np.abs(columns - 20)).astype(np.float32)
        write(Path(self._file("dem.tif")), dem, names=["elevation"])
        left, top = 500000, 5000000
        river = [LineString([(left + 5, top - 5), (left + 400, top - 300)])]
        positions = ((100, 100, 300, 200), (300, 300, 420, 440), (20, 300, 120, 420))
        shapes = [box(left + w, top - n, left + e, top - s) for w, s, e, n in positions]
        gpd.GeoDataFrame(geometry=river, crs="EPSG:32632").to_file(self._file("rivers.gpkg"))
        kinds = {"kind": ["marl", "clay", "marl"]}
        frame = gpd.GeoDataFrame(kinds, geometry=shapes, crs="EPSG:32632")
        frame.to_file(self._file("landslides.gpkg"))


def ask(command: str, parameters: dict[str, Any]) -> tuple[int, str]:
    """Run a request in this process; return the worker's status, and its error with details."""
    events: list[dict[str, Any]] = []
    lines = _Line(json.dumps({"command": command, "parameters": parameters}))
    kept = {name: sys.modules.get(name) for name in ("geopandas", "pandas")}
    send: Callable[[dict[str, Any]], None] = events.append
    try:
        status = answer(lines, send)  # type: ignore[arg-type]
    finally:
        sys.modules.update({name: module for name, module in kept.items() if module})
    last = events[-1]
    return status, last.get("details") or last.get("text", "")


class _Line:
    """Stands for stdin, whose one line is the request."""

    def __init__(self, text: str) -> None:
        self._text = text

    def readline(self, limit: int = -1) -> str:
        return self._text + "\n"
