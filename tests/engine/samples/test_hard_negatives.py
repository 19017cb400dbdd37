"""Background that an earlier map took for landslide."""

import numpy as np
import pytest
from rasterio.transform import from_origin

from .conftest import LEFT, PIXEL, TOP, make

FALSE_ALARMS = [(48, 48), (48, 112), (112, 48), (112, 112), (176, 48), (64, 176)]


@pytest.fixture
def alarms(make_raster):
    """False alarms in six places without landslide (and on landslides, where they are right)."""
    values = np.zeros((256, 256), np.float32)
    for column, row in FALSE_ALARMS:
        values[row : row + 8, column : column + 8] = 0.9
    values[28:34, 28:34] = 0.9
    values[200:, 200:] = -9999
    return make_raster("alarms.tif", values, nodata=-9999)


def test_background_with_false_alarms_is_drawn_for_training(tmp_path, stack, landslides, alarms):
    options = {"tile_size": 16, "stride": 16, "split": "random", "background": 2}
    events = []
    _, written = make(tmp_path / "0.5", stack, landslides, events, hard_negatives=alarms, **options)
    hard = [sample.window[:2] for sample in written.samples if sample.kind == "hard background"]
    assert 3 <= len(hard) <= 6  # those of the windows with false alarms that are for training
    assert set(hard) <= set(FALSE_ALARMS)
    kinds = [sample.kind for sample in written.of_split("train")]
    assert kinds.count("background") + len(hard) == 2 * kinds.count("landslide")
    assert any(f"{len(hard)} of" in event.get("text", "") for event in events)


def test_alarms_on_another_grid_are_none_where_their_band_is_nodata(
    tmp_path, stack, landslides, make_raster
):
    """Their second band is known everywhere; nodata, a high number here, is no alarm."""
    values = np.zeros((256, 256), np.float32)
    for column, row in FALSE_ALARMS:
        values[row : row + 8, column : column + 8] = 0.9
    values[:, 200:] = values[200:] = 9999
    shifted = from_origin(LEFT + 3, TOP - 3, PIXEL, PIXEL)
    alarms = make_raster(
        "alarms.tif", np.stack([values, 0 * values]), nodata=9999, transform=shifted
    )
    events = []
    _, written = make(
        tmp_path, stack, landslides, events, hard_negatives=alarms, tile_size=16, stride=16,
        split="random", background=2,
    )  # fmt: skip
    assert any("2 bands of" in event.get("text", "") for event in events)
    hard = {sample.window[:2] for sample in written.samples if sample.kind == "hard background"}
    assert hard and hard <= set(FALSE_ALARMS)


def test_where_alarms_are_many_the_share_of_them_is_kept(tmp_path, stack, landslides, make_raster):
    high = make_raster("high.tif", np.tile(np.linspace(0, 1, 256, dtype=np.float32), (256, 1)))
    _, written = make(
        tmp_path, stack, landslides, hard_negatives=high, hard_threshold=0.6, hard_share=0.25,
        tile_size=16, stride=8, split="random",
    )  # fmt: skip
    kinds = [sample.kind for sample in written.of_split("train")]
    assert kinds.count("hard background") == round(0.25 * kinds.count("landslide"))
    columns = [sample.window[0] for sample in written.samples if sample.kind == "hard background"]
    assert min(columns) > 0.6 * 256 - 16
    others = {sample.kind for name in ("validation", "test") for sample in written.of_split(name)}
    assert others == {"landslide", "background"}
