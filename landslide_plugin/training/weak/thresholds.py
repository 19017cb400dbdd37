"""Where an activation becomes landslide, and the network that says so."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.cyclegan import CycleGAN
from ....models.weak import Classifier, WeakNetwork
from .images import Images
from .tasks import CycleGanTask

CAM_FRACTION = 0.4
"""Share of the mean highest activation in images with landslide from which a pixel is landslide."""
DRAWS = 200
"""Of the bootstrap that says how sure the grey level's choice is."""


def assemble(
    bands: int, classifier: Classifier | None, gan: CycleGAN | None, arguments: dict[str, Any]
) -> WeakNetwork:
    """Return the network that maps, made of what was trained."""
    network = WeakNetwork(bands, 2, **arguments)
    if network.classifier is not None and classifier is not None:
        network.classifier.load_state_dict(classifier.state_dict())
    if network.generator is not None and gan is not None:
        network.generator.load_state_dict(gan.clear.state_dict())
    return network.eval()


def is_eight_bit(images: Images) -> bool:
    """Return whether the first images hold no value outside 0..255."""
    samples = images.train[True][:8]
    values = [images.samples.load(sample, images.bands)[0] for sample in samples]
    return all(part.min() >= 0 and 1 < part.max() <= 255 for part in values)


def activation_cut(classifier: Classifier, images: Images, device: torch.device) -> float:
    """Return `CAM_FRACTION` of the mean highest activation in validation images with landslide."""
    highest = []
    with torch.inference_mode():
        for sample in images.validation[True]:
            tile = torch.from_numpy(images.tile(sample))[None].to(device)
            maps = classifier.activation(tile).float()
            highest.append(float((maps[:, 1] - maps[:, 0]).max()))
    return CAM_FRACTION * max(float(np.mean(highest)), 0.0)


def chosen_threshold(
    gan: CycleGAN, task: CycleGanTask, images: Images, device: torch.device
) -> float:
    """Return the highest grey level that tells the validation images apart as well as the best.

    As well is an F1 within one standard error (bootstrap) of the best one (Breiman et al. 1984,
    section 3.4.3): of levels that the labels can't tell apart, the one that maps the least.
    """
    changed, holds = [], []
    with torch.inference_mode():
        for batch in images.validation_batches(8):
            changed.append(task.changed(gan, batch, device).cpu().numpy())
            holds.append(batch.labels[:, 0, 0] > 0)
    values, truth = np.concatenate(changed), np.concatenate(holds)
    candidates = np.unique(values)
    scores = np.array([_label_f1(truth, values >= level) for level in candidates])
    best = candidates[int(np.argmax(scores))]
    draws = np.random.default_rng(images.seed).integers(len(truth), size=(DRAWS, len(truth)))
    error = np.std([_label_f1(truth[draw], values[draw] >= best) for draw in draws])
    return float(candidates[scores >= scores.max() - error].max())


def _label_f1(truth: NDArray[np.bool_], answers: NDArray[np.bool_]) -> float:
    return float(2 * (truth & answers).sum() / max(int(truth.sum() + answers.sum()), 1))
