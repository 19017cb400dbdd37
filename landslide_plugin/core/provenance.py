"""What every output says about its origin: algorithm, version, parameters, model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .. import __version__
from ..contract.tags import ALGORITHM, MODEL, PARAMETERS, VERSION


@dataclass(frozen=True)
class Provenance:
    """The run that an output comes from; the worker tells it to the command that it runs.

    Attributes:
        algorithm: its id; empty where a command was called from Python, which tells none.
        parameters: what it was asked.
        model: the name of the model that it used, once known; see `with_model`.
    """

    algorithm: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""

    def with_model(self, name: str) -> Provenance:
        """Return the same run, which uses or makes a model."""
        return replace(self, model=name)

    def tags(self) -> dict[str, str]:
        """Return the metadata items that outputs carry; what is not known has none."""
        tags = {VERSION: __version__}
        if self.algorithm:
            tags = {
                ALGORITHM: self.algorithm,
                **tags,
                PARAMETERS: json.dumps(self.parameters, sort_keys=True, default=str),
            }
        if self.model:
            tags[MODEL] = self.model
        return tags


NO_ORIGIN = Provenance()
"""That of a call from Python: its outputs tell the version, and the model if any."""
