"""Scenes cut into files at random and mapped as one: pixels that differ from the whole.

    python -m benchmarks.cuts MODEL SCENE [SCENE ...] [--bands blue green red]
        [--cuts 20] [--busy 0]

Each cut is of 2 to 9 files, which may overlap, given as a folder, a list or a virtual raster. With
`--busy` so many programs keep the processor from it.
"""

import argparse
import random
import subprocess  # nosec B404
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rasterio
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.mosaic_command import mosaic
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.models.model_file import load_card
from numpy.typing import NDArray
from rasterio.windows import Window

from .timing import describe_machine

FILES = 2, 9
OVERLAP = 40
"""Pixels by which neighbours may overlap."""
LEAST = 16
"""Pixels of a file's side."""


def main() -> None:
    """Map each scene whole, then in its cuts, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--bands", nargs="+", help="names that the model knows them by")
    parser.add_argument("--cuts", type=int, default=20, help="of each scene")
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(describe_machine())
    chance = random.Random(given.seed)  # noqa: S311  # nosec B311
    threshold = load_card(given.model).threshold
    with busy(given.busy), tempfile.TemporaryDirectory() as name:
        for scene in given.scenes:
            whole = Path(name) / "whole.tif"
            copied(Path(scene), whole, given.bands)
            wanted, worst, equal = mapped(str(whole), given.model, Path(name)), 0.0, 0
            for number in range(given.cuts):
                with tempfile.TemporaryDirectory(dir=name) as folder:
                    stack = cut(whole, Path(folder), chance)
                    pieced = mapped(stack, given.model, Path(name))
                flips = float(((pieced >= threshold) != (wanted >= threshold)).mean())
                worst, equal = max(worst, flips), equal + np.array_equal(pieced, wanted)
                print(f"{scene}, cut {number + 1}: {flips:.6%} of classes", flush=True)
            print(f"{scene}: {equal} of {given.cuts} cuts equal by bits, at most {worst:.6%}")


def copied(scene: Path, path: Path, bands: Sequence[str] | None) -> None:
    """Write a scene with its bands named."""
    with rasterio.open(scene) as source, rasterio.open(path, "w", **source.profile) as output:
        output.descriptions = bands or source.descriptions
        output.write(source.read())


def cut(whole: Path, folder: Path, chance: random.Random) -> str:
    """Cut a raster into files; return what names them all."""
    files = []
    with rasterio.open(whole) as source:
        for number, part in enumerate(parts(source.shape, chance)):
            files.append(folder / f"{number}.tif")
            profile = source.profile | {"height": part.height, "width": part.width}
            profile |= {"transform": source.window_transform(part)}
            with rasterio.open(files[-1], "w", **profile) as output:
                output.descriptions = source.descriptions
                output.write(source.read(window=part))
    form = chance.choice(["folder", "list", "virtual raster"])
    if form == "folder":
        return str(folder)
    if form == "list":
        names = chance.sample(files, len(files))
        (folder / "files.txt").write_text("\n".join(map(str, names)))
        return str(folder / "files.txt")
    output = str(folder / "tiles.vrt")
    mosaic(input=str(folder), output=output, progress=Progress())
    return output


def parts(shape: tuple[int, int], chance: random.Random) -> list[Window]:
    """Return windows that cover a raster: the largest is cut in two until they are enough."""
    windows = [Window(0, 0, shape[1], shape[0])]
    for _ in range(chance.randint(*FILES) - 1):
        windows.sort(key=lambda one: one.width * one.height)
        largest = windows.pop()
        if largest.width >= largest.height:
            at = chance.randint(LEAST, largest.width - LEAST)
            sizes = (0, 0, at, largest.height), (at, 0, largest.width - at, largest.height)
        else:
            at = chance.randint(LEAST, largest.height - LEAST)
            sizes = (0, 0, largest.width, at), (0, at, largest.width, largest.height - at)
        windows += [
            Window(largest.col_off + left, largest.row_off + top, width, height)
            for left, top, width, height in sizes
        ]
    return [_wider(one, shape, chance.randint(0, OVERLAP)) for one in windows]


def mapped(stack: str, model: str, folder: Path) -> NDArray[np.float32]:
    """Return the probabilities of a stack."""
    output = folder / "probability.tif"
    predict(stack=stack, model=model, probability=str(output), progress=Progress())
    with rasterio.open(output) as raster:
        values: NDArray[np.float32] = raster.read()
    output.unlink()
    return values


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Have so many programs compute for nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            idle = [sys.executable, "-c", "while True: pass"]
            process = subprocess.Popen(idle)  # noqa: S603 - the benchmarks' own  # nosec B603
            stack.callback(process.kill)
        yield


def _wider(window: Window, shape: tuple[int, int], by: int) -> Window:
    """Return a window that reaches farther to the right and below, where there is more."""
    width = min(window.width + by, shape[1] - window.col_off)
    height = min(window.height + by, shape[0] - window.row_off)
    return Window(window.col_off, window.row_off, width, height)


if __name__ == "__main__":
    main()
