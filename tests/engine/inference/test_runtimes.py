"""The runtimes give what float32 PyTorch gives; auto takes the one that the work is worth."""

import importlib
import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from landslide_mapper.landslide_plugin.contract.choices import Predict
from landslide_mapper.landslide_plugin.contract.errors import (
    InputError,
    MissingPackageError,
    ModelFileError,
)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.runtimes import (
    Wish,
    choice,
    open_graph,
    open_network,
    opening,
    runtime,
)
from landslide_mapper.landslide_plugin.inference.runtimes.choice import (
    Candidate,
    Trial,
    deviation,
    first_accurate,
)
from landslide_mapper.landslide_plugin.inference.runtimes.openvino_runtime import (
    OpenVinoRuntime,
    load_openvino,
)
from landslide_mapper.landslide_plugin.inference.runtimes.runtime import example_images
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import LoadedModel
from landslide_mapper.models.registry import build

CPU = torch.device("cpu")
SMALL = {"growth_rate": 4, "layers": [1, 1], "middle_layers": 1, "first_channels": 8}


def card(**changes):
    settings = {
        "name": "small",
        "architecture": "fc_densenet",
        "arguments": SMALL,
        "task": "semantic-segmentation",
        "bands": ["red", "slope", "nir"],
        "mean": [0.0] * 3,
        "std": [1.0] * 3,
        "resolution": 10.0,
        "tile_size": 64,
        "classes": ["background", "landslide"],
    }
    return ModelCard(**{**settings, **changes})


@pytest.fixture(scope="module")
def network():
    """A small network whose probabilities are spread widely."""
    torch.manual_seed(1)
    network = build("fc_densenet", 3, 2, **SMALL)
    network(torch.randn(8, 3, 64, 64))
    return network.eval()


def exact(network, images):
    with torch.inference_mode():
        return network.float()(images).softmax(1)


def opened(network, name, size=64, said=None, **options):
    progress = Progress((said if said is not None else []).append)
    wish = Wish(device=CPU, name=name, size=size, progress=progress, **options)
    return open_network(LoadedModel(network, card()), wish).runtime


@pytest.mark.parametrize("name", ["auto", "torch", "openvino", "onnx"])
def test_every_runtime_keeps_the_accuracy(network, name):
    values = opened(network, name)
    assert values.name.startswith({"auto": "", "onnx": "onnxruntime"}.get(name, name))
    for count in (2, 1, 3):  # a batch smaller, then larger than the first one
        images = torch.randn(count, 3, 64, 64)
        result = values.run(images)
        assert result.dtype == torch.float32 and result.shape == (count, 2, 64, 64)
        assert result.device == values.device
        torch.testing.assert_close(result.sum(1), torch.ones(count, 64, 64))
        mean, flipped = deviation(result, exact(network, images), 0.5)
        assert mean < 0.002 and flipped < 0.005
        if name == "onnx":
            torch.testing.assert_close(result, exact(network, images), atol=1e-5, rtol=0)


def test_full_precision_of_openvino_is_that_of_torch(network):
    result = OpenVinoRuntime.from_network(network, 3, False, 64, 48)
    for count in (1, 9, 2):  # more than are computed side by side, and fewer
        images = torch.randn(count, 3, 64, 48)
        torch.testing.assert_close(result.run(images), exact(network, images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["openvino", "onnx"])
@pytest.mark.parametrize(
    "architecture, arguments",
    [("compact_unet", {"widths": [4, 8]}), ("smp_unet", {"encoder": "resnet18"})],
)
def test_networks_that_read_enlarged_and_in_quarter_turns_are_graphs_too(
    architecture, arguments, name
):
    torch.manual_seed(0)
    reader = build(architecture, 3, 2, scales=[0.5], turned=True, **arguments)
    reader(torch.randn(4, 3, 64, 64))
    images = torch.randn(2, 3, 64, 64)
    result = opened(reader.eval(), name).run(images)
    mean, flipped = deviation(result, exact(reader, images), 0.5)
    assert mean < 0.002 and flipped < 0.005


def test_openvino_leaves_the_images_of_a_batch_in_their_order():
    """Each image is one value, which comes out again, whichever of the streams is done first."""
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 2, 1, bias=False).eval()
    torch.nn.init.constant_(network.weight, 0.0)
    network.weight.data[1] = 1.0
    mapped = OpenVinoRuntime.from_network(network, 1, False, 16, 16)
    values = torch.linspace(-3, 3, mapped.side_by_side * 3)
    for _ in range(5):
        result = mapped.run(values[:, None, None, None].expand(-1, 1, 16, 16))
        torch.testing.assert_close(result[:, 1, 7, 7], values.sigmoid(), atol=1e-5, rtol=0)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells")
def test_openvino_ties_no_thread_to_a_core(network):
    """Processes side by side would all have tied theirs to the first."""
    whole = os.sched_getaffinity(0)
    OpenVinoRuntime.from_network(network, 3, False, 64, 48).run(torch.randn(1, 3, 64, 48))
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    assert all(os.sched_getaffinity(thread) == whole for thread in threads)


def test_openvino_goes_on_after_an_image_that_failed(network):
    """As where memory is short: the batch is tried again by halves, others still being at work."""

    class OutOfMemory:
        def start_async(self, *_, **__):
            raise RuntimeError("can't allocate memory")

    result = OpenVinoRuntime.from_network(network, 3, False, 256, 256)
    images = torch.randn(4, 3, 256, 256)
    result.run(images)
    result._requests[-1] = OutOfMemory()
    with pytest.raises(RuntimeError, match="allocate"):
        result.run(images)
    torch.testing.assert_close(result.run(images), exact(network, images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_any_size_as_the_network(network, name):
    """A graph is that of one size, with its padding: another one is made for another size."""
    result = opened(network, name)
    assert result.fixed_size is None
    for rows, cols in ((50, 50), (33, 70), (96, 64)):
        images = example_images(3, rows, 1, cols)
        assert deviation(result.run(images), exact(network, images), 0.5)[0] < 0.002


class Shifted:
    """A runtime that is fast and wrong."""

    name, device, side_by_side = "shifted", torch.device("cpu"), 1
    fixed_size: tuple[int, int] | None = None

    def __init__(self, reference, by):
        self.result = reference + by

    def run(self, images):
        return self.result


def test_a_runtime_that_changes_the_result_is_not_chosen(network):
    images = example_images(3, 64)
    reference = exact(network, images)
    said = []
    trial = Trial(images=images, reference=reference, threshold=0.5, progress=Progress(said.append))

    def candidate(name, by):
        return Candidate("torch", name, lambda: Shifted(reference, by))

    def chosen(*candidates):
        runtime: Any = first_accurate(candidates, trial)
        return runtime and float((runtime.result - reference).abs().max())

    assert chosen(candidate("a", 0.003)) is None
    assert "0.0030 in the mean" in said[-1]["text"]
    assert chosen(candidate("a half", 0.003), candidate("a", 0.001), candidate("b", 0)) == (
        pytest.approx(0.001, abs=1e-6)
    )

    def broken():
        raise RuntimeError("no such operator\nat a place")

    assert chosen(Candidate("torch", "a", broken), candidate("b", 0)) == 0
    assert said[-1]["text"] == "a can't run this model (RuntimeError: no such operator)."


@pytest.mark.parametrize(
    ("changed", "expected"),
    [(0.0, (0.0, 0.0)), (0.01, (0.01, 0.25)), (float("nan"), (float("inf"), 1.0))],
)
def test_deviation(changed, expected):
    """A quarter of the pixels lies just below the threshold of 0.3."""
    inside = torch.tensor([[0.295, 0.1], [0.5, 0.9]])[None, None]
    reference = torch.cat([1 - inside, inside], 1)
    other = torch.cat([1 - inside - changed, inside + changed], 1)
    assert deviation(other, reference, 0.3) == pytest.approx(expected)


def test_of_more_classes_the_likeliest_counts():
    reference = torch.tensor([0.4, 0.35, 0.25]).view(1, 3, 1, 1)
    other = torch.tensor([0.37, 0.38, 0.25]).view(1, 3, 1, 1)
    assert deviation(other, reference, 0.5)[1] == 1
    assert deviation(reference, reference, 0.5) == (0, 0)


@pytest.mark.parametrize(("windows", "kind"), [(10, "torch"), (10**9, "openvino")])
def test_auto_chooses_by_the_work(network, windows, kind):
    """Windows times parameters: a graph takes seconds to make."""
    assert opened(network, "auto", windows=lambda card: windows).name.startswith(kind)


def test_auto_reads_no_clock(network, monkeypatch):
    """What a batch takes says how busy the machine is; and each runtime has numbers of its own."""

    def chosen(seconds):
        """After a first batch that took so long, on a machine that is less busy at each look."""
        later = (0.3 * 0.97**n for n in itertools.count())
        moments = itertools.accumulate(itertools.chain([0.0, seconds], later))
        monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
        return opened(network, "auto", windows=lambda card: 500).name

    assert chosen(1e-3) == chosen(1e6)
    for module in (choice, opening):
        assert "time" not in vars(module)


def test_a_runtime_that_is_named_is_obeyed_or_refused(network):
    """As a plan names it: no other precision, and no comparison that could choose another."""
    for name in ("torch float32", "openvino f32", "onnxruntime float32"):
        assert opened(network, name, examples=None).name == name
    with pytest.raises(InputError, match=r"runtime openvino f8.*small.*not to be had here"):
        opened(network, "openvino f8")


def test_without_the_packages_auto_is_torch_and_the_others_say_so(network, monkeypatch):
    def there(package):
        return None if package in ("openvino", "onnxruntime", "onnx") else object()

    monkeypatch.setattr(runtime, "find_spec", there)
    said = []
    assert opened(network, "auto", said=said).name.startswith("torch")
    assert not any(event["type"] == "warning" for event in said)
    with pytest.raises(MissingPackageError, match="openvino needs the package openvino and onnx"):
        opened(network, "openvino")
    with pytest.raises(MissingPackageError, match="onnxruntime"):
        opened(network, "onnx")


def test_runtimes_are_compared_on_the_windows_given(network):
    asked = []

    def examples(card, side):
        asked.append((card.name, side))
        return torch.zeros(1, 3, side, side)

    opened(network, "torch", size=48, examples=examples)
    assert asked == [("small", 48)]


def test_bad_requests(network):
    assert Predict.RUNTIME.problem("abacus") == "choose one of auto, torch, openvino, onnx"
    with pytest.raises(ModelFileError, match="algorithm detect"):
        open_network(LoadedModel(network, card(task="instance-segmentation")), Wish(device=CPU))
    with pytest.raises(ModelFileError, match="does not exist"):
        open_graph(Path("nowhere.onnx"), Wish(device=CPU))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_float16_on_cuda(network):
    wish = Wish(device=torch.device("cuda"), name="torch", size=64)
    values = open_network(LoadedModel(network, card()), wish).runtime
    images = torch.randn(2, 3, 64, 64)
    result = values.run(images)
    assert result.is_cuda
    assert deviation(result, exact(network.cpu(), images), 0.5)[0] < 0.002


def test_openvino_tells_nobody_of_a_conversion():
    """Its telemetry would fork, too, and hang in a worker that reads stdin."""
    load_openvino()
    with pytest.raises(ImportError):
        importlib.import_module("openvino_telemetry")
