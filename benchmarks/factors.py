"""The factor layers against GDAL's tools, paired in one run.

`python -m benchmarks.factors [terrain|memory|distance]`, with the engine's Python and GDAL's tools
on the path; `--help` has the options. What was measured stands in docs/benchmarks.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from . import distance, terrain
from .timing import describe_machine

PARTS = ("terrain", "memory", "distance")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts asked for and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="all when none is named")
    parser.add_argument("--size", type=int, action="append", help="pixels a side (terrain)")
    parser.add_argument("--compress", choices=terrain.COMPRESSIONS, action="append")
    parser.add_argument("--runs", type=int, default=5, help="pairs")
    parser.add_argument("--folder", type=Path, help="keeps the inputs for the next time")
    given = parser.parse_args(arguments)
    print(describe_machine(), flush=True)
    parts, methods = given.part or PARTS, given.compress or list(terrain.COMPRESSIONS)
    with TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if "terrain" in parts:
            for size in given.size or (5000, 10000):
                for method in methods:
                    terrain.compare_speed(folder, size, method, given.runs)
        if "memory" in parts:
            for method in methods:
                terrain.compare_memory(folder, method)
    if "distance" in parts:
        distance.main(["--runs", str(given.runs)])


if __name__ == "__main__":
    main()
