"""The algorithms of the Processing provider, one a file."""

from .classes import Classes
from .demoarea import DemoArea
from .detect import Detect
from .distance import Distance
from .evaluate import Evaluate
from .exportmodel import ExportModel
from .factoranalysis import FactorAnalysis
from .fetchmodel import FetchModel
from .importsamples import ImportSamples
from .map import MapLandslides
from .predict import Predict
from .samples import Samples
from .setupengine import SetupEngine
from .spectralindices import SpectralIndices
from .stack import Stack
from .streams import Streams
from .terrainfactors import TerrainFactors
from .train import Train
from .trainweak import TrainWeak
from .vectorize import Vectorize

ALGORITHMS = (
    TerrainFactors,
    SpectralIndices,
    Streams,
    Distance,
    Classes,
    Stack,
    FactorAnalysis,
    Samples,
    ImportSamples,
    Train,
    ExportModel,
    TrainWeak,
    MapLandslides,
    Predict,
    Detect,
    FetchModel,
    Vectorize,
    Evaluate,
    DemoArea,
    SetupEngine,
)
"""All of them, in the order of a project."""
