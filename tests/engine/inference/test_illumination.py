"""A scene is brought to the light that a model was trained in, as a whole."""

from dataclasses import replace

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.light import Lattice, fit_to_scene
from landslide_mapper.landslide_plugin.raster import Grid, Source
from landslide_mapper.landslide_plugin.raster.declared import Scaling
from landslide_mapper.landslide_plugin.raster.undeclared import mark_fill
from landslide_mapper.models.model_card import ModelCard

CARD = ModelCard(
    name="m", architecture="compact_unet", arguments={}, task="semantic-segmentation",
    bands=["red", "green"], mean=[50.0, 60.0], std=[20.0, 10.0], resolution=10.0, tile_size=64,
    classes=["background", "landslide"], scene={"low": [10.0, 40.0], "high": [110.0, 90.0]},
)  # fmt: skip


def scaled(values, card):
    mean, std = (np.array(part)[:, None, None] for part in (card.mean, card.std))
    return (values - mean) / std


def test_offset_and_gain_of_a_sensor_do_not_matter(make_raster):
    """Reflectance times 10000 with haze gives the network what the 8-bit image gives it."""
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (2, 60, 70)).astype(np.float32)
    hazy = image * np.float32(12.5) + 800
    seen = []
    for name, values in (("a.tif", image), ("b.tif", hazy)):
        with Source.open(make_raster(name, values, bands=CARD.bands)) as source:
            seen.append(scaled(values, fit_to_scene(CARD, [source], Progress())))
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-4)


def test_percentiles_come_to_lie_where_the_training_had_them(make_raster):
    image = np.random.default_rng(1).normal(1000, 100, (2, 200, 100)).astype(np.float32)
    with Source.open(make_raster("a.tif", image, bands=CARD.bands)) as source:
        z = scaled(image, fit_to_scene(CARD, [source], Progress()))
    result = z * np.array(CARD.std)[:, None, None] + np.array(CARD.mean)[:, None, None]
    low, high = np.percentile(result, (2, 98), axis=(1, 2))
    np.testing.assert_allclose(low, CARD.scene["low"], atol=0.1)
    np.testing.assert_allclose(high, CARD.scene["high"], atol=0.1)


def test_nodata_has_no_say(make_raster):
    image = np.random.default_rng(1).uniform(100, 200, (2, 50, 50)).astype(np.float32)
    image[:, :20] = -9999
    with Source.open(make_raster("a.tif", image, bands=CARD.bands, nodata=-9999)) as source:
        card = fit_to_scene(CARD, [source], Progress())
    assert min(card.mean) > 0


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("height", [7, 60])
def test_pixels_are_taken_while_fill_is_searched_for_as_they_are_read_after(
    make_raster, monkeypatch, step, height
):
    """Also where they turn out to be fill, and are scaled."""
    image = np.random.default_rng(1).integers(5, 250, (3, 60, 70)).astype(np.uint16)
    image[:, :, :8], image[:, 20:30, 30] = 0, 65535
    path = make_raster("a.tif", image, bands=["blue", *CARD.bands], nodata=65535)
    monkeypatch.setattr(Grid, "rows_within", lambda *_: height)
    with Source.open(path) as source:
        lattice = Lattice(CARD.bands, step)
        mark_fill([source], "auto", Progress(), seen=lattice.see)
        source.scaling["green"] = Scaling(0.5, 3)
        after = Lattice(CARD.bands, step).pixels(source, ["green"], Progress())
        monkeypatch.delattr(Source, "read_some")
        taken = lattice.pixels(source, ["green"], Progress())
    assert source.fill and np.array_equal(np.sort(taken), np.sort(after))
    if step == 1:
        assert taken.shape[1] == 62 * 60 - 10 and taken.min() >= 5.5


def test_bands_that_need_no_search_are_read(make_raster):
    image = np.random.default_rng(1).integers(5, 250, (2, 60, 70)).astype(np.uint8)
    with Source.open(make_raster("a.tif", image, bands=["aspect", "slope"])) as source:
        lattice = Lattice(["slope"], 1)
        mark_fill([source], "auto", Progress(), seen=lattice.see)
        taken = lattice.pixels(source, ["slope"], Progress())
    assert np.array_equal(np.sort(taken), np.sort(image[1].reshape(1, -1)))


def test_models_of_absolute_values_are_left_alone(make_raster):
    plain = replace(CARD, scene={})
    with Source.open(make_raster("a.tif", np.ones((2, 9, 9)), bands=CARD.bands)) as source:
        assert fit_to_scene(plain, [source], Progress()) is plain


def test_a_constant_band_is_named(make_raster):
    image = np.random.default_rng(1).uniform(1, 2, (2, 20, 20)).astype(np.float32)
    image[1] = 5
    with (
        Source.open(make_raster("a.tif", image, bands=CARD.bands)) as source,
        pytest.raises(InputError, match="green hardly varies"),
    ):
        fit_to_scene(CARD, [source], Progress())


def test_the_card_keeps_the_range_and_refuses_a_wrong_one():
    assert ModelCard.from_item(CARD.to_item()).scene == CARD.scene
    with pytest.raises(ValueError, match="low and high"):
        replace(CARD, scene={"low": [1.0], "high": [2.0]})
