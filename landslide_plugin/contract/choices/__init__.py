"""What every command's parameters are: words and labels, defaults, ranges, units.

A class holds one command's, by the Toolbox's groups a file; its name in lower case is the
command's. An attribute is a `Kind`, under the parameter's key. Layers, files, fields of layers and
free texts have none.

QGIS's forms make their parameters of them: `kind.key`, `kind.label` (and `kind.unit` in brackets),
`kind.default`; of a choice the keys of `kind.words` are what scripts give and its values what the
dialog shows; of a number `kind.low` (else `kind.above`) and `kind.high` are its limits, None for
none; `kind.hints` are what a line of text offers. What a parameter is for, and whether it is among
the advanced ones, the forms say.

Commands carry them in their signature, `loss: Annotated[str, Train.LOSS] = Train.LOSS.default`, and
`request.checked` refuses a value of which `kind.problem` says something; forms may ask it too.
"""

from .engine import DemoArea, Device, Recipe, SetupEngine
from .factors import (
    Classes,
    Distance,
    FactorAnalysis,
    Mosaic,
    SpectralIndices,
    Stack,
    Streams,
    TerrainFactors,
)
from .inventory import Evaluate, Vectorize
from .mapping import Detect, Map, Predict, Reproduce
from .training import ExportModel, ImportSamples, Samples, Train, TrainWeak

__all__ = [
    "Classes",
    "DemoArea",
    "Detect",
    "Device",
    "Distance",
    "Evaluate",
    "ExportModel",
    "FactorAnalysis",
    "ImportSamples",
    "Map",
    "Mosaic",
    "Predict",
    "Recipe",
    "Reproduce",
    "Samples",
    "SetupEngine",
    "SpectralIndices",
    "Stack",
    "Streams",
    "TerrainFactors",
    "Train",
    "TrainWeak",
    "Vectorize",
]
