"""What every output says about its origin: algorithm, version, parameters, model."""

import json
from dataclasses import dataclass, field
from typing import Any

from .. import __version__


@dataclass
class Provenance:
    """The run that is going on; the worker fills it once per request."""

    algorithm: str = "landslide"
    parameters: dict[str, Any] = field(default_factory=dict)
    model: str = ""

    def tags(self) -> dict[str, str]:
        """Return the metadata items that outputs carry."""
        tags = {
            "LANDSLIDE_ALGORITHM": self.algorithm,
            "LANDSLIDE_VERSION": __version__,
            "LANDSLIDE_PARAMETERS": json.dumps(self.parameters, sort_keys=True, default=str),
        }
        if self.model:
            tags["LANDSLIDE_MODEL"] = self.model
        return tags


CURRENT = Provenance()
