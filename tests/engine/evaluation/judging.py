"""What the tests of `evaluate` share."""

import numpy as np
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.evaluate_command import evaluate
from landslide_mapper.landslide_plugin.request import checked

LEFT, TOP, PIXEL = 500000, 5000000, 10


def run(predicted, reference, events=None, **options):
    sink = events.append if events is not None else None
    given = {"predicted": predicted, "reference": reference, **options}
    return evaluate(**checked("evaluate", evaluate, given), progress=Progress(sink))


def masks(seed=0, shape=(60, 80)):
    random = np.random.default_rng(seed)
    return [(random.random(shape) > 0.7).astype(np.uint8) for _ in range(2)]
