"""Inventories of rasters that overlap: each landslide once, no ground twice, whatever their CRS."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import GridError, LandslideError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inventory import vectorize_command
from landslide_mapper.landslide_plugin.inventory.attributes import make_inventory
from landslide_mapper.landslide_plugin.inventory.zones import counted_once
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject
from shapely import Point, box

WEST, EAST = "EPSG:32632", "EPSG:32633"
LEFT, TOP = 730000, 5000000
"""At 12 degrees east, where the two zones meet."""
SLIDES = [
    Point(LEFT + 10 * column, TOP - 10 * row).buffer(radius)
    for column, row, radius in
    [(20, 20, 120), (60, 70, 60), (95, 30, 150), (110, 90, 80), (130, 50, 100), (180, 60, 140)]
]  # fmt: skip


@pytest.fixture
def run(tmp_path):
    def run(*paths, **parameters):
        told = []
        output = str(tmp_path / "inventory.gpkg")
        given = {"input": paths[0], "more_inputs": list(paths[1:]), "output": output, **parameters}
        result = run_command("vectorize", given, Progress(told.append))
        frame = gpd.read_file(output, layer=0)
        assert frame.is_valid.all() and (frame.geom_type == "Polygon").all()
        assert frame.union_all().area == pytest.approx(frame.area.sum(), rel=1e-9)
        assert result["count"] == frame["slide_id"].nunique()
        return frame, [event.get("text", "") for event in told]

    return run


@pytest.fixture
def scene(make_raster):
    """A mask of the landslides on 100 rows of 200 columns, and functions of its parts."""
    grid = from_origin(LEFT, TOP, 10, 10)
    mask = ~geometry_mask(SLIDES, (100, 200), grid)
    whole = mask[None].astype(np.uint8)

    def part(name, first, last):
        transform = from_origin(LEFT + 10 * first, TOP, 10, 10)
        return make_raster(name, whole[:, :, first:last], WEST, transform, nodata=255)

    def east(name, first):
        """Columns from one on, on a grid of the next zone."""
        transform = from_origin(257900, 5000500, 10, 10)
        values = np.full((1, 130, 230), 255, np.uint8)
        corner = from_origin(LEFT + 10 * first, TOP, 10, 10)
        reproject(
            np.ascontiguousarray(whole[:, :, first:]), values, src_transform=corner, src_crs=WEST,
            dst_transform=transform, dst_crs=EAST, dst_nodata=255, resampling=Resampling.nearest,
        )  # fmt: skip
        return make_raster(name, values, EAST, transform, nodata=255)

    return part, east


def truth():
    return sum(slide.area for slide in SLIDES)


class TestZones:
    @pytest.mark.parametrize("turned", [False, True])
    def test_each_landslide_once_in_true_metres(self, scene, run, turned):
        """Two lie in the west alone, one in the east alone, three in both."""
        part, east = scene
        rasters = [part("west.tif", 0, 150), east("east.tif", 80)]
        frame, told = run(*(rasters[::-1] if turned else rasters))
        assert frame.crs == (EAST if turned else WEST)
        assert "3 landslides that several rasters show count once; 0 were cut" in " ".join(told)
        assert len(frame) == len(SLIDES) and frame["id"].tolist() == list(range(1, 7))
        assert frame["area_m2"].sum() == pytest.approx(truth(), rel=0.03)
        shapes = frame.to_crs(WEST).geometry
        for slide in SLIDES:
            (same,) = [shape for shape in shapes if shape.intersects(slide)]
            assert same.intersection(slide).area > 0.9 * same.union(slide).area

    def test_one_that_an_edge_cuts_is_that_of_the_raster_that_has_it_whole(self, scene, run):
        part, east = scene
        west, east = part("west.tif", 0, 97), east("east.tif", 60)  # the edge is in the third
        frame, _ = run(west, east)
        assert len(frame) == len(SLIDES)
        third = frame[frame.intersects(SLIDES[2])]
        assert third["area_m2"].tolist() == pytest.approx([SLIDES[2].area], rel=0.03)

    def test_one_that_none_has_whole_covers_its_ground_once(self, scene, run):
        part, _ = scene
        frame, told = run(part("a.tif", 0, 97), part("b.tif", 92, 200))
        pieces = frame[frame.intersects(SLIDES[2])]
        assert len(pieces) == 2 and "1 were cut" in " ".join(told)
        assert pieces["area_m2"].sum() == pytest.approx(SLIDES[2].area, rel=0.02)
        whole, _ = run(part("whole.tif", 0, 200))
        assert frame["area_m2"].sum() == pytest.approx(whole["area_m2"].sum(), rel=1e-6)

    def test_a_raster_given_twice_is_one(self, scene, run):
        path = scene[0]("whole.tif", 0, 200)
        once, _ = run(path)
        twice, _ = run(path, path)
        assert once.drop(columns="geometry").equals(twice.drop(columns="geometry"))
        assert once.geometry.equals(twice.geometry)

    def test_rasters_without_landslides(self, make_raster, scene, run):
        none = make_raster("none.tif", np.zeros((1, 9, 9), np.uint8), EAST)
        assert len(run(none, none)[0]) == 0
        assert len(run(none, scene[0]("whole.tif", 0, 200))[0]) == len(SLIDES)

    def test_one_without_a_crs_is_refused(self, make_raster, scene, run):
        plain = make_raster("plain.tif", np.ones((1, 9, 9), np.uint8), None)
        with pytest.raises(GridError, match=r"plain.tif has no CRS, so it can't be one inventory"):
            run(scene[0]("whole.tif", 0, 200), plain)

    @pytest.mark.parametrize(
        ("unfit", "why"),
        [
            ("plain", "has no CRS"),
            ("percent", "values from 0 to 100, so it is no probability raster"),
            ("numbers", "must be a mask of 0 and 1"),
            ("nowhere", "does not exist"),
            ("careful", "can't grow down to 0.4 from a threshold of 0.3"),
        ],
    )
    def test_what_is_unfit_is_refused_before_any_is_drawn(
        self, make_raster, scene, run, monkeypatch, tmp_path, unfit, why
    ):
        def drawn(*arguments):
            raise AssertionError("one was drawn")

        monkeypatch.setattr(vectorize_command, "_drawn", drawn)
        values = np.linspace(0, 1, 81, dtype=np.float32).reshape(1, 9, 9)
        careful = make_raster("careful.tif", values, EAST)
        with rasterio.open(careful, "r+") as dataset:
            dataset.update_tags(LANDSLIDE_THRESHOLD="0.3")
        paths = {
            "plain": make_raster("plain.tif", values, None),
            "percent": make_raster("percent.tif", 100 * values, EAST),
            "numbers": make_raster("numbers.tif", (7 * values).astype(np.int16), EAST),
            "nowhere": str(tmp_path / "nowhere.tif"),
            "careful": careful,
        }
        with pytest.raises(LandslideError, match=why) as caught:
            run(scene[0]("whole.tif", 0, 200), paths[unfit], grow=0.4)
        assert unfit in str(caught.value)

    def test_factors_apart_from_one_are_refused_before_any_is_drawn(
        self, make_raster, scene, run, monkeypatch
    ):
        monkeypatch.setattr(vectorize_command, "_drawn", lambda *_: pytest.fail("one was drawn"))
        heights = np.ones((1, 9, 9), np.float32)
        factors = make_raster("f.tif", heights, WEST, from_origin(LEFT, TOP, 10, 10))
        parts = scene[0]("left.tif", 0, 80), scene[0]("right.tif", 60, 200)
        with pytest.raises(GridError, match=r"f\.tif .* does not overlap"):
            run(*parts, factors=factors)


def test_what_is_left_of_a_landslide_is_measured_along_its_own_rasters_north():
    """At 45 degrees east of EPSG:3413 true north is to the left: 300 of 400 m towards it stand."""
    slide, larger = box(2187000, 0, 2187400, 100), box(2187300, -500, 2188300, 500)
    other = gpd.GeoSeries([larger], crs="EPSG:3413").to_crs("EPSG:3995")
    frames = [
        make_inventory(np.array(other, object), other.crs, {}, north_is_true=True),
        make_inventory(
            np.array([slide], object), CRS.from_epsg(3413), {"aspect_mean": np.zeros(1)},
            north_is_true=True,
        ),
    ]  # fmt: skip
    whole = frames[1].iloc[0]
    left = counted_once(frames, [True, True], 0, Progress()).iloc[1]
    assert left["length_m"] == pytest.approx(0.75 * whole["length_m"], rel=1e-3)
    assert left["width_m"] == pytest.approx(whole["width_m"], rel=1e-3)
    assert left["area_m2"] == pytest.approx(0.75 * whole["area_m2"], rel=1e-3)


squares = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(1, 6)), max_size=6, unique=True
)


def apart(places):
    """Return those squares that overlap none before them, as of one raster."""
    shapes = []
    for x, y, side in places:
        shape = box(LEFT + x, TOP + y, LEFT + x + side, TOP + y + side)
        if not any(shape.intersects(other) for other in shapes):
            shapes.append(shape)
    return shapes


@given(squares.filter(bool), squares)
@settings(max_examples=60, deadline=None)
def test_ground_is_never_there_twice_and_what_one_raster_alone_shows_stays(first, second):
    rasters = apart(first), apart(second)
    frames = [make_inventory(np.array(shapes, object), WEST, {}) for shapes in rasters]
    shapes = np.array(counted_once(frames, [False, False], 0, Progress()).geometry, object)
    assert shapely.area(shapes).sum() == pytest.approx(shapely.union_all(shapes).area)
    together = shapely.union_all([*rasters[0], *rasters[1]])
    assert shapely.within(shapely.union_all(shapes), together.buffer(1e-6))
    for one, other in (rasters, rasters[::-1]):
        ground = shapely.union_all(other)
        alone = [shape for shape in one if not shape.intersection(ground).area]
        assert all(shapely.equals(shapes, shape).any() for shape in alone)
