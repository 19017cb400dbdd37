"""Real landslides (Kashmir 2005) rasterised on the DEM's grid of 28.6 m and vectorised again."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inventory.measures import extents, measures
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from rasterio.features import rasterize
from scipy.ndimage import label


@pytest.fixture(scope="module")
def kashmir(data_dir, tmp_path_factory):
    """The originals, their mask, and the inventory made of it."""
    folder = tmp_path_factory.mktemp("kashmir")
    with rasterio.open(data_dir / "kashmir" / "AW3D30.tif") as dem:
        profile = {**dem.profile, "count": 1}
        elevation = dem.read(1).astype("float32")
    truth = gpd.read_file(data_dir / "kashmir" / "landslides.shp").to_crs(profile["crs"])
    grid = {"out_shape": elevation.shape, "transform": profile["transform"]}
    mask = rasterize(truth.geometry, dtype="uint8", **grid)
    for name, values in (("mask", mask), ("factors", elevation)):
        kind = {"dtype": values.dtype, "nodata": None, "driver": "GTiff"}
        with rasterio.open(folder / f"{name}.tif", "w", **{**profile, **kind}) as dataset:
            dataset.write(values, 1)
            dataset.set_band_description(1, "elevation" if name == "factors" else name)
    output = str(folder / "inventory.gpkg")
    vectorize(
        input=str(folder / "mask.tif"),
        output=output,
        factors=str(folder / "factors.tif"),
        progress=Progress(),
    )
    return truth, mask, elevation, grid, gpd.read_file(output, layer=0)


def test_there_is_one_polygon_for_each_patch_of_pixels(kashmir):
    truth, mask, _, grid, frame = kashmir
    assert len(truth) == 3819
    assert len(frame) == label(mask)[1]
    assert frame.is_valid.all()
    pixel = abs(grid["transform"].a * grid["transform"].e)
    assert frame.geometry.area.sum() == pytest.approx(mask.sum() * pixel, rel=1e-9)
    assert frame.area_m2.sum() == pytest.approx(mask.sum() * pixel, rel=1e-3)


def test_landslides_keep_their_area_but_for_those_smaller_than_a_pixel(kashmir):
    """All together 0.4 % too small, which is chance: on shifted grids it is -0.4 to 0.9 %.

    Of 3819 about 1068, with 4 % of the area, hold no pixel's centre and are lost. As small ones
    that do hold one become a whole pixel, the area is kept on average, but comparing only what is
    found again makes landslides look 3 % too large.
    """
    truth, mask, _, grid, _ = kashmir
    pixel = abs(grid["transform"].a * grid["transform"].e)
    assert mask.sum() * pixel == pytest.approx(truth.union_all().area, rel=0.01)
    near, _ = truth.sindex.query(truth.geometry, predicate="dwithin", distance=60)
    alone = truth[np.bincount(near) == 1]
    assert len(alone) > 1000
    numbers = rasterize(
        zip(alone.geometry, range(1, len(alone) + 1), strict=True), dtype="int32", **grid
    )
    area = np.bincount(numbers.ravel(), minlength=len(alone) + 1)[1:] * pixel
    original = alone.geometry.area.to_numpy()
    lost = area == 0
    assert area.sum() == pytest.approx(original.sum(), rel=0.01)
    assert 0.02 < original[lost].sum() / original.sum() < 0.06
    assert 0.03 < area.sum() / original[~lost].sum() - 1 < 0.05


def test_a_polygon_has_the_area_of_its_pixels(kashmir):
    """To the last digit in the plane; nothing is added by tracing."""
    _, mask, _, grid, frame = kashmir
    pixel = abs(grid["transform"].a * grid["transform"].e)
    patches, count = label(mask)
    inside = frame.geometry.representative_point()
    column, row = ~grid["transform"] * (inside.x.to_numpy(), inside.y.to_numpy())
    patch = patches[row.astype(int), column.astype(int)]
    assert sorted(patch) == list(range(1, count + 1))
    np.testing.assert_allclose(
        frame.geometry.area, np.bincount(patches.ravel())[patch] * pixel, rtol=1e-9
    )


def test_terrain_is_that_of_the_pixels(kashmir):
    _, _, elevation, grid, frame = kashmir
    numbers = rasterize(zip(frame.geometry, frame.id, strict=True), dtype="int32", **grid)
    for number in frame.id[::97]:
        heights = elevation[numbers == number]
        row = frame[frame.id == number].iloc[0]
        assert (row.elev_min, row.elev_max) == (heights.min(), heights.max())
        assert row.relief_m == row.elev_max - row.elev_min


def test_areas_and_lengths_in_degrees_are_those_in_metres(kashmir):
    *_, frame = kashmir
    in_degrees = frame.to_crs(4326)
    area, _ = measures(in_degrees.geometry.to_numpy(), in_degrees.crs)
    np.testing.assert_allclose(area, frame.area_m2, rtol=1e-3)
    direction = np.full(len(frame), np.nan)
    length, width = extents(in_degrees.geometry.to_numpy(), in_degrees.crs, direction)
    np.testing.assert_allclose(length * width, frame.length_m * frame.width_m, rtol=2e-3)
