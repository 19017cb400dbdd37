"""Prediction against the bare network and against the way it is commonly done, and its memory.

`python -m benchmarks.inference [speed|memory|seams]`. Networks have random weights; scenes are
generated, or a real one repeated. Pairs run in turn, in one process. Seams are looked for in what a
trained model (--model) says of a real scene (--scene).
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
import torch
from landslide_mapper.landslide_plugin.core.gdal_options import set_up_gdal
from landslide_mapper.landslide_plugin.core.progress import Progress, print_texts
from landslide_mapper.landslide_plugin.inference.decide import Wishes, decide
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.scene import Outputs, map_scene
from landslide_mapper.landslide_plugin.inference.tiling import Tiling
from landslide_mapper.models.device import describe, pick_device
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model, save_model
from landslide_mapper.models.registry import backbone_arguments, build
from rasterio.transform import from_origin
from rasterio.windows import Window

from .timing import describe_machine, run_worker, spread

set_up_gdal()

NETWORKS = {
    "U-Net ResNet34": ("smp_unet", "resnet34"),
    "FC-DenseNet": ("fc_densenet", ""),
    "DeepLabV3+ ResNet34": ("smp_deeplabv3plus", "resnet34"),
}
BANDS = 10
"""Of generated scenes."""
TINY = {"growth_rate": 2, "layers": [1], "middle_layers": 1, "first_channels": 2}


def compare_speed(
    folder: Path, name: str, stack: Path, device: torch.device, given: argparse.Namespace
) -> None:
    """Print how long the pipeline, the bare network and the common way take on one scene."""
    model = _save(folder / "model.safetensors", *NETWORKS[name], stack)
    wishes = Wishes(device=device, runtime=given.runtime, tile_size=given.tile, fill="keep")
    (scene,) = decide([str(model)], [str(stack)], wishes, Progress(print_texts))
    with scene.open() as source:
        rows, cols = source.grid.shape
    tiling, size, batch = scene.plan.tiling((rows, cols)), scene.plan.size, scene.plan.batch_size
    (member,) = scene.predictor.members
    outputs = Outputs(str(folder / "p.tif"), str(folder / "m.tif"))
    images = torch.randn(batch, len(member.card.bands), size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    loaded = load_model(model)
    ways: dict[str, Callable[[], None]] = {
        "ours": lambda: map_scene(scene, outputs, Progress()),
        "bare": lambda: _bare(member.runtime.run, images, len(tiling)),
        "bare beside reading": lambda: _beside_reading(
            lambda: _bare(member.runtime.run, images, len(tiling)), stack
        ),
        "common": lambda: _common(
            loaded.network.to(device), loaded.card, stack, tiling, folder / "c.tif", device
        ),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    ways["bare"]()
    for _ in range(given.runs):
        for way in ("bare", "bare beside reading", "ours", "common"):
            start = time.perf_counter()
            ways[way]()
            seconds[way].append(time.perf_counter() - start)
    print(
        f"{name}, {cols} x {rows} x {len(loaded.card.bands)}, {len(tiling)} windows of {size}, "
        f"batch {batch}, {member.runtime.name}: "
        + ", ".join(f"{way} {statistics.median(took):.2f} s" for way, took in seconds.items())
        + f"; ours / bare {spread(seconds['ours'], seconds['bare'])}, of which reading alone "
        f"{spread(seconds['bare beside reading'], seconds['bare'])}; "
        f"common / ours {spread(seconds['common'], seconds['ours'])}; probabilities differ by "
        f"{_difference(folder):.5f} in the mean",
        flush=True,
    )


def _bare(
    forward: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, windows: int
) -> None:
    """Run the network on as many windows, already in memory."""
    done = torch.zeros(())
    for start in range(0, windows, len(images)):
        done = forward(images[: min(len(images), windows - start)])
    done.sum().item()  # waits for a GPU


def _beside_reading(work: Callable[[], None], path: Path) -> None:
    """Do the work while a thread reads each block of a file once, into the same memory.

    What reading alone costs a pipeline whose windows come from this file.
    """

    def read() -> None:
        with rasterio.open(path) as source:
            rows = source.block_shapes[0][0]
            strip = np.empty((source.count, rows, source.width), np.float32)
            for top in range(0, source.height, rows):
                height = min(rows, source.height - top)
                window = Window(0, top, source.width, height)
                source.read(window=window, out=strip[:, :height])

    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(read)
        work()
        reading.result()


def _common(
    network: torch.nn.Module,
    card: ModelCard,
    path: Path,
    tiling: Tiling,
    output: Path,
    device: torch.device,
) -> None:
    """Predict as is common: window by window, float32, sums of the whole scene in float64."""
    mean, std = (np.array(values)[:, None, None] for values in (card.mean, card.std))
    with rasterio.open(path) as source, torch.inference_mode():
        total = np.zeros(source.shape)
        for tile in tiling:
            values = (source.read(window=tile.window, boundless=False) - mean) / std
            below, right = tiling.size - values.shape[1], tiling.size - values.shape[2]
            values = np.pad(values, ((0, 0), (0, below), (0, right)), mode="reflect")
            images = torch.from_numpy(values.astype(np.float32))[None].to(device)
            probability = network(images).softmax(1)[0, 1].cpu().numpy()
            weights = np.outer(tile.row.weights, tile.col.weights)
            rows, cols = tile.window.toslices()
            total[rows, cols] += probability[: weights.shape[0], : weights.shape[1]] * weights
        profile = {**source.profile, "count": 1, "dtype": "float32"}
    with rasterio.open(output, "w", **profile) as written:
        written.write(total.astype(np.float32), 1)
    mask = output.with_name("c_mask.tif")
    with rasterio.open(mask, "w", **{**profile, "dtype": "uint8", "predictor": 2}) as written:
        written.write((total >= card.threshold).astype(np.uint8), 1)


def compare_memory(folder: Path, width: int, heights: tuple[int, int]) -> None:
    """Print the worker's peak memory on sparse scenes of ten bands and two heights."""
    peaks = []
    for height in heights:
        stack = folder / f"sparse_{height}.tif"
        _write_sparse(stack, width, height)
        model = _save(folder / "tiny.safetensors", "fc_densenet", None, stack)
        parameters = {
            "stack": str(stack), "model": str(model), "probability": str(folder / "p.tif"),
            "mask": str(folder / "m.tif"), "device": "cpu", "runtime": "torch",
        }  # fmt: skip
        usage = run_worker("predict", parameters)
        peaks.append(usage.peak)
        print(
            f"memory, {height} rows x {width} columns x {BANDS} bands: peak {usage.peak:.0f} MB, "
            f"{usage.seconds:.0f} s, {usage.cpu:.0f} CPU s",
            flush=True,
        )
    higher = heights[1] / heights[0]
    print(f"memory: {100 * (peaks[1] / peaks[0] - 1):+.1f} % at {higher:g} times the height")


def compare_seams(folder: Path, model: Path, stack: Path, tile: int) -> None:
    """Print how steep probabilities are where windows meet, beside elsewhere.

    Across every row and column where a window begins or ends to count, and in the middle of the
    blend between; with the overlap that is taken as a rule, and without any.
    """
    for overlap in (None, 0.0):
        predict(
            stack=str(stack),
            model=str(model),
            probability=str(folder / "p.tif"),
            overlap=overlap,
            tile_size=tile,
            device="cpu",
            runtime="torch",
            progress=Progress(),
        )
        with rasterio.open(folder / "p.tif") as result:
            values = result.read(1, masked=True).filled(np.nan)
        tiling = Tiling(values.shape, tile, overlap)
        found_ratios = []
        for axis, spans in ((0, tiling.rows), (1, tiling.cols)):
            steps = np.ma.masked_invalid(np.abs(np.diff(values, axis=axis)))
            step = steps.mean(axis=1 - axis)
            border = np.zeros(len(step), bool)
            for span in spans[1:]:
                counts = np.flatnonzero(span.weights > 0)
                half = int(np.argmax(span.weights >= 0.5))
                begins = span.start + int(counts[0])
                for place in (begins, span.start + half, 2 * (span.start + half) - begins):
                    border[place - 1] = True
            found_ratios.append(float(step[border].mean() / step[~border].mean()))
        name = "as a rule" if overlap is None else "none"
        print(
            f"seams, {values.shape[1]} x {values.shape[0]}, windows of {tile}, overlap {name}: "
            f"mean gradient across borders to elsewhere {found_ratios[0]:.3f} (rows), "
            f"{found_ratios[1]:.3f} (columns)",
            flush=True,
        )


def _save(path: Path, architecture: str, backbone: str | None, stack: Path) -> Path:
    """Write a model of random weights for a stack's bands."""
    torch.manual_seed(0)
    arguments = TINY if backbone is None else backbone_arguments(architecture, backbone)
    with rasterio.open(stack) as source:
        bands = list(source.descriptions)
        overview = source.read(window=Window(0, 0, min(512, source.width), min(512, source.height)))
    std = [float(band.std()) or 1.0 for band in overview]
    card = ModelCard(
        name="benchmark", architecture=architecture, arguments=arguments,
        task="semantic-segmentation", bands=bands, mean=[float(band.mean()) for band in overview],
        std=std, resolution=10.0, tile_size=256, classes=["background", "landslide"],
    )  # fmt: skip
    save_model(path, build(architecture, len(bands), 2, **arguments), card)
    return path


def _generated(path: Path, size: int) -> Path:
    """Write a scene of noise at two scales, tiled and compressed."""
    generator = np.random.default_rng(0)
    with _written(path, size, size, BANDS) as stack:
        for band in range(1, BANDS + 1):
            coarse = generator.normal(0, 1, (size // 16 + 1, size // 16 + 1))
            values = np.kron(coarse, np.ones((16, 16)))[:size, :size]
            values += generator.normal(0, 0.3, (size, size))
            stack.write(values.astype(np.float32), band)
    return path


def _repeated(path: Path, size: int, scenes: list[Path]) -> Path:
    """Write real bands, each file's first, repeated to a size."""
    with _written(path, size, size, len(scenes)) as stack:
        for number, scene in enumerate(scenes, start=1):
            with rasterio.open(scene) as source:
                values = source.read(1)
            times = [-(-size // length) for length in values.shape]
            stack.write(np.tile(values, times)[:size, :size].astype(np.float32), number)
    return path


def _write_sparse(path: Path, width: int, height: int) -> None:
    """Write a scene of which one tile in twenty holds data; the file has only these."""
    generator = np.random.default_rng(0)
    with _written(path, width, height, BANDS, sparse_ok=True, nodata=0) as stack:
        for _, window in stack.block_windows(1):
            if generator.random() < 0.05:
                values = generator.normal(5, 1, (BANDS, window.height, window.width))
                stack.write(values.astype(np.float32), window=window)


@contextmanager
def _written(
    path: Path, width: int, height: int, bands: int, **options: object
) -> Iterator[rasterio.io.DatasetWriter]:
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": bands, "dtype": "float32",
        "crs": "EPSG:32632", "transform": from_origin(500000, 5000000, 10, 10), "tiled": True,
        "blockxsize": 256, "blockysize": 256, "interleave": "band", "compress": "zstd",
        "zstd_level": 1, "predictor": 3, "bigtiff": "if_safer", **options,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as stack:
        stack.descriptions = tuple(f"b{number}" for number in range(1, bands + 1))
        yield stack


def _difference(folder: Path) -> float:
    with rasterio.open(folder / "p.tif") as ours, rasterio.open(folder / "c.tif") as theirs:
        return float(np.abs(ours.read(1) - theirs.read(1)).mean())


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("speed", "memory", "seams"), default="speed")
    parser.add_argument("--size", type=int, default=4096, help="pixels of the scene's side")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--scene", type=Path, nargs="*", help="files of bands to repeat")
    parser.add_argument("--tile", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--width", type=int, default=20000)
    parser.add_argument("--height", type=int, default=5000, help="of the lower scene")
    parser.add_argument("--model", type=Path, help="for seams")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.what == "memory":
            compare_memory(folder, given.width, (given.height, 4 * given.height))
            return
        if given.what == "seams":
            compare_seams(folder, given.model, given.scene[0], given.tile or 512)
            return
        device = pick_device(given.device)
        print(f"{describe_machine()}; torch {torch.__version__} on {describe(device)}", flush=True)
        path = folder / "stack.tif"
        stack = (
            _repeated(path, given.size, given.scene)
            if given.scene
            else _generated(path, given.size)
        )
        for network in given.network or NETWORKS:
            compare_speed(folder, network, stack, device, given)


if __name__ == "__main__":
    main()
