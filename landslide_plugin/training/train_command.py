"""The command `train`."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from ...models.device import learn_alone, pick_device
from ...models.model_file import check_model_path
from ...models.registry import smallest_tile
from ..contract.choices import Train
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import require_folder
from ..samples.averaging import at_resolution
from ..samples.joined import join
from ..samples.sample_set import SampleSet
from .card import Description
from .loop import checkpoint
from .loop.contracts import Settings
from .making import make_model
from .recipe import Recipe, scaling
from .runs import Job
from .start import check_frozen, find_start
from .tiles.augmentation import Augmentation
from .unlabelled import Scenes, make_with_unlabelled

STEPS = 1500
"""Steps after which most trainings of few samples gain little more."""
FEWEST = 10
"""Epochs of the largest sets, so that there are some to choose the best of."""


def train(
    *,
    samples: str,
    model: str,
    html: str = "",
    more_samples: Sequence[str] = (),
    samples_weights: Annotated[
        Sequence[float], Train.SAMPLES_WEIGHTS
    ] = Train.SAMPLES_WEIGHTS.default,
    more_validation: Annotated[bool, Train.MORE_VALIDATION] = Train.MORE_VALIDATION.default,
    unlabelled: Sequence[str] = (),
    teacher: str = "",
    architecture: Annotated[str, Train.ARCHITECTURE] = Train.ARCHITECTURE.default,
    backbone: Annotated[str, Train.BACKBONE] = Train.BACKBONE.default,
    pretrained: Annotated[str, Train.PRETRAINED] = Train.PRETRAINED.default,
    weights: str = "",
    dropout: Annotated[float | None, Train.DROPOUT] = Train.DROPOUT.default,
    decoder: Annotated[Sequence[float], Train.DECODER] = Train.DECODER.default,
    loss: Annotated[str, Train.LOSS] = Train.LOSS.default,
    alpha: Annotated[float, Train.ALPHA] = Train.ALPHA.default,
    gamma: Annotated[float, Train.GAMMA] = Train.GAMMA.default,
    class_weights: Annotated[Sequence[float], Train.CLASS_WEIGHTS] = Train.CLASS_WEIGHTS.default,
    epochs: Annotated[int, Train.EPOCHS] = Train.EPOCHS.default,
    batch_size: Annotated[int, Train.BATCH_SIZE] = Train.BATCH_SIZE.default,
    learning_rate: Annotated[float, Train.LEARNING_RATE] = Train.LEARNING_RATE.default,
    optimizer: Annotated[str, Train.OPTIMIZER] = Train.OPTIMIZER.default,
    schedule: Annotated[str, Train.SCHEDULE] = Train.SCHEDULE.default,
    frozen_epochs: Annotated[int, Train.FROZEN_EPOCHS] = Train.FROZEN_EPOCHS.default,
    encoder_rate: Annotated[float, Train.ENCODER_RATE] = Train.ENCODER_RATE.default,
    patience: Annotated[int, Train.PATIENCE] = Train.PATIENCE.default,
    averaging: Annotated[float, Train.AVERAGING] = Train.AVERAGING.default,
    folds: Annotated[int, Train.FOLDS] = Train.FOLDS.default,
    balanced_validation: Annotated[
        bool, Train.BALANCED_VALIDATION
    ] = Train.BALANCED_VALIDATION.default,
    augmentation: Annotated[Sequence[str], Train.AUGMENTATION] = Train.AUGMENTATION.default,
    view_scales: Annotated[Sequence[float], Train.VIEW_SCALES] = Train.VIEW_SCALES.default,
    largest_scale: Annotated[float, Train.LARGEST_SCALE] = Train.LARGEST_SCALE.default,
    enhancement: Annotated[float, Train.ENHANCEMENT] = Train.ENHANCEMENT.default,
    pasted: Annotated[float, Train.PASTED] = Train.PASTED.default,
    passes: Annotated[int, Train.PASSES] = Train.PASSES.default,
    start_from: str = "",
    scales: Annotated[Sequence[float], Train.SCALES] = Train.SCALES.default,
    turned: Annotated[bool, Train.TURNED] = Train.TURNED.default,
    tile_size: Annotated[int, Train.TILE_SIZE] = Train.TILE_SIZE.default,
    resolution: Annotated[float, Train.RESOLUTION] = Train.RESOLUTION.default,
    bands: Annotated[Sequence[str], Train.BANDS] = Train.BANDS.default,
    device: Annotated[str, Train.DEVICE] = Train.DEVICE.default,
    seed: Annotated[int, Train.SEED] = Train.SEED.default,
    resume: Annotated[bool, Train.RESUME] = Train.RESUME.default,
    name: Annotated[str, Train.NAME] = Train.NAME.default,
    licence: Annotated[str, Train.LICENCE] = Train.LICENCE.default,
    data: Annotated[str, Train.DATA] = Train.DATA.default,
    limits: Annotated[str, Train.LIMITS] = Train.LIMITS.default,
    synthetic: Annotated[bool, Train.SYNTHETIC] = Train.SYNTHETIC.default,
    scene_light: Annotated[bool, Train.SCENE_LIGHT] = Train.SCENE_LIGHT.default,
    half: Annotated[bool, Train.HALF] = Train.HALF.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Train a network on a folder of samples.

    Args:
        samples: the folder, made by `samples` or `importsamples`.
        model: output `.safetensors` file.
        html: output report; none when empty.
        more_samples: further folders to train on, or their manifests, such as of pseudo-labels.
        samples_weights: how often a patch of each folder is drawn in an epoch, and thus how much it
            counts, `samples` first; 1 each when empty. One more is that of the scenes' patches.
        more_validation: whether the further folders' validation and test patches judge too; else
            these are left out.
        unlabelled: stacks without labels to learn from too, each a scene: a first training labels
            them where it is sure, and a second one learns from all; see `make_with_unlabelled`.
        teacher: model file that labels them instead of a first training.
        architecture: a network of the registry.
        backbone: a named setting or encoder of the architecture; its first when empty.
        pretrained: whether the encoder begins with weights learnt on photographs: "auto" where they
            are installed, "none", or "imagenet" for those that are downloaded where need be.
        weights: file with the encoder's first weights, or with a whole Mask R-CNN's; instead.
        dropout: share of each layer's values that are dropped in training, 0..1, of architectures
            that have it; None for the backbone's.
        decoder: channels of the decoder's blocks, the deepest first, of networks where they can be
            set; the architecture's own when empty.
        loss: of semantic networks; see `losses`. Mask R-CNN has its own.
        alpha: weight of background in the focal loss, landslide's being 1 - alpha.
        gamma: focus of the focal loss: how little counts what is nearly right.
        class_weights: of background and landslide, in the losses that have them.
        epochs: times that every train patch is seen; 0 for as many as make `STEPS` steps.
        batch_size: patches per step.
        learning_rate: highest of the schedule.
        optimizer: "adamw" or "adam".
        schedule: course of the learning rate; see `schedule`.
        frozen_epochs: epochs at the beginning in which the encoder stays as it is.
        encoder_rate: learning rate of the encoder as share of the others', where it begins with
            learnt weights: pretrained, from `weights` or from `start_from`.
        patience: epochs without a better one after which training ends; 0 for never.
        averaging: decay of the running average of the weights (EMA), 0 for none.
        folds: number of parts that train and validation samples are shared out to; one network is
            trained for each as validation, and the model averages them. 0 or 1 for none.
        balanced_validation: whether at most as many validation patches without landslide as with
            choose epoch and threshold; temperature and test figures are of all patches.
        augmentation: what happens to training tiles, and what copies are added; see
            `Augmentation`.
        view_scales: least and largest share of an image's side that a tile shows, with the
            augmentation "view".
        largest_scale: a pixel may stand for so much more or less ground, with the augmentation
            "scale".
        enhancement: share of training tiles with another background, 0..1; see `enhancement`.
        pasted: share of these that are pasted (CutMix), 0..1; the others are spliced.
        passes: times that train patches with landslide are seen in an epoch.
        start_from: model file to train on from, with its architecture; bands are found by name, and
            new ones are learnt from nothing.
        scales: by how much an image is reduced for each reading of it, of networks that read it at
            several, 0.5 for enlarged; it is trained at the first alone. The network's own when
            empty.
        turned: whether the network reads an image in its four quarter turns.
        tile_size: side of the training tiles in pixels; 0 for that of the samples.
        resolution: metres a pixel that samples are averaged to; 0 for their own.
        bands: names of the bands to use; all when empty.
        device: "auto", "cpu", "cuda" or "mps".
        seed: same seed, machine and settings, same model.
        resume: whether to go on from the checkpoint beside `model` that an interrupted training
            with the same samples and settings has left.
        name: of the model, for its card; so are the following, see `Description`.
        licence: see `name`.
        data: see `name`.
        limits: see `name`.
        synthetic: see `name`.
        scene_light: see `name`.
        half: whether weights are stored in 16 bits.
        origin: what the outputs tell of the run.
        progress: told of each batch.

    Returns:
        `model`, `html`, and of the kept epoch `f1`, `iou` (validation pixels; means of the folds),
        `loss` (training) and `threshold`; `epochs`, the number trained; `test_f1` and `test_iou`
        of the whole model on the test samples, None where there are none.

    Ended by SIGTERM (`SystemExit`), it writes the best model so far and leaves the checkpoint.

    Raises:
        InputError: the samples or settings are unfit.
        OutputError: an output can't be written; the checkpoint is left then.
        MissingPackageError: the device is not there.
    """
    for path in filter(None, (model, html)):
        require_folder(path)
    check_model_path(model)
    if start_from and Path(start_from).resolve() == Path(model).resolve():
        raise InputError(f"{model} is the model to start from: choose another file for the output.")
    if teacher and not unlabelled:
        raise InputError(
            "TEACHER labels scenes without labels, and none are given (UNLABELLED): give some, or "
            "leave it empty."
        )
    description = Description(
        name=name,
        licence=licence,
        data=data,
        limits=limits,
        synthetic=synthetic,
        scene_light=scene_light,
        half=half,
    )
    description.check()
    start = find_start(architecture, backbone, pretrained, weights, start_from, dropout)
    start = start.reading_at(scales).reading_turned(turned).with_decoder(decoder)
    sets = [SampleSet.read(folder) for folder in (samples, *more_samples)]
    put = partial(_joined, sets, more_validation, resolution, progress)
    has_one_more = bool(unlabelled) and len(samples_weights) == len(sets) + 1
    sample_set = put([], samples_weights[: len(sets)] if has_one_more else samples_weights)
    names = start.choose_bands(sample_set, list(bands))
    means, deviations, warning = scaling(sample_set, names, start)
    if warning:
        progress.warning(warning)
    recipe = Recipe(
        data=sample_set,
        start=start,
        bands=names,
        mean=means,
        std=deviations,
        size=tile_size or sample_set.tile_size,
        loss=loss,
        tuning={"alpha": alpha, "gamma": gamma, "weights": list(class_weights)},
        augmentation=replace(
            Augmentation.parse(augmentation), views=tuple(view_scales), largest_scale=largest_scale
        ),
        enhancement=enhancement,
        pasted=pasted,
        passes=passes,
        folds=folds,
        balanced_validation=balanced_validation,
        seed=seed,
    )
    recipe.check()
    settings = Settings(
        epochs=epochs
        or enough_epochs(recipe.tiles(recipe.parts()[0], seed).epoch_size, batch_size),
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=pick_device(device),
        optimizer=optimizer,
        schedule=schedule,
        frozen_epochs=frozen_epochs,
        encoder_rate=encoder_rate if start.has_learnt else 1.0,
        patience=patience,
        averaging=averaging,
    )
    parameters = start.parameters(len(names), len(sample_set.classes))
    learn_alone(settings.device, parameters * batch_size * recipe.size**2)
    check_frozen(start, frozen_epochs, progress)
    _warn_of_size(start.architecture, recipe.size, progress)
    if not resume:
        checkpoint.remove(model)
    job = Job(recipe, settings, Path(model), judged=bool(html), resume=resume)
    if not unlabelled:
        return make_model(job, description, html, origin, progress)
    scenes = Scenes(unlabelled, teacher, partial(put, weights=samples_weights))
    return make_with_unlabelled(job, scenes, description, html, origin, progress)


def enough_epochs(tiles: int, batch_size: int) -> int:
    """Return the epochs that make at least `STEPS` steps, and never fewer than `FEWEST`."""
    return max(math.ceil(STEPS / math.ceil(tiles / batch_size)), FEWEST)


def _joined(
    sets: Sequence[SampleSet],
    judging: bool,
    resolution: float,
    progress: Progress,
    further: Sequence[SampleSet],
    weights: Sequence[float],
) -> SampleSet:
    """Return all folders of samples as one set, at a resolution; `further` may have a weight."""
    every = [*sets, *further]
    if further and len(weights) == len(sets):
        weights = [*weights, *(1.0 for _ in further)]
    if len(every) > 1 or weights:
        return at_resolution(join(every, weights, judging, progress), resolution)
    return at_resolution(every[0], resolution)


def _warn_of_size(architecture: str, size: int, progress: Progress) -> None:
    least = smallest_tile(architecture)
    if size < least:
        progress.warning(
            f"Tiles of {size} pixels are small for {architecture}: below {least} a part of it sees "
            "no further than its own pixel; choose larger tiles or another architecture."
        )
