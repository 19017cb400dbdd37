"""Learning from scenes without labels: where a first model is sure, it labels them for a second.

Source: self-training by confident pixels (Lee 2013, "Pseudo-label", ICML workshop on challenges in
representation learning).
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import label

from ...models.known_models import SUFFIX
from ...models.model_card import ModelCard
from ...models.model_file import load_card
from .. import __version__
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..inference.decide import Wishes, decide
from ..inference.fit import fit_card
from ..inference.resume import digest_of, identity, traces
from ..inference.scene import Outputs, map_scene
from ..inference.stack import Stack
from ..outputs.kept import kept_folder
from ..outputs.whole import whole_file
from ..raster.declared import Scaling
from ..raster.source import Source
from ..samples.averaging import Averaged
from ..samples.joined import outline
from ..samples.patches import is_mostly_labelled, offsets
from ..samples.sample_set import MANIFEST, UNKNOWN, SampleSet
from ..samples.sample_writer import SampleWriter
from . import making
from .card import Description, light_of
from .loop import checkpoint
from .recipe import Recipe, scaling
from .runs import Job

GROUND, LANDSLIDE = 0.1, 0.7
"""Probabilities up to which a pixel is taken for ground, and from which on for landslide."""
ALIKE = 0.1
"""How much the pixels of a scene may differ from the samples' in size, as part of these."""
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)
T = TypeVar("T")


@dataclass(frozen=True)
class Scenes:
    """Scenes without labels.

    Attributes:
        stacks: their paths.
        teacher: model file that labels them; empty for one that is trained first, on the samples.
        joined: returns the labelled samples with further ones.
    """

    stacks: Sequence[str]
    teacher: str
    joined: Callable[[Sequence[SampleSet]], SampleSet]


def make_with_unlabelled(
    job: Job,
    scenes: Scenes,
    description: Description,
    html: str,
    origin: Provenance,
    progress: Progress,
) -> dict[str, Any]:
    """Train on labelled samples, label scenes by what came of it, and train anew on both.

    Each scene is mapped as `predict` does, in its own light, and its values are brought to those of
    the samples. Of its tiles those count that no sample was cut from, and of which the model is
    sure of half at least: of pixels up to `GROUND` and from `LANDSLIDE` on; the others are not
    known. They are as many as the labelled train patches at most. A run that is broken off goes on
    from the first model and the labels.

    Args:
        job: what is trained; both trainings have the same settings.
        scenes: what is labelled, and by what.
        description: what is said of the model.
        html: output report; none when empty.
        origin: what the outputs tell of the run.
        progress: told of each batch.

    Returns:
        What `make_model` does for the second training.

    Ended by SIGTERM (`SystemExit`), it writes the best model so far, of the first training even.

    Raises:
        InputError: a scene lacks bands, or its pixels are of another size; the model is sure of no
            tile; or as `make_model`.
        ModelFileError: the teacher is no model of pixels, or a scene lacks its bands.
        OutputError: an output can't be written.
    """
    recipe = job.recipe
    if recipe.start.is_instance and not scenes.teacher:
        raise InputError(
            f"{recipe.start.architecture} finds single landslides, and labels no pixels: give a "
            "TEACHER, choose another architecture, or no scenes without labels (UNLABELLED)."
        )
    if scenes.teacher:
        load_card(scenes.teacher)  # which says in a sentence why it can't be read
    key = {
        "version": __version__, "recipe": recipe.fingerprint(), "settings": repr(job.settings),
        "teacher": digest_of(scenes.teacher) if scenes.teacher else "",
        "scenes": [_require_fit(path, recipe) for path in scenes.stacks],
    }  # fmt: skip
    with kept_folder(job.model, key, "*") as folder:
        if not job.resume:
            shutil.rmtree(folder)
            folder.mkdir()
        teacher = Path(scenes.teacher or folder / f"first{SUFFIX}")
        taught = 0.0 if scenes.teacher else 0.45
        if not scenes.teacher and (checkpoint.files_of(teacher) or not teacher.exists()):
            progress.message("First training, on what is labelled:")
            _make_first(teacher, job, description, progress.part(0, taught))
        labelled = folder / "unlabelled"
        if not (labelled / MANIFEST).exists():
            shutil.rmtree(labelled, ignore_errors=True)
            labelled.mkdir()
            labelling = progress.part(taught, taught + 0.05)
            label_scenes(
                teacher, scenes.stacks, labelled, job, description.scene_light, origin, labelling
            )
        data = scenes.joined([SampleSet.read(labelled)])
        means, deviations, _ = scaling(data, recipe.bands, recipe.start)
        progress.message(f"Training on the samples and on the scenes, labelled by {teacher.name}:")
        return making.make_model(
            replace(job, recipe=replace(recipe, data=data, mean=means, std=deviations)),
            replace(description, unlabelled=[Path(path).name for path in scenes.stacks]),
            html,
            origin,
            progress.part(taught + 0.05, 1),
        )


def _require_fit(path: str, recipe: Recipe) -> list[Any]:
    """Refuse a scene that could not be learnt from; return what tells it from a changed one."""
    wanted = _as_stored(recipe.data).resolution
    with Source.open(path, what="stack") as source:
        missing = [band for band in recipe.bands if band not in source.bands]
        if missing:
            raise InputError(
                f"The scene {path} (UNLABELLED) lacks {', '.join(missing)}, which the samples "
                f"have; it has {', '.join(source.bands)}: stack it with these bands."
            )
        if wanted and abs(source.grid.resolution / wanted - 1) > ALIKE:
            raise InputError(
                f"The scene {path} (UNLABELLED) has pixels of {source.grid.resolution:.3g} m, the "
                f"samples of {wanted:.3g} m: resample it."
            )
        return [*identity(source), *traces(source)]


def _as_stored(data: SampleSet) -> SampleSet:
    """Return samples with the pixels that they have on the disk: scenes join them there."""
    return data.finer if isinstance(data, Averaged) else data


def _make_first(first: Path, job: Job, description: Description, progress: Progress) -> None:
    """Train the model that labels; on a cancel its best so far is the run's.

    Test samples are none of its: what is measured on them is the model that comes of the run.
    """
    data = job.recipe.data
    judging = [sample for sample in data.samples if sample.split != "test"]
    recipe = replace(job.recipe, data=replace(data, samples=judging))
    try:
        making.make_model(
            replace(job, recipe=recipe, model=first, judged=False),
            description, "", NO_ORIGIN, progress,
        )  # fmt: skip
    except SystemExit:
        if first.exists():
            with whole_file(job.model) as model:
                shutil.copyfile(first, model)
            progress.message(f"It is kept as {job.model}.")
        raise


@dataclass(frozen=True)
class _Mapped:
    """A scene that a model has mapped.

    Attributes:
        stack: what it is opened by.
        sure: raster of the model's probability.
        card: bands, means and deviations of the samples, in the units and the light of the scene.
        scaling: of the bands, where they are read otherwise than the file declares.
    """

    stack: Stack
    sure: Path
    card: ModelCard
    scaling: dict[str, Scaling]

    def labels(self, window: Window) -> NDArray[np.uint16]:
        """Return landslides, numbered, 0 where there is ground, and what is not sure as unknown."""
        with Source.open(str(self.sure), need_crs=False) as source:
            (probability,), (valid,) = source.read(window, source.bands[:1])
        landslide, ground = valid & (probability >= LANDSLIDE), valid & (probability <= GROUND)
        numbers, _ = label(landslide, _EIGHT_NEIGHBOURS)
        return np.where(landslide | ground, numbers, UNKNOWN).astype(np.uint16)


def label_scenes(
    teacher: Path,
    stacks: Sequence[str],
    folder: Path,
    job: Job,
    scene_light: bool,
    origin: Provenance,
    progress: Progress,
) -> None:
    """Write samples of scenes, labelled by a model where it is sure.

    Args:
        teacher: the model's file.
        stacks: the scenes, each with a light of its own.
        folder: an empty one.
        job: what is trained on labelled samples, whose units and light the new ones get.
        scene_light: whether these samples' light says nothing, so that scenes are brought to it.
        origin: what the samples tell of the run.
        progress: told of each scene.

    Raises:
        InputError: a scene can't be read, or the model is sure of no tile.
        ModelFileError: the teacher is no model of pixels, or a scene lacks its bands.
    """
    recipe, data = job.recipe, _as_stored(job.recipe.data)
    ours = replace(
        load_card(teacher), bands=recipe.bands, mean=recipe.mean, std=recipe.std,
        units=data.units_of(recipe.bands),
        scene=light_of(data, recipe.bands) if scene_light else {},
    )  # fmt: skip
    mapping, cutting = progress.part(0, 0.9), progress.part(0.9, 1)
    tiles: list[tuple[_Mapped, Window]] = []
    for number, (path, part) in enumerate(zip(stacks, mapping.parts(len(stacks)), strict=True)):
        sure = folder / f"probability_{number}.tif"
        mapped = _mapped(teacher, path, sure, ours, job.settings.device, part)
        tiles += ((mapped, window) for window in _windows(mapped, data))
    if not tiles:
        raise InputError(
            f"The model {teacher.name} is sure of half a tile nowhere in the scenes (UNLABELLED) "
            "where there are no samples: give others, more like what it has learnt, or none."
        )
    writer = SampleWriter(folder, ours.bands, units=ours.units, tags=origin.tags())
    chosen = _choice(tiles, len(data.of_split("train")), job.settings.seed)
    for mapped, window in cutting.track(chosen, len(chosen)):
        _write(writer, mapped, window, ours)
    written = writer.finish(
        split="labelled by a model", seed=job.settings.seed, tile_size=data.tile_size,
        resolution=data.resolution, crs=None, sources=list(stacks), progress=progress,
    )  # fmt: skip
    if not written.imbalance:
        progress.warning(
            f"The model {teacher.name} calls nothing landslide in what it is sure of in the scenes "
            "(UNLABELLED), so that they teach that all there is ground: give others if they hold "
            "landslides, or a TEACHER that finds them."
        )


def _mapped(
    teacher: Path, path: str, sure: Path, ours: ModelCard, device: torch.device, progress: Progress
) -> _Mapped:
    """Map a scene, and fit the samples' units and light to it as those of a model."""
    [scene] = decide([str(teacher)], [path], Wishes(device=device), progress.part(0, 0.3))
    map_scene(scene, Outputs(str(sure)), progress.part(0.3, 1))
    with scene.stack.open() as source:
        fitted = fit_card(ours, source, Progress())
        return _Mapped(scene.stack, sure, fitted, dict(source.scaling))


def _windows(mapped: _Mapped, data: SampleSet) -> Iterator[Window]:
    """Yield the windows of a scene of which the model is sure of half or more.

    Ground that samples were cut from is left out: it has labels, or judges.
    """
    with mapped.stack.open() as source:
        width, height, side = source.grid.width, source.grid.height, data.tile_size
    path = Path(mapped.stack.path).resolve()
    cut = [one for one in data.samples if Path(one.source).resolve() == path]
    tree = shapely.STRtree([outline(one) for one in cut])
    for top in _starts(height, side):
        for left in _starts(width, side):
            window = Window(left, top, min(side, width), min(side, height))
            box = shapely.box(left, top, left + window.width, top + window.height)
            if not len(tree.query(box, "intersects")) and is_mostly_labelled(mapped.labels(window)):
                yield window


def _starts(length: int, side: int) -> Sequence[int]:
    return [0] if length <= side else [int(start) for start in offsets(length, side, side)]


def _choice(tiles: Sequence[T], most: int, seed: int) -> list[T]:
    """Return all tiles, or as many as may be, drawn at random."""
    if len(tiles) <= most:
        return list(tiles)
    drawn = np.random.default_rng(seed).choice(len(tiles), most, replace=False)
    return [tiles[index] for index in sorted(drawn)]


def _write(writer: SampleWriter, mapped: _Mapped, window: Window, ours: ModelCard) -> None:
    """Write a tile with its values brought to the units and the light of the samples."""
    fitted = mapped.card
    with mapped.stack.open() as source:
        source.scaling.update(mapped.scaling)
        values, valid = source.read(window, ours.bands)
        transform, crs, path = source.grid.window_transform(window), source.grid.crs, source.path
    gain, mean, wanted = (
        np.array(numbers, np.float32)[:, np.newaxis, np.newaxis]
        for numbers in (np.divide(ours.std, fitted.std), fitted.mean, ours.mean)
    )
    writer.add(
        (values - mean) * gain + wanted,
        valid,
        mapped.labels(window),
        split="train",
        source=path,
        window=(int(window.col_off), int(window.row_off), int(window.width), int(window.height)),
        labels_from="a model",
        crs=crs,
        transform=transform,
    )
