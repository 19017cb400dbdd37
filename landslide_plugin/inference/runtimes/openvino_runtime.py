"""OpenVINO, on Intel and ARM processors the fastest of the runtimes."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import ModelFileError
from .activation import Activation, softmax
from .onnx_runtime import OnnxRuntime, onnx_graph
from .runtime import Sized, example_images


class OpenVinoRuntime:
    """Runs a network by OpenVINO on the processor.

    Args:
        model: an `openvino.Model` with one input (N, C, h, w) and one output.
        activation: turns the output into probabilities (N, K, h, w).
        half: compute in bfloat16 or float16 where the processor does.
        fixed_size: rows and columns that images must have; None where any will do.
        most: images that the model takes at once; 0 for any number.
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
        kind = precision(half)
        self.name = f"openvino {kind}"
        self.fixed_size = fixed_size
        self._model = model
        self._activation = activation
        self._options = {
            "INFERENCE_PRECISION_HINT": kind,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._sized = Sized(self._compiled, most)

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
        return self._activation(self._sized.run(images.cpu().float()))

    def _compiled(self, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
        model = self._model.clone()
        model.reshape(list(shape))
        request = (
            load_openvino().Core().compile_model(model, "CPU", self._options).create_infer_request()
        )

        def compute(images: Tensor) -> Tensor:
            values: NDArray[np.float32] = np.ascontiguousarray(images.numpy())
            return torch.from_numpy(request.infer([values], share_inputs=True)[0].copy())

        return compute


def load_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    That would tell a server of each conversion; and it forks, which hangs for good where another
    thread is reading stdin, as the worker's does.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def precision(half: bool) -> str:
    """Return the precision computed in: half only where the processor does."""
    return (half and half_type()) or "f32"


def half_type() -> str:
    """Return the half precision in which the processor computes: "bf16", or "" for none."""
    abilities = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in abilities else ""
