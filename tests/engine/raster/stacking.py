"""Makes stacks for tests, by the command."""

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.warp
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.request import checked


def run(layers, output, **parameters):
    events = []
    given = {"layers": [str(layer) for layer in layers], "output": str(output), **parameters}
    stack(**checked("stack", stack, given), progress=Progress(events.append))
    with rasterio.open(output) as dataset:
        bands = {
            name: dataset.read(index, masked=True)
            for index, name in enumerate(dataset.descriptions, start=1)
        }
    return bands, [event["text"] for event in events if "text" in event]


def noise(seed, shape=(20, 30)):
    return np.random.default_rng(seed).uniform(0, 10, shape).astype(np.float32)
