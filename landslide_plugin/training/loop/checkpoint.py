"""The state of an unfinished training on the disk.

One safetensors file: the weights, their average, the optimizer's moments, the best weights and
the random generators as tensors, the rest as JSON in its header. No pickle, so that a checkpoint
from elsewhere can do no harm.
"""

import glob
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ....models.model_file import digest_of
from ...contract.errors import InputError
from ...core.system import replace
from ...outputs.whole import together, whole_file

FORMAT = 2
KEY = "landslide_checkpoint"
SUFFIX = ".checkpoint"


@dataclass
class Saved:
    """What a checkpoint holds.

    Attributes:
        facts: JSON-able state of the loop.
        tensors: named with a prefix that tells what they belong to, such as "network.".
    """

    facts: dict[str, Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def add(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """Add tensors under a prefix."""
        self.tensors |= {f"{prefix}.{name}": value for name, value in tensors.items()}

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under a prefix, by their own names."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): value
            for name, value in self.tensors.items()
            if name.startswith(start)
        }


def beside(model: str | Path, fold: int | None = None) -> Path:
    """Return where the checkpoint of a model that is being trained lies, or that of one fold."""
    return Path(f"{model}{SUFFIX}" if fold is None else f"{model}.fold{fold + 1}{SUFFIX}")


def write(path: Path, saved: Saved) -> None:
    """Replace the checkpoint at `path`; a kill at any moment leaves the old or the new one whole.

    Raises:
        OutputError: the disk is full or read-only; the old checkpoint stands.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in saved.tensors.items()}
    facts = {"format": FORMAT, "tensors": digest_of(tensors), **saved.facts}
    with together(), whole_file(path) as partial:
        try:
            save_file(tensors, str(partial), {KEY: json.dumps(facts)})
        except SafetensorError as error:  # it wraps the system's error in its own
            raise OSError(str(error)) from error


def read(path: Path) -> Saved | None:
    """Return what the checkpoint holds; None where there is none that is as it was written.

    Raises:
        InputError: it can't be read now, which says nothing of what it holds.
    """
    try:
        with safe_open(str(path), "pt") as file:
            facts = json.loads((file.metadata() or {})[KEY])
            # copied: what is mapped from the file keeps it from being replaced on Windows
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            if facts["format"] != FORMAT or facts["tensors"] != digest_of(tensors):
                return None
            return Saved(facts, tensors)
    except (SafetensorError, FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    except (OSError, RuntimeError) as error:  # of few handles, a lost drive: not of the content
        raise InputError(
            f"The unfinished training {path} can't be read ({error}): try again once it can; it is "
            "left as it is."
        ) from error


def set_aside(path: Path, saved: Saved) -> Path:
    """Keep a checkpoint of other samples or settings under a name of its own; return that."""
    kept = aside(path, str(saved.facts["digest"]))
    replace(path, kept)
    return kept


def aside(path: Path, digest: str) -> Path:
    """Return the name that a checkpoint of these samples and settings is kept under."""
    return path.with_name(f"{path.name}-{digest[:8]}")


def forget(path: Path, digest: str) -> None:
    """Remove a checkpoint, and the one of these samples and settings that was set aside."""
    for file in (path, aside(path, digest)):
        file.unlink(missing_ok=True)


def files_of(model: str | Path) -> list[Path]:
    """Return the checkpoints beside a model, without those that were set aside."""
    name = glob.escape(Path(model).name)
    patterns = [f"{name}{fold}{SUFFIX}" for fold in ("", ".fold*")]
    return [path for pattern in patterns for path in Path(model).parent.glob(pattern)]


def remove(model: str | Path) -> None:
    """Remove all checkpoints of a model."""
    for path in files_of(model):
        path.unlink(missing_ok=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the moments of each parameter, named "<number>.<moment>"."""
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer of the same parameters its moments back.

    Raises:
        ValueError: they are not of these parameters.
    """
    parameters = [item for group in optimizer.param_groups for item in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        parameter = parameters[int(number)]
        if value.ndim:
            if value.shape != parameter.shape:
                raise ValueError(f"moment {key} has the shape {tuple(value.shape)}")
            # In the parameter's own memory format, in which steps are fast.
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """Return the state of the random generators that a training uses."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(device: torch.device, tensors: dict[str, Tensor]) -> None:
    """Set the random generators."""
    torch.set_rng_state(tensors["cpu"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)
