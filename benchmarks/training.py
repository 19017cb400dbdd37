"""What a training step takes on the CPU, and what depthwise convolutions in float32 save of it.

`python -m benchmarks.training [encoder ...]`, from the project's root, with the engine's Python: a
U-Net with each encoder and the decoder of `models/recipes/rgb-vhr.json`, steps in float32, in
bfloat16 throughout, and as `train` makes them, in turn.
"""

import argparse
import statistics
import time
from contextlib import nullcontext
from typing import Any

import torch
from landslide_mapper.models.device import exact_depthwise
from landslide_mapper.models.registry import build
from torch.nn.functional import cross_entropy

from .timing import describe_machine

ENCODERS = ("tu-tf_efficientnet_lite0", "mobilenet_v2", "resnet18")
DECODER = (128, 64, 48, 32, 16)
WAYS = ("float32", "bfloat16", "as trained")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoders", nargs="*", default=ENCODERS)
    parser.add_argument("--size", type=int, default=128, help="side of the tiles in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"{describe_machine()}; one thread, {options.batch} tiles of {options.size} px, "
          f"median of {options.runs}, ms of processor time a step")  # fmt: skip
    print(f"| encoder | {' | '.join(WAYS)} | saved of bfloat16 |")
    print("| --- | --- | --- | --- | --- |")
    for encoder in options.encoders:
        took = measure(encoder, options)
        saved = 1 - took["as trained"] / took["bfloat16"]
        cells = " | ".join(f"{took[way]:.0f}" for way in WAYS)
        print(f"| {encoder} | {cells} | {saved:.0%} |", flush=True)


def measure(encoder: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the milliseconds of a step by way."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    network = build("smp_unet", 3, 2, encoder=encoder, decoder=DECODER).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images: Any = torch.randn(options.batch, 3, options.size, options.size)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (options.batch, options.size, options.size))
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(options.runs + 1):
        for way in WAYS:
            exact = exact_depthwise(network, cpu) if way == WAYS[-1] else nullcontext()
            started = time.process_time()
            with exact:
                with torch.autocast("cpu", torch.bfloat16, enabled=way != "float32"):
                    logits = network(images)
                cross_entropy(logits.float(), labels).backward()
            network.zero_grad(set_to_none=True)
            if number:  # the first warms up
                times[way].append(time.process_time() - started)
    return {way: 1000 * statistics.median(each) for way, each in times.items()}


if __name__ == "__main__":
    main()
