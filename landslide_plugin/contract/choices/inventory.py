"""Parameters of the Toolbox's group "Inventory and accuracy"."""

from __future__ import annotations

from ..kinds import Choice, Flag, Number, OptionalNumber, Whole
from . import shared


class Vectorize:
    """Of `vectorize`."""

    THRESHOLD = shared.THRESHOLD
    GROW = OptionalNumber("Grow down to probability", low=0.0, high=1.0)
    MIN_AREA = shared.MIN_AREA
    MIN_SLOPE = shared.MIN_SLOPE
    MAX_HOLE = Number("Largest hole to fill", low=0.0, unit="m2")
    OPENING = Number("Opening", low=0.0, unit="m")
    CLOSING = Number("Closing", low=0.0, unit="m")
    SPLIT = Choice(
        "Part landslides that touch",
        {
            "none": "Nowhere",
            "probability": "At saddles of the probability",
            "necks": "At necks",
            "drainage": "Along drainage divides",
        },
        "none",
    )
    SPLIT_DEPTH = Number("Depth of a split", low=0.0, high=1.0, default=0.5)
    PARTS = Flag("Part source and runout")
    SIMPLIFY = Number("Simplification", low=0.0, unit="m")
    SMOOTH = Whole("Rounds of smoothing", low=0, high=5)
    FILL = shared.FILL


class Evaluate:
    """Of `evaluate`."""

    THRESHOLD = OptionalNumber("Threshold", above=0.0, high=1.0)
    TOLERANCE = Number("Tolerance of outlines", low=0.0, unit="m")
    BLOCK_SIZE = Number("Side of blocks for intervals", low=0.0, unit="m")
