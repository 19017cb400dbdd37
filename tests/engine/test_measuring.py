"""How the models that ship are measured, and how samples are made coarser."""

import json

import numpy as np
import pytest
import torch
from affine import Affine
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model, save_model
from landslide_mapper.models.registry import build

from experiments.shipped import rethreshold
from experiments.shipped.data import RGB, coarsened
from experiments.shipped.figures import Image, corners, count, figures, images_of, mean_of, table
from experiments.shipped.measure import (
    CONSTANT,
    PIECES,
    keep,
    look,
    measure,
    part_of,
    places_of,
)
from experiments.shipped.scenes import GAP, LAYOUTS, lay, map_images, map_mosaic


@pytest.fixture
def samples(tmp_path):
    """An image of 40 x 60 pixels of 1 m, landslide and brightness 200 in its right half."""
    (tmp_path / "set").mkdir()
    writer = SampleWriter(tmp_path / "set", RGB)
    labels = np.zeros((40, 60), np.uint16)
    labels[:, 30:] = 1
    values = np.stack([200 * labels] * 3).astype(np.uint8)
    writer.add(
        values, np.ones((40, 60), bool), labels,
        split="train", source="image", window=(0, 0, 60, 40),
        transform=Affine(1, 0, 500, 0, -1, 500),
    )  # fmt: skip
    writer.finish(
        resolution=1.0, crs=None, tile_size=40, split="none", seed=0, sources=["image"],
        before=(1200, 1200), progress=Progress(),
    )  # fmt: skip
    return SampleSet.read(tmp_path / "set")


def picture(name, truth, values=None):
    truth = np.asarray(truth, bool)
    shown = np.stack([200.0 * truth] * 3) if values is None else values
    return Image(name, shown.astype(np.float32), truth, np.ones(truth.shape, bool))


def test_a_corner_keeps_seven_tenths_of_each_side_and_is_another_from_image_to_image():
    truth = np.zeros((40, 60), bool)
    truth[:, 30:] = True
    cropped = corners([picture("a", truth)] * 20 + [picture("none", truth & False)])
    assert len(cropped) == 20 and {each.values.shape for each in cropped} == {(3, 28, 42)}
    fractions = {round(float(each.truth.mean()) * 42) for each in cropped}
    assert fractions == {12, 30}


def test_figures_are_those_that_are_known_beforehand():
    """2 of 4 landslide pixels found, 1 false; of two images without one has 1 of 10 false."""
    truth = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]], bool)
    mask = np.array([[1, 1, 0, 0, 1, 0, 0, 0, 0, 0]], bool)
    clear = np.zeros((1, 10), bool)
    sure = np.where(truth, 0.8, 0.1).astype(np.float32)
    one = np.array([[1] + 9 * [0]], bool)
    counts = [
        count(picture("a", truth), mask, sure),
        count(picture("b", clear), one, 0 * sure),
        count(picture("c", clear), clear, 0 * sure),
    ]
    result = {name: value for name, (value, _) in figures(counts, counts[:1]).items()}
    assert result["IoU"] == result["IoU on corners"] == 2 / 5
    assert result["F1 with as many without"] == pytest.approx(4 / (4 + 1.5 + 2))
    assert result["share with false area"] == 0.5
    # 4 pixels of .8 that are landslide, 6 of .1 that are none, 10 of 0
    assert result["ECE"] == pytest.approx((4 * 0.2 + 6 * 0.1) / 20)
    alone = {name: value for name, (value, _) in figures(counts[:1], counts[:1]).items()}
    assert alone["F1 with as many without"] == pytest.approx(4 / (4 + 1 + 2))
    assert np.isnan(alone["share with false area"])


def test_errors_are_those_of_drawing_images_anew():
    clear, mapped = np.zeros((1, 10), bool), np.ones((1, 10), bool)
    truth = picture("a", mapped)
    others = [count(picture("b", clear), mapped if number % 4 else clear) for number in range(400)]
    result = figures([count(truth, mapped), *others], [count(truth, mapped)])
    value, error = result["share with false area"]
    assert value == 0.75 and error == pytest.approx((0.75 * 0.25 / 400) ** 0.5, rel=0.15)
    assert result["IoU"] == (1, 0)
    assert "| x | 1.000 ± 0.000 |" in table({"x": {"IoU": result["IoU"]}})


@pytest.mark.parametrize("gap", [GAP, 0])
def test_a_scene_holds_each_image_whole_and_nothing_twice(gap):
    rng = np.random.default_rng(0)
    shapes = [(int(rng.integers(5, 60)), int(rng.integers(5, 60))) for _ in range(30)]
    images = [np.full((3, *shape), number + 1, np.float32) for number, shape in enumerate(shapes)]
    raster, corner = lay(images, gap)
    for number, ((row, col), (height, width)) in enumerate(zip(corner, shapes, strict=True)):
        assert (raster[:, row : row + height, col : col + width] == number + 1).all()
    if gap:
        assert (raster[0] > 0).sum() == sum(height * width for height, width in shapes)
    else:
        assert (raster > 0).all()


def test_where_no_image_follows_the_last_goes_on_mirrored():
    low = np.arange(1, 13, dtype=np.float32).reshape(1, 3, 4)
    raster, (high, lower) = lay([np.full((1, 9, 9), 99, np.float32), low], 0)
    assert high == (0, 0) and lower == (9, 0) and raster.shape == (1, 12, 10)
    assert raster[0, 9].tolist() == [1, 2, 3, 4, 4, 3, 2, 1, 1, 2]
    assert raster[0, :9, 9].tolist() == [99] * 9


@pytest.fixture
def small(tmp_path):
    """A network that has learnt nothing, of pixels of 1 m, with a temperature."""
    torch.manual_seed(0)
    arguments = {"widths": [4, 8], "blocks": 1, "stem": 2}
    network = build("compact_unet", 3, 2, **arguments).eval()
    card = ModelCard(
        name="bright", architecture="compact_unet", arguments=arguments,
        task="semantic-segmentation", bands=RGB, mean=[100.0] * 3, std=[10.0] * 3, resolution=1.0,
        tile_size=32, classes=["background", "landslide"], temperature=3.0, threshold=0.5,
        training={"epochs": 30, "train_samples": 1519},
    )  # fmt: skip
    save_model(tmp_path / "bright.safetensors", network, card)
    return tmp_path / "bright.safetensors", network, card


def test_single_images_are_mapped_as_by_the_network_with_its_temperature(small, tmp_path):
    path, network, card = small
    rng = np.random.default_rng(0)
    values = rng.integers(1, 255, (3, 32, 32)).astype(np.float32)
    image = picture("a", np.zeros((32, 32)), values)
    (tmp_path / "w").mkdir()
    ((sure, mask),) = map_images(path, [image], None, 1.0, tmp_path / "w")
    with torch.inference_mode():
        logits = network(torch.from_numpy((values - 100) / 10)[None])[0]
    expected = (logits / card.temperature).softmax(0)[1].numpy()
    assert np.abs(sure - expected).max() < 0.02
    assert (mask == (sure >= 0.5)).all()


def test_asked_for_turns_a_mirrored_image_is_mapped_as_the_mirrored_map(small, tmp_path):
    values = np.random.default_rng(0).integers(1, 255, (3, 32, 32)).astype(np.float32)
    maps = {}
    for tta in (False, True):
        images = [picture("a", np.zeros((32, 32)), each) for each in (values, values[..., ::-1])]
        (tmp_path / str(tta)).mkdir()
        both = map_images(small[0], images, None, 1.0, tmp_path / str(tta), tta)
        (maps[tta], _), (mirrored, _) = both
        apart = np.abs(maps[tta] - mirrored[:, ::-1]).max()
        assert apart < 0.002 if tta else apart > 0.02


def test_what_predict_leaves_without_data_counts_as_nothing_mapped(small, samples, tmp_path):
    """White all over looks like fill that nobody declared."""
    white = np.full((3, 40, 40), 255, np.float32)
    rest = np.random.default_rng(0).integers(1, 200, (3, 40, 40)).astype(np.float32)
    images = [picture("a", np.ones((40, 40)), white), picture("b", np.zeros((40, 40)), rest)]
    (tmp_path / "w").mkdir()
    (first, _) = map_images(small[0], images, GAP, 1.0, tmp_path / "w")
    assert not first[0].any() and not first[1].any()


def test_pieces_of_a_scene_are_mapped_as_the_scene(small, tmp_path):
    whole = np.random.default_rng(0).integers(1, 255, (3, 64, 64)).astype(np.float32)
    places = [(4, 7), (4, 8), (5, 7), (5, 8)]
    pieces = []
    for row, col in places:
        part = whole[:, (row - 4) * 32 :, (col - 7) * 32 :][:, :32, :32]
        pieces.append(picture(f"{row}-{col}", np.zeros((32, 32)), part))
    for folder in ("whole", "pieces", "three"):
        (tmp_path / folder).mkdir()
    scene = picture("whole", np.zeros((64, 64)), whole)
    ((expected, _),) = map_images(small[0], [scene], None, 1.0, tmp_path / "whole")
    maps = map_mosaic(small[0], pieces, places, 1.0, tmp_path / "pieces")
    assert np.abs(np.block([[maps[0], maps[1]], [maps[2], maps[3]]]) - expected).max() < 0.01
    three = map_mosaic(small[0], pieces[1:], places[1:], 1.0, tmp_path / "three")
    assert np.abs(three[2][16:, 16:] - maps[3][16:, 16:]).max() < 0.01


@pytest.fixture
def tested(tmp_path):
    """Samples split by a list: landslide in the upper half of two images, none in a third."""
    (tmp_path / "tested").mkdir()
    writer, rng = SampleWriter(tmp_path / "tested", RGB), np.random.default_rng(0)
    for name, split, rows in (("ls_0", "train", 20), ("ls_1", "test", 20), ("nls_0", "test", 0)):
        labels = np.zeros((40, 40), np.uint16)
        labels[:rows] = 1
        values = rng.integers(1, 200, (3, 40, 40)).astype(np.uint8)
        writer.add(
            values, np.ones((40, 40), bool), labels, split=split, source=f"{name}.jpg",
            window=(0, 0, 40, 40), transform=Affine(1, 0, 500, 0, -1, 500),
        )  # fmt: skip
    writer.finish(
        resolution=1.0, crs=None, tile_size=40, split="list bijie.csv", seed=0, sources=["images"],
        before=(1200, 1200), progress=Progress(),
    )  # fmt: skip
    return tmp_path / "tested"


def test_each_way_to_map_stands_beside_the_constant_mask(small, tested):
    result = measure(small[0], tested)
    assert (result["images with landslide"], result["images without"]) == (1, 1)
    assert (result["epochs"], result["training images"]) == (30, 1519)
    assert list(result["ways"]) == [*LAYOUTS, CONSTANT]
    constant = result["ways"][CONSTANT]
    assert constant["IoU"] == (1, 0) and constant["IoU on corners"][0] < 1
    assert constant["share with false area"] == (1, 0)
    assert 0 < result["ways"]["single images"]["ECE"][0] < 1
    assert [image.name for image in images_of(SampleSet.read(tested), "train")] == ["ls_0"]


def test_images_that_are_pieces_of_a_scene_are_mapped_as_that_too(
    small, tested, tmp_path, monkeypatch
):
    lines = ["file,split,scene,row,column,gain", "ls_1.jpg,test,A,7,1,1", "nls_0.jpg,test,A,7,2,1"]
    (tmp_path / "bijie.csv").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr("experiments.shipped.measure.RECIPES", tmp_path)
    assert places_of(SampleSet.read(tested), "test") == [(7, 1), (7, 2)]
    ways = measure(small[0], tested)["ways"]
    assert list(ways) == [*LAYOUTS, PIECES, CONSTANT]
    touching = ways["one scene, edge to edge"]
    for name in ("IoU", "ECE", "share with false area"):  # these two lie side by side in either
        assert ways[PIECES][name] == pytest.approx(touching[name], abs=0.02, nan_ok=True)
    assert 0 < ways[PIECES]["IoU on corners"][0] <= 1


def test_of_folds_the_mean_is_told_and_errors_of_different_images_add_up_by_squares():
    folds = [{"x": {"IoU": (0.5, 0.03)}}, {"x": {"IoU": (0.7, 0.04)}}]
    assert mean_of(folds)["x"]["IoU"] == pytest.approx((0.6, 0.025))


def test_a_fold_measured_again_takes_its_own_place_in_the_file(tmp_path):
    path = tmp_path / "figures.json"
    keep([{"part": "list 1", "looks": 0}], path)
    keep([{"part": "list 0", "looks": 0}, {"part": "list 1", "looks": 1}], path)
    folds = json.loads(path.read_text(encoding="utf-8"))["folds"]
    assert folds == [{"part": "list 0", "looks": 0}, {"part": "list 1", "looks": 1}]


def test_how_often_a_part_was_looked_at_before_is_noted(small, tested, tmp_path, monkeypatch):
    (tmp_path / "bijie.csv").write_text("file,fold\nls_0,1\nls_1,0\nnls_0,3\n", encoding="utf-8")
    monkeypatch.setattr("experiments.shipped.measure.RECIPES", tmp_path)
    log = tmp_path / "looked_at.csv"
    log.write_text("date,data,images,model,digest\n", encoding="utf-8")
    assert [look(small[0], tested, log) for _ in range(3)] == [0, 1, 2]
    assert part_of(SampleSet.read(tested), "train") == "bijie.csv 1"
    lines = log.read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == 3
    assert lines[0].split(",")[1:4] == ["bijie.csv 0 3", "2", "bright"]
    assert len({line.split(",")[4] for line in lines}) == 1 and len(lines[0].split(",")[4]) == 12
    (tmp_path / "bijie.csv").write_text("file,fold\nls_1,1\nnls_0,1\n", encoding="utf-8")
    assert look(small[0], tested, log) == 0


def test_coarsened_samples_are_the_mean_of_what_their_pixels_cover(samples, tmp_path):
    coarsened(samples, tmp_path / "anew", 4.0)
    anew = SampleSet.read(tmp_path / "anew")
    values, _, labels = anew.load(anew.samples[0])
    assert values.shape == (3, 10, 15) and anew.resolution == 4.0
    assert values[0, 5, 7] == 100 and labels[5, 7] > 0  # half of it is landslide
    assert (values[0, :, :7] == 0).all() and (values[0, :, 8:] == 200).all()


def test_a_threshold_chosen_anew_leaves_the_weights_as_they_are(small, tmp_path):
    (tmp_path / "set").mkdir()
    writer = SampleWriter(tmp_path / "set", RGB)
    rng = np.random.default_rng(0)
    for split in ("train", "validation", "validation"):
        labels = (rng.random((64, 64)) < 0.3).astype(np.uint16)
        values = np.stack([100 + 10 * labels + rng.normal(0, 9, labels.shape)] * 3)
        writer.add(
            values.astype(np.uint8), np.ones(labels.shape, bool), labels, split=split,
            source="image", window=(0, 0, 64, 64), transform=Affine(1, 0, 500, 0, -1, 500),
        )  # fmt: skip
    writer.finish(
        resolution=1.0, crs=None, tile_size=64, split="none", seed=0, sources=["image"],
        before=(1200, 1200), progress=Progress(),
    )  # fmt: skip
    _, network, card = small
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_model(before, network, card, half=True)
    assert rethreshold.main([str(before), str(tmp_path / "set"), str(after)]) == 0
    old, new = load_model(before), load_model(after)
    assert new.card.digest == old.card.digest and new.card.threshold != 0.5
    assert 0 < new.card.metrics["f1"] <= 1
