"""ONNX Runtime, for networks of ours and for ONNX files of others."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...contract.errors import ModelFileError
from .activation import Activation, softmax
from .runtime import example_images

IN_MEMORY = "The network"
NAME = "onnxruntime float32"
OPSET = 17
"""Read by ONNX Runtime from 1.13 (2022) on, so by what Deepness installs."""


class OnnxRuntime:
    """Runs an ONNX graph by ONNX Runtime; on CUDA where its package is made for that.

    Args:
        graph: a file, or the graph's bytes.
        activation: turns the output into probabilities (N, K, h, w).
        device: where to run.

    Attributes:
        bands: channels of its input.
        batch: images that it takes at once; 0 for any number.
        activation: as given; it may be set once the file's description is read.

    Raises:
        ModelFileError: it is no ONNX graph, damaged, or has other inputs or outputs than an image
            and a map of its classes.
    """

    side_by_side = 1

    def __init__(
        self, graph: str | Path | bytes, activation: Activation, device: torch.device
    ) -> None:
        import onnxruntime

        available = onnxruntime.get_available_providers()
        on_gpu = device.type == "cuda" and "CUDAExecutionProvider" in available
        providers = ["CUDAExecutionProvider"] * on_gpu + ["CPUExecutionProvider"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # what fails is raised, too
        source = graph if isinstance(graph, bytes) else str(graph)
        self._path = IN_MEMORY if isinstance(graph, bytes) else str(graph)
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=providers)
        except Exception as error:  # a C++ error has a class of its own for each code
            raise ModelFileError(
                f"{self._path} is not an ONNX model that ONNX Runtime can run "
                f"({_first_line(error)}): export it again."
            ) from error
        self.name = f"{NAME} on CUDA" if on_gpu else NAME
        self.device = torch.device("cpu")
        self.activation = activation
        self.bands, self.batch, self.fixed_size = self._input()

    @classmethod
    def from_network(cls, network: nn.Module, bands: int, rows: int, cols: int) -> "OnnxRuntime":
        """Convert a network in memory, for images of this size."""
        graph = onnx_graph(network, bands, rows, cols)
        return cls(graph, softmax, torch.device("cpu"))

    def run(self, images: Tensor) -> Tensor:
        """Return the probabilities, float32, (N, K, h, w).

        Raises:
            ModelFileError: the graph can't take images of this size.
        """
        values = np.ascontiguousarray(images.cpu().float().numpy())
        step = self.batch or max(len(values), 1)
        parts = [self._infer(values[start : start + step]) for start in range(0, len(values), step)]
        return self.activation(torch.from_numpy(np.concatenate(parts)))

    def metadata(self) -> dict[str, str]:
        """Return the file's metadata_props."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def _infer(self, values: Any) -> Any:
        missing = (self.batch or len(values)) - len(values)
        filled = np.concatenate([values, values[:1].repeat(missing, 0)]) if missing else values
        try:
            result = self._session.run(None, {self._session.get_inputs()[0].name: filled})[0]
        except Exception as error:
            raise ModelFileError(
                f"{self._path} can't take images of {values.shape[-1]} x {values.shape[-2]} pixels "
                f"({_first_line(error)}): choose the tile size that it was made for."
            ) from error
        return result[: len(values)]

    def _input(self) -> tuple[int, int, tuple[int, int] | None]:
        """Return channels, batch (0: any) and size (None: any) of the only input."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape if inputs else []
        fits = len(inputs) == 1 and len(outputs) == 1 and len(shape) == 4
        if not fits or not isinstance(shape[1], int) or inputs[0].type != "tensor(float)":
            listed = ", ".join(f"{item.name} {item.shape} {item.type}" for item in inputs)
            raise ModelFileError(
                f"{self._path} does not map one float image (N, bands, rows, columns) to one map "
                f"of classes: it takes {listed or 'nothing'} and gives {len(outputs)} outputs."
            )
        batch, bands, rows, cols = shape
        fixed = (rows, cols) if isinstance(rows, int) and isinstance(cols, int) else None
        if fixed and rows != cols and self._path != IN_MEMORY:
            raise ModelFileError(
                f"{self._path} takes images of {cols} x {rows} pixels, but only square ones can "
                "be given: export it for square ones."
            )
        return bands, batch if isinstance(batch, int) else 0, fixed


def onnx_graph(
    network: nn.Module, bands: int, rows: int, cols: int, any_size: bool = False
) -> bytes:
    """Return a network as an ONNX graph of its input "image" and its output "output".

    Args:
        network: float32 (N, C, h, w) to (N, K, h, w).
        bands: channels of the input.
        rows: of the images.
        cols: columns of the images.
        any_size: leave rows and columns open; else only the batch is. What is written is what the
            network does at this size: other sizes are not padded to multiples, say.

    Raises:
        ModelFileError: ONNX has no words for what the network does.
    """
    axes = {0: "batch", 2: "rows", 3: "columns"} if any_size else {0: "batch"}
    graph = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of tracing: what it warns of is checked by the caller
        try:
            torch.onnx.export(
                network.eval().cpu(),
                (example_images(bands, rows, 2, cols),),
                graph,  # type: ignore[arg-type]  # a file in memory does
                dynamo=False,
                opset_version=OPSET,
                input_names=["image"],
                output_names=["output"],
                dynamic_axes={"image": axes, "output": axes},
            )
        except RuntimeError as error:
            raise ModelFileError(
                f"The network can't be written as ONNX for {cols} x {rows} pixels "
                f"({_first_line(error)}): choose another tile size."
            ) from error
    return graph.getvalue()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
