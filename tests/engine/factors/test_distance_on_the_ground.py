"""Distances in true metres on any CRS, against geodesics by pyproj."""

from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import GridError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import distance as rooms
from landslide_mapper.landslide_plugin.factors import reach
from landslide_mapper.landslide_plugin.factors.distance_command import distance
from landslide_mapper.landslide_plugin.raster import Grid
from landslide_mapper.landslide_plugin.vector.shapes import Shapes
from pyproj import CRS as ProjCRS
from pyproj import Geod, Transformer
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import from_origin

PLACES = {
    "UTM": ("EPSG:32632", 10.3, 47.2),
    "UTM far beyond its zone": ("EPSG:32632", 22.0, 47.2),
    "Web Mercator on the equator": ("EPSG:3857", 20.0, 0.1),
    "Web Mercator at 45 N": ("EPSG:3857", 10.0, 45.0),
    "Web Mercator at 60 N": ("EPSG:3857", 10.0, 60.0),
    "plate carree at 50 N": ("EPSG:4087", 10.0, 50.0),
    "degrees at 62 S": ("EPSG:4326", -58.0, -62.0),
    "grads from Paris": ("EPSG:4807", 3.0, 46.0),
    "US survey feet": ("EPSG:2263", -73.9, 40.7),
    "polar stereographic": ("EPSG:3413", -40.0, 75.0),
    "polar stereographic far from the pole": ("EPSG:3995", 20.0, 62.0),
    "British national grid": ("EPSG:27700", -3.0, 54.0),
    "equal-area at its edge": ("EPSG:3035", -24.0, 36.0),
    "world equal-area, sheared": ("EPSG:6933", 100.0, 55.0),
    "Mollweide, sheared": ("ESRI:54009", 100.0, 55.0),
    "Mercator over the south pole's coast": ("EPSG:3395", 160.0, -77.0),
}
"""A CRS, and the place, longitude and latitude, that a grid is laid round."""


def laid(place, pixel, shape=(60, 60)):
    """A grid of pixels of about so many metres round a place."""
    code, longitude, latitude = PLACES[place]
    crs = CRS.from_user_input(code)
    known = ProjCRS.from_user_input(code)
    metres = known.axis_info[0].unit_conversion_factor
    size = pixel / metres if known.is_projected else pixel / 6.37e6 / metres
    x, y = Transformer.from_crs("EPSG:4326", known, always_xy=True).transform(longitude, latitude)
    left, top = x - size * shape[1] / 2, y + size * shape[0] / 2
    return Grid(crs, from_origin(left, top, size, size), shape[1], shape[0])


def degrees(grid, x, y):
    """Longitude and latitude on the grid's own ellipsoid, and its geodesics."""
    known: Any = ProjCRS.from_user_input(grid.crs)
    base = known.geodetic_crs
    to_base = Transformer.from_crs(known, base, always_xy=True)
    factor = np.degrees(base.axis_info[0].unit_conversion_factor)
    longitude, latitude = to_base.transform(x, y)
    return np.asarray(longitude) * factor, np.asarray(latitude) * factor, known.get_geod()


def measured(shapes, grid, limit=np.inf):
    features = Shapes(shapes)
    blocks = rooms.plan_blocks(features, grid, limit)
    return np.concatenate(
        [part for _, part in rooms.stream_distance(features, grid, blocks, limit)]
    )


def true(shapes, grid, rows, columns, margin=0):
    """Geodesic from some pixels' centres to that of the nearest of all touched ones."""
    wide = Grid(
        grid.crs,
        from_origin(*grid.point(-margin, -margin), grid.transform.a, -grid.transform.e),
        grid.width + 2 * margin,
        grid.height + 2 * margin,
    )
    touched = rasterize(shapes, wide.shape, transform=wide.transform, all_touched=True)
    at = np.argwhere(touched) + 0.5
    longitude, latitude, geod = degrees(wide, *wide.point(at[:, 1], at[:, 0]))
    result = []
    for row, column in zip(rows, columns, strict=True):
        east, north, _ = degrees(grid, *grid.point(column + 0.5, row + 0.5))
        ways = geod.inv(np.full(len(at), east), np.full(len(at), north), longitude, latitude)[2]
        result.append(ways.min())
    return np.array(result)


@pytest.mark.parametrize("pixel", [5, 300, 8000])
@pytest.mark.parametrize("place", PLACES)
def test_distances_are_geodesic_on_any_crs(place, pixel):
    """Within .3 %, to a point, a line and a polygon, in the grid and outside."""
    grid = laid(place, pixel)
    shapes = [
        shapely.Point(grid.point(9.53, 50.48)),
        shapely.LineString([grid.point(-8.52, 3.41), grid.point(30.57, -6.64)]),
        shapely.Polygon([grid.point(*at) for at in ((40.1, 30.3), (52.4, 25.2), (55.3, 44.7))]),
    ]
    near = measured(shapes, grid)
    rows, columns = np.random.default_rng(0).integers(0, 60, (2, 80))
    expected = true(shapes, grid, rows, columns, margin=12)
    assert near[rows, columns] == pytest.approx(expected, rel=3e-3, abs=1e-3)
    assert expected.max() > 5 * pixel / 2.5


@settings(max_examples=60)
@example(  # one row, whose pixels are alike, but sheared
    place="Mollweide, sheared", ends=[(0, 0), (0, 1)], pixel=20, block=60, coarse=4, limit=np.inf
)
@example(  # at 45 degrees
    place="US survey feet", ends=[(-2, 0), (71, 73)], pixel=20, block=60, coarse=4, limit=np.inf
)
@example(  # sheared pixels lie closer than they are large
    place="Mollweide, sheared", ends=[(0, 0), (0, -1)], pixel=20, block=600, coarse=4, limit=30.0
)
@given(
    place=st.sampled_from(sorted(PLACES)),
    ends=st.lists(
        st.tuples(st.integers(-40, 90), st.integers(-40, 90)), min_size=2, max_size=4, unique=True
    ),
    pixel=st.sampled_from([20, 3000]),
    block=st.sampled_from([60, 600, 10**6]),
    coarse=st.sampled_from([4, 256]),
    limit=st.sampled_from([np.inf, 8.0, 30.0]),
)
def test_whatever_the_line_the_blocks_and_the_limit(place, ends, pixel, block, coarse, limit):
    grid = laid(place, pixel, (40, 50))
    # No line through pixels' corners, where rounding decides which of them it touches.
    ends = np.add(ends, (0.1371828, 0.2718281))
    shapes = [shapely.LineString([grid.point(*end) for end in ends])]
    limit *= pixel
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "_GROUND_BLOCK_PIXELS", block)
        patch.setattr(reach, "_COARSE_CELLS", coarse)
        try:
            near = measured(shapes, grid, limit)
        except GridError:  # farther than the grid's diagonal
            return
    rows, columns = np.random.default_rng(0).integers(0, 40, (2, 30))
    expected = np.minimum(true(shapes, grid, rows, columns, margin=52), limit)
    assert near[rows, columns] == pytest.approx(expected, rel=3e-3, abs=1e-3)


def test_the_nearest_on_the_ground_counts_not_the_nearest_on_the_map():
    """On Web Mercator what lies north looks farther than it is, what lies south nearer."""
    grid = laid("Web Mercator at 60 N", 20_000)
    north, south = (shapely.Point(grid.point(30.5, row)) for row in (0.5, 59.5))
    near = measured([north, south], grid)
    rows, columns = np.arange(60), np.full(60, 30)
    expected = true([north, south], grid, rows, columns)
    assert near[:, 30] == pytest.approx(expected, rel=3e-3, abs=1)
    assert near[:, 30].argmax() not in (29, 30)  # the map's middle


def test_a_line_north_of_the_raster_within_the_maximum_is_not_missed():
    """At 60 N a kilometre on the ground is two on Web Mercator's map, and more farther north."""
    grid = laid("Web Mercator at 60 N", 200)
    line = shapely.LineString([grid.point(-50, -95.5), grid.point(110, -95.5)])
    near = measured([line], grid, limit=10_000)
    expected = true([line], grid, [0], [30], margin=120)
    assert expected[0] < 9700
    assert near[0, 30] == pytest.approx(expected[0], rel=3e-3)


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:3857", "EPSG:3832"])
def test_a_line_beyond_the_antimeridian_counts(tmp_path, make_raster, code):
    """Fiji: the raster ends at 179.95 E, and the line lies at 179.95 W; it does on any map."""
    left, bottom, right, top = Transformer.from_crs(4326, code, always_xy=True).transform_bounds(
        179.5, -16.3, 179.95, -16
    )
    transform = from_origin(left, top, (right - left) / 90, (top - bottom) / 60)
    reference = make_raster("m.tif", np.ones((60, 90), np.float32), code, transform)
    line = shapely.LineString([(-179.95, -16.5), (-179.95, -15.8)])
    gpd.GeoDataFrame(geometry=[line], crs=4326).to_file(tmp_path / "line.gpkg")
    output = tmp_path / "distance.tif"
    distance(
        input=str(tmp_path / "line.gpkg"),
        reference=reference,
        output=str(output),
        progress=Progress(),
    )
    expected = Geod(ellps="WGS84").inv(179.9475, -16.15, -179.95, -16.15)[2]
    with rasterio.open(output) as dataset:
        assert dataset.read(1)[30, 89] == pytest.approx(expected, abs=300)  # half a pixel


def test_where_the_projection_ends_nothing_is_known():
    """The corners of a map of the world on Mollweide lie beside the world."""
    grid = Grid(CRS.from_user_input("ESRI:54009"), from_origin(-18.1e6, 9.1e6, 4e5, 4e5), 90, 45)
    near = measured([shapely.Point(0, 0)], grid)
    assert np.isnan(near[0, 0]) and not np.isnan(near[22, 45])
    assert near[22, 10] == pytest.approx(15.6e6, rel=0.01)


@pytest.fixture
def shared_case(tmp_path, make_raster):
    """Web Mercator at 60 N: a line 50 pixels of 20 m to the left, which are 10 m on the ground."""
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(10, 60)
    path = tmp_path / "line.gpkg"
    line = shapely.LineString([(x + 10, y - 5000), (x + 10, y + 5000)])
    gpd.GeoDataFrame(geometry=[line], crs=3857).to_file(path)
    values = np.ones((50, 50), np.float32)
    transform = from_origin(x, y, 20, 20)
    return str(path), make_raster("m.tif", values, crs="EPSG:3857", transform=transform)


def test_the_command_says_ground_metres_on_web_mercator(tmp_path, shared_case):
    line, reference = shared_case
    output = str(tmp_path / "distance.tif")
    distance(input=line, reference=reference, output=output, progress=Progress())
    with rasterio.open(output) as dataset:
        metres = dataset.read(1)
    geod = Geod(ellps="WGS84")
    assert metres.max() == pytest.approx(
        geod.inv(10, 60, 10 + 49 * 20 / 111319.49, 60)[2], rel=3e-3
    )


def test_breaks_and_the_maximum_are_ground_metres(tmp_path, shared_case):
    line, reference = shared_case
    output = str(tmp_path / "distance.tif")
    distance(input=line, reference=reference, output=output, breaks=[100, 300], progress=Progress())
    with rasterio.open(output) as dataset:
        assert np.bincount(dataset.read(1)[25]).tolist() == [10, 20, 20]  # of 9.98 m
    distance(input=line, reference=reference, output=output, max_distance=200, progress=Progress())
    with rasterio.open(output) as dataset:
        assert (dataset.read(1)[25] < 200).sum() == 20
