"""What is to be made: the packages, the build of torch, and what that weighs."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..contract.choices import SetupEngine
from .listener import SetupError
from .machine import UVS_PYTHON, Machine, this_machine, torch_for_gpu

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"

TORCH = tuple(SetupEngine.TORCH.words)
"""The choices: for the CPU; for the GPU's driver; for a CUDA version; what PyPI offers."""

_FROM_PYTORCH = {("Linux", "cpu"), ("Windows", "cu126"), ("Windows", "cu130")}
"""The builds that PyPI has not; on Linux it has CUDA 13's, on Windows and macOS the CPU's."""

_NOT_BUILT = {("Linux", "cu126"), ("Darwin", "cu126"), ("Darwin", "cu130")}
"""Where PyTorch and PyPI have no such build."""

_TAGS = {"Linux": "manylinux_2_28_{}", "Windows": "win_amd64"}


@dataclass(frozen=True)
class Wheel:
    """A build of torch that does not come from PyPI.

    Attributes:
        name: the file's name.
        digest: "sha256:" and 64 digits.
        url: where it is, on this machine or on PyTorch's index.
    """

    name: str
    digest: str
    url: str


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        torch: one of `TORCH`.
        dev: whether the developers' tools are wanted too.
        python: the base Python; empty: looked for, or brought by uv.
        wheelhouse: a folder that holds all wheels, so that nothing is downloaded.
        find_links: folders whose wheels are taken before the index's.
        fall_back: whether PyPI's torch is taken where PyTorch's index can't be reached.
        requirements: the folder of locks.
        machine: what it is made for.
    """

    torch: str = SetupEngine.TORCH.default
    dev: bool = False
    python: str = ""
    wheelhouse: Path | None = None
    find_links: tuple[Path, ...] = ()
    fall_back: bool = False
    requirements: Path = REQUIREMENTS
    machine: Machine = field(default_factory=this_machine)

    def settled(self) -> Plan:
        """Return the plan with "auto" settled by the GPU's driver, and no relative folder.

        Raises:
            SetupError: there is no such build of torch for this system, or no wheelhouse.
        """
        if self.wheelhouse and not self.wheelhouse.is_dir():
            raise SetupError(f"The wheelhouse {self.wheelhouse} is not a folder: name one.")
        if self.wheelhouse and not self.wheelhouse.is_absolute():
            return replace(self, wheelhouse=self.wheelhouse.absolute()).settled()
        if self.torch == "auto":
            return replace(self, torch=torch_for_gpu(self.machine))
        if self.torch not in TORCH or (self.machine.system, self.torch) in _NOT_BUILT:
            mend = "take cpu, or cu130 with a newer driver of the GPU"
            if self.machine.system == "Darwin":
                mend = "take cpu, which uses the GPU of Apple silicon"
            raise SetupError(
                f"There is no torch for {self.torch} on {self.machine.system}: {mend}."
            )
        return self

    def locks(self) -> list[str]:
        """Return the names of the locks that are installed."""
        cuda = self.machine.system == "Linux" and self.torch != "cpu"
        return ["engine", *(["cuda"] if cuda else []), *(["dev"] if self.dev else [])]

    def wanted(self) -> dict[str, str]:
        """Return what the environment's stamp says: torch, and the digest of each lock."""
        texts = {name: self._text(f"{name}.lock") for name in self.locks()}
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        return {"torch": self.torch, **digests}

    def digest(self) -> str:
        """Return the short name of what is to be made."""
        return hashlib.sha256(json.dumps(self.wanted()).encode()).hexdigest()[:8]

    def torch_wheel(self, python: str) -> Wheel | None:
        """Return torch's wheel where it does not come from PyPI.

        Args:
            python: the version it is for, such as "3.12".

        Raises:
            SetupError: its digest is not known, or the wheelhouse lacks it.
        """
        if (self.machine.system, self.torch) not in _FROM_PYTORCH:
            return None
        version = re.findall(r"^torch==(\S+)", self._text("engine.lock"), re.MULTILINE)[0]
        tag = f"cp{python.replace('.', '')}"
        system = _TAGS[self.machine.system].format(self.machine.processor)
        name = f"torch-{version}+{self.torch}-{tag}-{tag}-{system}.whl"
        facts = self.facts("pytorch")
        if name not in facts["wheels"]:
            raise SetupError(
                f"The digest of {name} is not known: take Python {UVS_PYTHON}, or torch pypi."
            )
        at_hand = self.at_hand(name)
        url = at_hand.as_uri() if at_hand else f"{facts['index']}{self.torch}/{quote(name)}"
        return Wheel(name, facts["wheels"][name]["digest"], url)

    def at_hand(self, name: str) -> Path | None:
        """Return the file of a wheel in the wheelhouse or the folders of links.

        Raises:
            SetupError: the wheelhouse lacks it.
        """
        for folder in (self.wheelhouse, *self.find_links):
            if folder is not None and (folder / name).is_file():
                return (folder / name).resolve()
        if self.wheelhouse:
            raise SetupError(f"The wheelhouse {self.wheelhouse} lacks {name}: put it there.")
        return None

    def pins(self, wheel: Wheel | None) -> str:
        """Return what is installed, each with its digests, as a requirements file."""
        text = "\n".join(self._text(f"{name}.lock") for name in self.locks())
        if wheel is None:
            return text
        pin = f"torch @ {wheel.url} --hash={wheel.digest}"
        return re.sub(r"^torch==.*(?:\n .*)*", lambda _: pin, text, flags=re.MULTILINE)

    def sizes(self, python: str = UVS_PYTHON) -> dict[str, int]:
        """Return the bytes to "download" and on "disk", as far as they are known."""
        sizes = (
            self.facts("sizes")
            .get(f"{self.machine.system}-{self.machine.processor}", {})
            .get(python, {})
        )
        parts = [sizes.get(name, {}) for name in (*self.locks(), f"torch-{self.torch}")]
        return {key: sum(part.get(key, 0) for part in parts) for key in ("download", "disk")}

    def longest_path(self) -> int:
        """Return the length of the longest path below the environment."""
        length = self.facts("sizes").get("longest_path", 0)
        build = (self.machine.system, self.torch) in _FROM_PYTORCH  # stands in a folder's name
        return int(length) + (len(f"+{self.torch}") if build else 0)

    def facts(self, name: str) -> dict[str, Any]:
        """Return what a JSON file beside the locks says; nothing where it is missing."""
        return dict(json.loads(self._text(f"{name}.json") or "{}"))

    def _text(self, name: str) -> str:
        path = self.requirements / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""
