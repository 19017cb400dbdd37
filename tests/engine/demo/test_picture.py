"""The overview picture."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.demo import picture
from landslide_mapper.landslide_plugin.demo.demoarea_command import demoarea
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from rasterio.features import rasterize
from shapely import box


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """The layers of a small area; its truth is taken for probability and inventory too."""
    folder = tmp_path_factory.mktemp("picture")
    area = demoarea(folder=str(folder / "area"), size=256, progress=Progress())
    truth = gpd.read_file(area["landslides"])
    with rasterio.open(area["dem"]) as dem:
        profile = dem.profile
        chance = rasterize(truth.geometry, dem.shape, transform=dem.transform)
    with rasterio.open(folder / "probability.tif", "w", **profile) as dataset:
        dataset.write(chance.astype(np.float32), 1)
    names = ("image", "dem", "landslides", "rivers")
    return {name: area[name] for name in names} | {
        "probability": str(folder / "probability.tif"),
        "inventory": area["landslides"],
        "title": "Synthetic test area",
    }


@pytest.fixture(scope="module")
def drawn(layers, tmp_path_factory):
    """The picture of these layers, (rows, columns, 4), and its folder."""
    folder = tmp_path_factory.mktemp("drawn")
    picture.overview(folder / "overview.png", **layers)
    return imread(folder / "overview.png"), folder


def count(pixels, colour):
    """Return how many pixels have a colour, nearly."""
    return int((np.abs(pixels[..., :3] - to_rgb(colour)).max(axis=-1) < 0.08).sum())


def test_truth_inventory_and_probability_are_drawn(drawn):
    pixels, folder = drawn
    assert pixels.shape[1] > 1.5 * pixels.shape[0] > 1200
    assert count(pixels, picture._TRUE) > 500
    assert count(pixels, picture._MAPPED) > 500
    assert [path.name for path in folder.iterdir()] == ["overview.png"]


def test_an_empty_inventory_leaves_its_colour_out(layers, drawn, tmp_path):
    empty = gpd.read_file(layers["landslides"]).iloc[:0]
    empty.to_file(tmp_path / "empty.gpkg")
    picture.overview(
        tmp_path / "overview.png", **layers | {"inventory": str(tmp_path / "empty.gpkg")}
    )
    pixels = imread(tmp_path / "overview.png")
    assert count(pixels, picture._MAPPED) < 0.2 * count(drawn[0], picture._MAPPED)


def test_with_an_area_the_probability_is_cut_to_it_and_the_rest_dimmed(layers, drawn, tmp_path):
    with rasterio.open(layers["dem"]) as dem:
        left, bottom, right, top = dem.bounds
        crs = dem.crs
    east = gpd.GeoDataFrame(geometry=[box((left + right) / 2, bottom, right, top)], crs=crs)
    east.to_file(tmp_path / "east.gpkg")
    picture.overview(tmp_path / "east.png", **layers, area=str(tmp_path / "east.gpkg"))
    everything, half = drawn[0], imread(tmp_path / "east.png")
    assert half.shape[1] < 0.85 * everything.shape[1]
    west = (slice(300, 800), slice(60, 300))
    assert half[west].std() < 0.8 * everything[west].std()


def test_an_image_without_colours_is_drawn_as_hillshade(layers, tmp_path):
    picture.overview(tmp_path / "overview.png", **layers | {"image": layers["dem"]})
    pixels = imread(tmp_path / "overview.png")
    ground = pixels[300:800, 60:300, :3]
    grey = np.ptp(ground, axis=-1) < 0.02
    assert grey.mean() > 0.5


def test_a_missing_layer_is_named_and_no_picture_is_left(layers, tmp_path):
    with pytest.raises(InputError, match="inventory"):
        picture.overview(
            tmp_path / "overview.png", **layers | {"inventory": str(tmp_path / "none.gpkg")}
        )
    assert not list(tmp_path.iterdir())


def test_an_area_elsewhere_is_refused(layers, tmp_path):
    away = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10)], crs="EPSG:32632")
    away.to_file(tmp_path / "away.gpkg")
    with pytest.raises(InputError, match="outside"):
        picture.overview(tmp_path / "overview.png", **layers, area=str(tmp_path / "away.gpkg"))
    assert not (tmp_path / "overview.png").exists()


def test_a_missing_output_folder_is_refused(layers, tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        picture.overview(tmp_path / "missing" / "overview.png", **layers)
