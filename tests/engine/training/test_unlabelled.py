"""Learning from scenes without labels: what a first model is sure of, a second one learns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError, ModelFileError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.training import making, unlabelled
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.model_file import load_card
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter

pytestmark = pytest.mark.usefixtures("one_thread", "narrow")
SETTINGS: dict[str, Any] = {
    "architecture": "compact_unet", "backbone": "light", "augmentation": [], "batch_size": 4,
    "epochs": 30, "learning_rate": 0.02, "device": "cpu", "averaging": 0.0, "seed": 1,
}  # fmt: skip


@pytest.fixture
def make_scene(tmp_path):
    """Return a function that writes a scene like the samples, and returns where its blobs are."""

    def make(name="scene.tif", shape=(64, 96), gain=1.0, level=0.0, pixel=10.0, **change):
        bands = change.get("bands", ("ndvi", "slope"))
        rng = np.random.default_rng(3)
        surface = gaussian_filter(rng.normal(size=shape), 4)
        landslide = surface > np.quantile(surface, 0.8)
        layers = [100 + 50 * landslide + rng.normal(0, 10, shape) for _ in bands]
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", dtype="float32", count=len(bands), nodata=-9999,
            height=shape[0], width=shape[1], crs="EPSG:32632",
            transform=from_origin(500000, 5000000, pixel, pixel),
        ) as output:  # fmt: skip
            output.write((level + gain * np.stack(layers)).astype(np.float32))
            output.descriptions = bands
        return str(tmp_path / name), landslide

    return make


@pytest.fixture
def run(tmp_path):
    """Return a function that trains, and returns the model and what was said."""

    def trained(samples, scenes, hear=lambda text: None, **change):
        said = []

        def told(event):
            said.append(event.get("text", ""))
            hear(said[-1])

        model = tmp_path / "model.safetensors"
        train(
            samples=samples, model=str(model), unlabelled=scenes, **{**SETTINGS, **change},
            progress=Progress(told),
        )  # fmt: skip
        return model, said

    return trained


@pytest.fixture
def labelled(monkeypatch):
    """Return what the second trainings are given beside the samples, patch by patch."""
    patches = []
    make = making.make_model

    def make_model(job, *arguments):
        data = job.recipe.data
        if data.further:
            patches.append([data.load(one) for one in data.samples if one.id.startswith("1/")])
        return make(job, *arguments)

    monkeypatch.setattr(making, "make_model", make_model)
    return patches


def left_by(model):
    return {path.name for path in model.parent.glob(".*")}


def test_what_the_first_model_is_sure_of_is_learnt_beside_the_samples(
    make_samples, make_scene, run, labelled
):
    scene, landslide = make_scene()
    model, said = run(make_samples(test=3), [scene])
    card = load_card(model)
    assert card.training["unlabelled"] == ["scene.tif"]
    assert card.training["train_samples"] == 12 + 6 and card.training["validation_samples"] == 4
    patches, corners = labelled[0], [(row, col) for row in (0, 32) for col in (0, 32, 64)]
    for (values, valid, labels), (row, col) in zip(patches, corners, strict=True):
        truth, known = landslide[row : row + 32, col : col + 32], labels != 65535
        assert valid.all() and known.mean() > 0.5
        assert ((labels > 0) == truth)[known].mean() > 0.97
        assert values[:, truth].mean() > 130 > values[:, ~truth].mean()
    first = said.index("First training, on what is labelled:")
    second = said.index("Training on the samples and on the scenes, labelled by first.safetensors:")
    (tested,) = [at for at, text in enumerate(said) if text.startswith("On the 3 test samples")]
    assert first < second < tested and not left_by(model)


def test_a_scene_is_brought_to_the_light_of_the_samples(make_samples, make_scene, run, labelled):
    samples = make_samples(bands=("red", "green"))
    for gain, level in ((1.0, 0.0), (7.0, 3000.0)):
        scene, _ = make_scene(gain=gain, level=level, bands=("red", "green"))
        run(samples, [scene], scene_light=True)
    for (values, _, labels), (others, _, same) in zip(*labelled, strict=True):
        np.testing.assert_allclose(values, others, atol=0.02)
        assert (labels == same).mean() > 0.999


def test_a_teacher_labels_instead_of_a_first_training(
    make_samples, make_scene, run, labelled, tmp_path
):
    """It knows one band of two, of other numbers; what is learnt has the samples' own."""
    other = make_samples("other", bands=("slope",))
    teacher = tmp_path / "teacher.safetensors"
    train(samples=other, model=str(teacher), **SETTINGS, progress=Progress())
    scene, landslide = make_scene()
    model, said = run(make_samples(), [scene], teacher=str(teacher))
    assert not any(text.startswith("First training") for text in said) and not left_by(model)
    values, _, labels = labelled[0][0]
    assert values.shape == (2, 32, 32) and set(load_card(model).bands) == {"slope", "ndvi"}
    assert ((labels > 0) == landslide[:32, :32])[labels != 65535].mean() > 0.97
    with pytest.raises(ModelFileError, match="lacks slope, which the model teacher wants"):
        run(make_samples("red", bands=("red",)), [make_scene(bands=("red",))[0]],
            teacher=str(teacher))  # fmt: skip


def test_scenes_give_no_more_patches_than_are_labelled(make_samples, make_scene, run, labelled):
    run(make_samples(train=4), [make_scene(shape=(128, 128))[0], make_scene("b.tif")[0]])
    assert len(labelled[0]) == 4


def test_scenes_have_a_weight_after_those_of_the_folders(make_samples, make_scene, run):
    for weights, told in (([], [1.0, 1.0]), ([2.0], [2.0, 1.0]), ([2.0, 5.0], [2.0, 5.0])):
        model, _ = run(make_samples(f"s{len(weights)}"), [make_scene()[0]], samples_weights=weights)
        assert load_card(model).training["samples_weights"] == told
    with pytest.raises(InputError, match="3 weights are given for 1 folders"):
        run(make_samples("more"), [make_scene()[0]], samples_weights=[1.0, 2.0, 3.0])


def test_ground_that_samples_were_cut_from_is_left_out(make_samples, make_scene, run, labelled):
    """The samples are all of the scene's first tile, by name."""
    folder, (scene, _) = make_samples(), make_scene()
    manifest = Path(folder) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"synthetic"', json.dumps(scene)))
    run(folder, [scene])
    assert len(labelled[0]) == 5
    run(folder, [make_scene("other.tif")[0]])
    assert len(labelled[1]) == 6


def test_scenes_are_averaged_as_the_samples_are(make_samples, make_scene, run, labelled):
    model, _ = run(make_samples(), [make_scene()[0]], resolution=20.0)
    assert load_card(model).resolution == 20
    assert [labels.shape for _, _, labels in labelled[0]] == [(16, 16)] * 6


def test_a_scene_smaller_than_a_tile_is_one_patch(make_samples, make_scene, run, labelled):
    run(make_samples(), [make_scene(shape=(24, 20))[0]])
    assert [labels.shape for _, _, labels in labelled[0]] == [(24, 20)]


def test_a_run_that_is_broken_off_goes_on_after_its_first_model(make_samples, make_scene, run):
    def killed(text):
        if "labelled by first" in text:
            raise KeyboardInterrupt

    samples, scene = make_samples(), make_scene()[0]
    with pytest.raises(KeyboardInterrupt):
        run(samples, [scene], killed)
    model, said = run(samples, [scene])
    assert not any(text.startswith("First training") for text in said) and not left_by(model)
    once, again = model.read_bytes(), run(samples, [scene], resume=False)
    assert any(text.startswith("First training") for text in again[1])
    weights = [content[-2000:] for content in (once, model.read_bytes())]
    assert weights[0] == weights[1]


def test_a_cancel_in_the_first_training_keeps_its_model(make_samples, make_scene, run):
    def canceled(text):
        if text.startswith("Epoch 2"):
            raise SystemExit(143)

    samples, scene = make_samples(), make_scene()[0]
    with pytest.raises(SystemExit):
        run(samples, [scene], canceled)
    assert load_card(Path(samples).parent / "model.safetensors").training["best_epoch"] in (1, 2)
    model, said = run(samples, [scene])
    assert any(text.startswith("First training") for text in said)
    assert any("Going on" in text for text in said) and not left_by(model)


UNFIT: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "teacher": ({}, {"teacher": "nowhere.safetensors"}, "nowhere.safetensors"),
    "bands": ({"bands": ("slope",)}, {}, r"scene.tif \(UNLABELLED\) lacks ndvi"),
    "pixels": ({"pixel": 12.0}, {}, "has pixels of 12 m, the samples of 10 m: resample it"),
    "objects": ({}, {"architecture": "mask_rcnn", "backbone": ""}, "finds single landslides"),
}


@pytest.mark.parametrize(("scene", "settings", "message"), UNFIT.values(), ids=list(UNFIT))
def test_what_can_not_be_learnt_from_is_refused_first(
    make_samples, make_scene, run, scene, settings, message
):
    said = []
    with pytest.raises((InputError, ModelFileError), match=message):
        run(make_samples(), [make_scene(**scene)[0]], said.append, **settings)
    assert not any("training, on" in text for text in said)


def test_a_model_that_finds_nothing_is_warned_of(make_samples, make_scene, run, monkeypatch):
    monkeypatch.setattr(unlabelled, "LANDSLIDE", 2.0)
    _, said = run(make_samples(), [make_scene()[0]])
    assert any("calls nothing landslide in what it is sure of" in text for text in said)


def test_a_teacher_without_scenes_is_told(make_samples, run):
    with pytest.raises(InputError, match=r"none are given \(UNLABELLED\): give some"):
        run(make_samples(), [], teacher="nowhere.safetensors")


def test_a_model_that_is_sure_of_nothing_is_told(make_samples, make_scene, run, monkeypatch):
    monkeypatch.setattr(unlabelled, "GROUND", -1.0)
    monkeypatch.setattr(unlabelled, "LANDSLIDE", 2.0)
    samples = make_samples()
    with pytest.raises(InputError, match="sure of half a tile nowhere"):
        run(samples, [make_scene()[0]])
    assert not (Path(samples).parent / "model.safetensors").exists()
