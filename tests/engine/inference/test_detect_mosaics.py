"""Detection on mosaics of real Bijie images (Ji et al. 2020) whose landslides cross windows.

The network is a stand-in that knows the true outlines and errs by a pixel: what is tested is what
the windows' answers become.
"""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import detect_command
from landslide_mapper.landslide_plugin.inference.detect_command import detect
from landslide_mapper.landslide_plugin.inference.instances import Detections, Merger
from landslide_mapper.landslide_plugin.inference.tiling import Tiling
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import LoadedModel
from PIL import Image
from rasterio.features import rasterize
from rasterio.transform import from_origin
from scipy.ndimage import binary_dilation, binary_erosion, label

SIZE, OVERLAP, SIDE, PIXEL = 128, 0.25, 416, 0.8
CARD = ModelCard(
    name="bijie",
    architecture="mask_rcnn",
    arguments={},
    task="instance-segmentation",
    bands=["red", "green", "blue", "truth"],
    mean=[0.0] * 4,
    std=[1.0] * 4,
    resolution=PIXEL,
    tile_size=SIZE,
    classes=["background", "landslide"],
)
TRANSFORM = from_origin(500000, 3000000, PIXEL, PIXEL)


class AlmostRight(torch.nn.Module):
    """Finds each true landslide; even answers are a pixel too wide, odd ones too narrow."""

    def __init__(self):
        super().__init__()
        self.scores = {}
        self.windows = {}

    def forward(self, images):
        truth = images[0][3].numpy().astype(int)
        masks, scores = [], []
        for number in np.unique(truth[truth > 0]):
            seen = self.windows.setdefault(int(number), 0)
            self.windows[int(number)] += 1
            part = max(
                (piece == i + 1 for piece, n in [label(truth == number)] for i in range(n)),
                key=np.sum,
            )
            changed = (binary_erosion if seen % 2 else binary_dilation)(part)
            masks.append(changed)
            scores.append(min(0.5 + float(part.sum()) / 10000, 0.99))
            self.scores.setdefault(int(number), []).append(scores[-1])
        empty = np.zeros((0, *truth.shape), bool)
        stacked = np.stack(masks) if masks else empty
        return [
            {"masks": torch.from_numpy(stacked)[:, None].float(), "scores": torch.tensor(scores)}
        ]


@pytest.fixture
def mosaic(data_dir, make_raster):
    """Landslides of which one lies in one window, one crosses two, one four, one more."""
    step = Tiling((SIDE, SIDE), SIZE, OVERLAP).rows[1].start
    seam = (step + SIZE) // 2
    positions = {
        "ls_0013": (60, 60),
        "ls_0000": (60, seam + step),
        "ls_0012": (seam + step, seam),
        "ls_0003": (250, 270),
    }
    rng = np.random.default_rng(0)
    image = rng.integers(60, 120, (4, SIDE, SIDE)).astype("float32")
    truth = np.zeros((SIDE, SIDE), int)
    for number, (name, (row, col)) in enumerate(positions.items(), start=1):
        pixels = np.array(Image.open(data_dir / "bijie" / "images" / f"{name}.jpg"))
        mask = np.array(Image.open(data_dir / "bijie" / "masks" / f"{name}.png")) > 0
        rows, cols = np.nonzero(mask)
        top, left = row - int(rows.mean()), col - int(cols.mean())
        for y, x in np.ndindex(mask.shape):
            if 0 <= top + y < SIDE and 0 <= left + x < SIDE and not truth[top + y, left + x]:
                image[:3, top + y, left + x] = pixels[y, x]
                truth[top + y, left + x] = number * mask[y, x]
    image[3] = truth
    path = make_raster("mosaic.tif", image, transform=TRANSFORM, bands=CARD.bands)
    return path, truth


def test_a_landslide_over_several_windows_is_one_polygon_with_one_score(
    mosaic, tmp_path, monkeypatch
):
    path, truth = mosaic
    network = AlmostRight()
    monkeypatch.setattr(detect_command, "load_model", lambda path: LoadedModel(network, CARD))
    output, mask = str(tmp_path / "o.gpkg"), str(tmp_path / "m.tif")
    result = detect(
        stack=path, model="m", output=output, mask=mask, tile_size=SIZE, overlap=OVERLAP,
        device="cpu", progress=Progress(),
    )  # fmt: skip
    values = gpd.read_file(output)
    assert result["count"] == len(values) == 4
    assert values.geom_type.eq("Polygon").all() and values.is_valid.all()
    seen_by = []
    for number in range(1, 5):
        mine = truth == number
        shares = [overlap(polygon, mine) for polygon in values.geometry]
        best = int(np.argmax(shares))
        assert shares[best] > 0.8, shares
        assert values.score[best] == pytest.approx(max(network.scores[number]))
        assert values.area_m2[best] == pytest.approx(mine.sum() * PIXEL**2, rel=0.2)
        seen_by.append(len(network.scores[number]))
    assert seen_by[0] == 1 and seen_by[1] >= 2 and seen_by[2] >= 4 and seen_by[3] >= 6
    with rasterio.open(mask) as dataset:
        marked = dataset.read(1)
        assert (dataset.dtypes[0], dataset.nodata) == ("uint8", 255)
        assert dataset.tags(1)["class_1"] == "landslide"
    np.testing.assert_array_equal(marked, burnt(values.geometry))


def test_the_area_cuts_landslides_and_the_mask(mosaic, tmp_path, monkeypatch):
    path, _ = mosaic
    monkeypatch.setattr(detect_command, "load_model", lambda path: LoadedModel(AlmostRight(), CARD))
    left, top = TRANSFORM * (0, 0)
    half = shapely.box(left, top - SIDE * PIXEL, left + 200 * PIXEL, top)
    area = tmp_path / "area.gpkg"
    gpd.GeoSeries([half], crs="EPSG:32632").to_file(area)
    output, mask = str(tmp_path / "o.gpkg"), str(tmp_path / "m.tif")
    detect(
        stack=path,
        model="m",
        output=output,
        mask=mask,
        area=str(area),
        tile_size=SIZE,
        device="cpu",
        progress=Progress(),
    )
    result = gpd.read_file(output)
    assert len(result) >= 2 and result.within(half.buffer(1e-6)).all()
    with rasterio.open(mask) as dataset:
        marked = dataset.read(1)
    assert (marked[:, 200:] == 255).all() and (marked[:, :200] < 2).all()


def test_open_landslides_are_those_of_the_present_windows():
    """However high the raster, what is compared stays as little."""
    merger, open_ones, whole = Merger(), [], []
    for row in range(0, 96 * 200, 96):
        whole.append(merger.finished_above(row))
        for col in range(0, 480, 96):
            boxes = shapely.box([col + 35, col + 70], row + 40, [col + 60, col + 90], row + 80)
            frame = [[col, row, col + 128, row + 128]] * 2
            merger.add(Detections(boxes, np.array([0.6, 0.9]), np.array(frame, float)))
        open_ones.append(sum(map(len, merger._open)))
    whole.append(merger.finished_above(None))
    assert max(open_ones) <= 20
    assert sum(map(len, whole)) == 200 * 10


def overlap(polygon, mask):
    mine = burnt([polygon]).astype(bool)
    return (mine & mask).sum() / (mine | mask).sum()


def burnt(polygons):
    return rasterize(polygons, (SIDE, SIDE), transform=TRANSFORM, dtype="uint8")
