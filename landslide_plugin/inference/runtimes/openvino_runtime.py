"""OpenVINO, on Intel and ARM processors the fastest of the runtimes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...contract.errors import ModelFileError
from .activation import Activation, softmax
from .onnx_runtime import OnnxRuntime, onnx_graph
from .runtime import example_images

STREAMS = 4
"""Images that are computed side by side at most, each by its share of the threads. These wait for
each other less than all do over one image, least of all while another thread reads or writes."""
FOR_EACH = 2
"""Images a batch for each of these, so that one that is held up holds up the batch less."""


class OpenVinoRuntime:
    """Runs a network by OpenVINO on the processor.

    Args:
        model: an `openvino.Model` with one input (N, C, h, w) and one output.
        activation: turns the output into probabilities (N, K, h, w).
        half: compute in bfloat16 or float16 where the processor does.
        fixed_size: rows and columns that images must have; None where any will do.
        most: images that the model takes at once; 0 for any number, of which each is then computed
            by itself.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        model: Any,
        activation: Activation,
        half: bool,
        fixed_size: tuple[int, int] | None = None,
        most: int = 0,
    ) -> None:
        self._kind = precision(half)
        self.name = openvino_name(half)
        self.fixed_size = fixed_size
        self.side_by_side = images_at_once() * max(most, 1)
        self._model = model
        self._activation = activation
        self._most = max(most, 1)
        self._shape: torch.Size | None = None
        self._streams = 0
        self._compiled: Any = None
        self._requests: list[Any] = []

    @classmethod
    def from_network(
        cls, network: nn.Module, bands: int, half: bool, rows: int, cols: int
    ) -> "OpenVinoRuntime":
        """Convert a network in memory, for images of this size.

        Args:
            network: float32 (N, C, h, w) to logits.
            bands: channels of the input.
            half: as in the class.
            rows: of the images.
            cols: columns of the images.
        """
        openvino = load_openvino()
        try:  # half the time of openvino.convert_model, and computed as fast
            model = openvino.Core().read_model(onnx_graph(network, bands, rows, cols))
        except ModelFileError:  # poolings whose cells are not alike, in PSPNet
            example = example_images(bands, rows, 1, cols)
            model = openvino.convert_model(network.eval(), example_input=example)
        return cls(model, softmax, half)

    @classmethod
    def from_file(cls, path: Path, like: OnnxRuntime, half: bool) -> "OpenVinoRuntime":
        """Read an ONNX file that ONNX Runtime runs.

        Args:
            path: the file.
            like: the same file, open.
            half: as in the class.
        """
        model = load_openvino().Core().read_model(str(path))
        return cls(model, like.activation, half, like.fixed_size, like.batch)

    def run(self, images: Tensor) -> Tensor:
        """Return the probabilities, float32, (N, K, h, w)."""
        images = images.cpu().float().contiguous(memory_format=torch.channels_last)
        parts = [self._filled(part) for part in images.split(self._most)]
        requests = self._requests_for(parts[0].shape[1:], len(parts))
        inputs = [np.ascontiguousarray(part.permute(0, 2, 3, 1).numpy()) for part in parts]
        # No callbacks: one that still wants Python's lock while its request is freed never ends.
        try:
            for request, values in zip(requests, inputs, strict=True):
                request.start_async([values], share_inputs=True)
            for request in requests:
                request.wait()
        except RuntimeError:  # a request at work, which takes no new image, ends before it is freed
            self._requests = []
            raise
        answer = np.concatenate([request.get_output_tensor(0).data for request in requests])
        return self._activation(torch.from_numpy(answer)[: len(images)])

    def _filled(self, images: Tensor) -> Tensor:
        """Return as many images as the model takes at once, the missing ones 0."""
        missing = self._most - len(images)
        if not missing:
            return images
        return torch.cat([images, images.new_zeros(missing, *images.shape[1:])])

    def _requests_for(self, shape: torch.Size, parts: int) -> list[Any]:
        """Return as many requests as parts, for images of a shape, (C, h, w).

        The model that was compiled last is reused if it fits, and computes as many parts side by
        side or all that it may.
        """
        streams = min(STREAMS, torch.get_num_threads(), parts)
        if self._compiled is None or self._shape != shape or streams > self._streams:
            self._requests, self._compiled = [], None  # before the next one takes its memory
            self._compiled = self._compile(shape, streams)
            self._shape, self._streams = shape, streams
        while len(self._requests) < parts:
            self._requests.append(self._compiled.create_infer_request())
        return self._requests[:parts]

    def _compile(self, shape: torch.Size, streams: int) -> Any:
        openvino = load_openvino()
        model = self._model.clone()
        model.reshape([self._most, *shape])
        # Images come with channels last: OpenVINO turns them faster than a copy here would.
        steps = openvino.preprocess.PrePostProcessor(model)
        steps.input().tensor().set_layout(openvino.Layout("NHWC"))
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        options = {
            "INFERENCE_PRECISION_HINT": self._kind,
            "PERFORMANCE_HINT": "THROUGHPUT" if streams > 1 else "LATENCY",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # each process would hold the first cores fast
        }
        return openvino.Core().compile_model(steps.build(), "CPU", options)


def images_at_once() -> int:
    """Return how many images a batch should have at least."""
    return FOR_EACH * min(STREAMS, torch.get_num_threads())


def load_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    That would tell a server of each conversion; and it forks, which hangs for good where another
    thread is reading stdin, as the worker's does.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def openvino_name(half: bool) -> str:
    """Return what the runtime is called in a precision."""
    return f"openvino {precision(half)}"


def precision(half: bool) -> str:
    """Return the precision computed in: half only where the processor does."""
    return (half and half_type()) or "f32"


def half_type() -> str:
    """Return the half precision in which the processor computes: "bf16", or "" for none."""
    abilities = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in abilities else ""
