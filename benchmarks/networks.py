"""Parameters, memory and time of the networks, as Gao et al. 2021 list them in table IX.

`python -m benchmarks.networks [architecture ...]`, from the project's root, with the engine's
Python. Each network runs in a process of its own, so that memory is its own.
"""

import argparse
import json
import resource
import statistics
import subprocess  # nosec B404
import sys
import time
from typing import Any

import torch
from landslide_mapper.landslide_plugin.contract.architectures import INSTANCE, SEMANTIC
from landslide_mapper.models.registry import backbone_arguments, backbones, build

from .timing import describe_machine

BANDS = 7
CLASSES = 2
HEAD = "| network | parameters | peak memory | s per Mpx, float32 | s per Mpx, bfloat16 |"


def main() -> None:
    """Print the table; or measure one network, where this process was started for one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architectures", nargs="*", help="all when left out")
    parser.add_argument(
        "--every", action="store_true", help="every backbone, not default and light"
    )
    parser.add_argument("--size", type=int, default=256, help="side of the tile in pixels")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
    else:
        print_table(options)


def print_table(options: argparse.Namespace) -> None:
    """Measure network after network and print a row of each."""
    print(f"{describe_machine()}; {options.threads} threads, {BANDS} bands, one tile of "
          f"{options.size} px, median of {options.runs}")  # fmt: skip
    print(f"{HEAD}\n| --- | --- | --- | --- | --- |", flush=True)
    for architecture in options.architectures or [*SEMANTIC, *INSTANCE]:
        for number, backbone in enumerate(backbones(architecture)):
            if options.every or number == 0 or backbone in ("light", "resnet18"):
                print(row(architecture, backbone, options), flush=True)


def row(architecture: str, backbone: str, options: argparse.Namespace) -> str:
    """Return a network's row of the table."""
    settings = [f"--size={options.size}", f"--runs={options.runs}", f"--threads={options.threads}"]
    one = f"--one={architecture} {backbone}"
    done = subprocess.run(  # noqa: S603 - the benchmarks' own  # nosec B603
        [sys.executable, "-m", "benchmarks.networks", one, *settings],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    return (
        f"| {architecture} {backbone} | {result['parameters'] / 1e6:.2f} M "
        f"| {result['peak']:.0f} MB | {result['float32']:.2f} | {result['bfloat16']:.2f} |"
    )


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Return parameters, peak memory above that of the libraries (MB), seconds per megapixel."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    architecture, backbone = options.one.split(" ")
    arguments = backbone_arguments(architecture, backbone)  # loads the libraries
    before = peak()
    network = build(architecture, BANDS, CLASSES, **arguments).eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(1, BANDS, options.size, options.size)
    inputs: Any = image.to(memory_format=torch.channels_last)
    if architecture in INSTANCE:
        inputs = [image[0]]
    result = {"parameters": float(sum(value.numel() for value in network.parameters()))}
    for name, half in (("float32", False), ("bfloat16", True)):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            network(inputs)
            times = []
            for _ in range(options.runs):
                started = time.perf_counter()
                network(inputs)
                times.append(time.perf_counter() - started)
        result[name] = statistics.median(times) / (options.size**2 / 1e6)
        result.setdefault("peak", peak() - before)
    return result


def peak() -> float:
    """Return the largest resident memory of this process so far, MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
