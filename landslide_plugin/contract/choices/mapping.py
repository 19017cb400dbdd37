"""Parameters of the Toolbox's group "Mapping"."""

from __future__ import annotations

from ..kinds import Choice, Flag, Number, OptionalNumber, Whole
from . import shared

_OVERLAP = "Overlap (share of the tile)"


class Map:
    """Of `map`."""

    THRESHOLD = shared.THRESHOLD
    MIN_AREA = shared.MIN_AREA
    MIN_SLOPE = shared.MIN_SLOPE
    SENSOR = Choice(
        shared.SENSOR.label,
        {word: label for word, label in shared.SENSOR.words.items() if word != "custom"},
        shared.SENSOR.default,
    )
    """Without custom: nobody can say here which band is which."""

    SCALE = shared.SCALE
    OFFSET = shared.OFFSET
    SMOOTHING = OptionalNumber("Smoothing of the DEM", low=0.0, unit="m")
    STREAM_AREA = Number("Smallest drained area of streams", above=0.0, unit="km2", default=1.0)
    Z_UNIT = shared.Z_UNIT
    DEVICE = shared.DEVICE
    FILL = shared.FILL
    LANDSLIDE_FRACTION = shared.LANDSLIDE_FRACTION
    SCHEDULER = shared.SCHEDULER
    WORKERS = shared.WORKERS


class Predict:
    """Of `predict`."""

    THRESHOLD = shared.THRESHOLD
    TTA = Flag("Test-time augmentation")
    TILE_SIZE = shared.TILE_SIZE
    OVERLAP = OptionalNumber(_OVERLAP, low=0.0, high=0.9)
    BATCH_SIZE = Whole("Batch size", low=0, high=65_536)
    DEVICE = shared.DEVICE
    RUNTIME = Choice(
        "Runtime",
        {
            "auto": "By the work there is",
            "torch": "PyTorch",
            "openvino": "OpenVINO",
            "onnx": "ONNX Runtime",
        },
        "auto",
    )
    FILL = shared.FILL
    LANDSLIDE_FRACTION = shared.LANDSLIDE_FRACTION
    SCHEDULER = shared.SCHEDULER
    WORKERS = shared.WORKERS


class Reproduce:
    """Of `reproduce`: the plan says all else."""

    SCHEDULER = shared.SCHEDULER
    WORKERS = shared.WORKERS


class Detect:
    """Of `detect`."""

    SCORE = OptionalNumber("Smallest score", low=0.0, high=1.0)
    TILE_SIZE = shared.TILE_SIZE
    OVERLAP = Number(_OVERLAP, low=0.0, high=0.9, default=0.25)
    DEVICE = shared.DEVICE
    FILL = shared.FILL
