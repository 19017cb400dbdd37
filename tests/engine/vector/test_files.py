"""Vector layers of several files: one layer, whatever the files' CRS; what two hold counts once."""

import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import (
    GridError,
    InputError,
    LandslideError,
    OutputError,
)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster.landslides import is_raster
from landslide_mapper.landslide_plugin.vector import parquet
from landslide_mapper.landslide_plugin.vector.copies import copies
from landslide_mapper.landslide_plugin.vector.files import files_of
from landslide_mapper.landslide_plugin.vector.layers import (
    read_vector,
    require_vector_output,
    write_vector,
)
from landslide_mapper.landslide_plugin.vector.shapes import fields_of, read_shapes
from rasterio.transform import from_origin
from shapely import LineString, Point, box

from ..raster.tiling import checkerboard, cut

UTM, NEXT = 32632, 32633
X, Y = 500000, 5000000


@pytest.fixture
def save(tmp_path):
    """Return a function that writes a file of a folder."""
    (tmp_path / "layer").mkdir()

    def make(name, shapes, crs=UTM, **fields):
        frame = gpd.GeoDataFrame(fields, geometry=list(shapes), crs=UTM)
        path = tmp_path / "layer" / name
        (frame.to_crs(crs) if crs else frame.set_crs(None, allow_override=True)).to_file(path)
        return str(path)

    return make


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "layer")


def messages(path, **options):
    events = []
    frame = read_vector(path, "rivers", progress=Progress(events.append), **options)
    return frame, [event["text"] for event in events]


class TestOneLayer:
    def test_a_folder_s_files_by_name_in_any_format_and_crs(self, save, folder, tmp_path):
        save("c.geojson", [Point(X, Y)], 4326, unit=["c"])
        save("b.shp", [Point(X + 1, Y)], NEXT, unit=["b"])
        save("a.fgb", [Point(X + 2, Y)], unit=["a"])
        save("d.gpkg", [Point(X + 3, Y)], 3857, unit=["d"])
        (tmp_path / "layer" / "e.txt").write_text("no layer")
        frame, told = messages(folder, crs=UTM)
        assert frame.unit.tolist() == ["a", "b", "c", "d"] and not told
        assert (frame.geometry.x - X).tolist() == pytest.approx([2, 1, 0, 3], abs=0.01)
        points = read_shapes(folder, "rivers", crs=UTM)
        assert shapely.equals_exact(points, np.asarray(frame.geometry), 1e-9).all()

    def test_a_list_s_files_as_listed_by_layer_where_it_says_so(self, save, tmp_path):
        save("b.gpkg", [Point(X, Y)])
        path = save("a.gpkg", [Point(X + 1, Y)])
        gpd.GeoDataFrame(geometry=[Point(X + 2, Y)], crs=UTM).to_file(path, layer="two", mode="a")
        (tmp_path / "list.txt").write_text("layer/b.gpkg\n\nlayer/a.gpkg|layername=two\n")
        assert (read_vector(tmp_path / "list.txt", "rivers").geometry.x - X).tolist() == [0, 2]

    def test_of_its_own_crs_where_none_is_wanted_the_first_file_s_counts(self, save, folder):
        save("a.gpkg", [Point(X, Y)], NEXT)
        save("b.gpkg", [Point(X, Y + 9)])
        assert read_vector(folder, "map").crs.to_epsg() == NEXT

    def test_a_file_without_features_is_a_tile_without_rivers(self, save, folder):
        save("a.gpkg", [])
        save("b.gpkg", [Point(X, Y)], unit=["b"])
        assert messages(folder, kinds=("Point",))[0].unit.tolist() == ["b"]
        assert len(read_shapes(folder, "rivers", crs=UTM)) == 1

    def test_a_field_that_a_file_lacks_is_null_unless_it_is_wanted(self, save, folder):
        path = save("a.gpkg", [Point(X, Y)], rock=["x"])
        save("b.gpkg", [Point(X + 1, Y)], unit=[7])
        frame, _ = messages(folder)
        assert frame.rock.isna().tolist() == [False, True]
        assert fields_of(folder, "rivers") == ["rock"]
        with pytest.raises(InputError, match=rf"layer {path} has no field unit; it has: rock\."):
            read_vector(folder, "rivers", columns=["unit"])

    def test_a_field_of_numbers_here_and_text_there_is_refused(self, save, folder):
        save("a.gpkg", [Point(X, Y)], unit=[7])
        save("b.gpkg", [Point(X + 1, Y)], unit=[None])
        save("c.gpkg", [Point(X + 2, Y)], unit=["7"])
        with pytest.raises(InputError, match=r"unit of the rivers holds numbers in .*a.gpkg and"):
            read_vector(folder, "rivers", columns=["unit"])

    def test_a_folder_that_is_a_layer_to_gdal_stays_one(self, tmp_path):
        (tmp_path / "roads.gdb").mkdir()
        assert files_of(tmp_path / "roads.gdb") == [str(tmp_path / "roads.gdb")]

    def test_a_folder_of_an_archive(self, save, folder, tmp_path):
        save("a.fgb", [Point(X, Y)])
        save("b.fgb", [Point(X + 1, Y)])
        archive = shutil.make_archive(str(tmp_path / "rivers"), "zip", folder)
        assert (read_vector(f"/vsizip/{archive}/", "rivers").geometry.x - X).tolist() == [0, 1]

    @pytest.mark.parametrize("source", ["layer", "list.txt"])
    def test_its_files_are_not_written_over(self, save, make_raster, tmp_path, source):
        path = save("a.gpkg", [LineString([(X, Y), (X + 9, Y)])])
        (tmp_path / "list.txt").write_text(path)
        dem = make_raster("dem.tif", np.zeros((1, 5, 5), np.float32))
        parameters = {"input": str(tmp_path / source), "reference": dem, "output": path}
        with pytest.raises(LandslideError, match=r"within the input|is an input of this run"):
            run_command("distance", parameters, Progress())


class TestRefused:
    def test_a_damaged_file_by_its_name(self, save, folder, tmp_path):
        save("a.gpkg", [Point(X, Y)])
        (tmp_path / "layer" / "b.gpkg").write_text("text")
        with pytest.raises(InputError, match=r"layer .*b\.gpkg can't be read as a vector layer"):
            read_vector(folder, "rivers")
        with pytest.raises(InputError, match=r"layer .*b\.gpkg can't be read as a vector layer"):
            read_shapes(folder, "rivers", crs=UTM)

    def test_a_list_that_is_missing(self, tmp_path):
        for name in ("none.txt", "x" * 300 + ".txt"):
            assert not is_raster(tmp_path / name)
            with pytest.raises(InputError, match=r"layer .*txt does not exist"):
                read_vector(tmp_path / name, "rivers")

    @pytest.mark.parametrize("name", ["list.txt", "a\0b.gpkg", "layer", "/vsistdin/"])
    def test_what_a_list_can_not_name(self, save, tmp_path, make_raster, name):
        save("a.gpkg", [Point(X, Y)])
        (tmp_path / "list.txt").write_text(f"{name}\nlayer/a.gpkg\n{name}")
        mask = make_raster("mask.tif", np.ones((1, 2, 2), np.uint8))
        for command, parameters in (
            ("evaluate", {"predicted": mask, "reference": str(tmp_path / "list.txt")}),
            ("distance", {"reference": mask, "input": str(tmp_path / "list.txt")}),
        ):
            output = {} if command == "evaluate" else {"output": str(tmp_path / "d.tif")}
            with pytest.raises(InputError, match=r"can't be read|does not exist|would wait"):
                run_command(command, parameters | output, Progress())

    def test_one_that_a_list_names_and_nobody_has(self, save, tmp_path):
        save("a.gpkg", [Point(X, Y)])
        (tmp_path / "list.txt").write_text("layer/a.gpkg\nlayer/b.gpkg")
        with pytest.raises(InputError, match=r"layer .*b\.gpkg does not exist"):
            read_shapes(tmp_path / "list.txt", "rivers", crs=UTM)

    def test_one_without_a_crs_by_its_name(self, save, folder):
        save("a.gpkg", [Point(X, Y)])
        save("b.shp", [Point(X, Y)], crs=None)
        for crs in (None, UTM):
            with pytest.raises(GridError, match=r"layer .*b\.shp has no CRS"):
                read_vector(folder, "rivers", crs=crs)
        with pytest.raises(GridError, match=r"layer .*b\.shp has no CRS"):
            read_shapes(folder, "rivers", crs=UTM)

    def test_none_of_the_kind_in_any(self, save, folder):
        save("a.gpkg", [Point(X, Y)])
        save("b.gpkg", [Point(X, Y)])
        with pytest.raises(InputError, match="holds no linestring: choose another layer"):
            read_shapes(folder, "rivers", crs=UTM, kinds=("LineString",))

    def test_a_folder_of_rasters_and_layers_where_it_may_be_either(self, save, folder, make_raster):
        make_raster("layer/mask.tif", np.zeros((1, 2, 2), np.uint8))
        assert is_raster(folder)
        save("a.gpkg", [Point(X, Y)])
        with pytest.raises(InputError, match=r"rasters \(mask.tif\) and vector layers \(a.gpkg\)"):
            is_raster(folder)

    def test_nothing_that_a_list_tells_by_its_first_file(self, save, make_raster, tmp_path):
        make_raster("mask.tif", np.zeros((1, 2, 2), np.uint8))
        save("a.gpkg", [Point(X, Y)])
        for names, raster in (("mask.tif", True), ("layer/a.gpkg\nmask.tif", False)):
            (tmp_path / "list.txt").write_text(names)
            assert is_raster(tmp_path / "list.txt") == raster

    def test_parquet_without_its_package(self, tmp_path, monkeypatch):
        monkeypatch.setattr(parquet, "find_spec", lambda name: None)
        (tmp_path / "a.parquet").write_bytes(b"PAR1")
        for read in (read_vector, read_shapes):
            with pytest.raises(InputError, match="lacks the package pyarrow"):
                read(tmp_path / "a.parquet", "rivers", crs=UTM)


def test_geoparquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = gpd.GeoDataFrame({"unit": ["x", "y"]}, geometry=[Point(9, 45), Point(9, 46)], crs=4326)
    frame.to_parquet(tmp_path / "a.parquet")
    read = read_vector(tmp_path / "a.parquet", "geology", crs=UTM, columns=["unit"])
    assert read.unit.tolist() == ["x", "y"]
    assert read.geometry[0].x == pytest.approx(X, abs=1)
    points = read_shapes(tmp_path / "a.parquet", "rivers", crs=4326)
    assert shapely.get_y(points).tolist() == [45, 46]
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="has no geometry"):
        read_vector(tmp_path / "b.parquet", "rivers")
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="can't be read as GeoParquet"):
        read_shapes(tmp_path / "c.parquet", "rivers", crs=UTM)


lines = st.lists(st.tuples(*[st.integers(0, 60)] * 2), min_size=2, max_size=6, unique=True).map(
    LineString
)


class TestCopies:
    @given(st.lists(lines, min_size=1, max_size=5), st.sampled_from([4326, NEXT, 3857]))
    @settings(max_examples=25, deadline=None)
    def test_are_those_that_lie_in_another_file_whatever_way_round_and_whatever_its_crs(
        self, shapes, crs
    ):
        shapes = [shapely.transform(shape, lambda at: at * 100 + [X, Y]) for shape in shapes]
        there = gpd.GeoSeries(shapes, crs=UTM).reverse().to_crs(crs).to_crs(UTM)
        file = np.repeat([0, 1], len(shapes))
        first, second = copies(np.array([*shapes, *there], object), file, is_geographic=False)
        assert set(second) == set(range(len(shapes), 2 * len(shapes)))
        assert {(i, i + len(shapes)) for i in range(len(shapes))} <= set(
            zip(first, second, strict=True)
        )

    def test_are_told_of_large_features_that_begin_elsewhere(self):
        turn = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
        shore = (9000 + 50 * np.sin(900 * turn)) * (np.cos(turn), np.sin(turn))
        lakes = [shapely.Polygon(np.roll(shore.T, by, axis=0)) for by in (0, 7000)]
        _, second = copies(np.array(lakes, object), np.array([0, 1]), is_geographic=False)
        assert second.tolist() == [1]

    @pytest.mark.parametrize(
        "pair",
        [
            (LineString([(0, 0), (9, 9)]), LineString([(0, 9), (9, 0)])),
            (
                shapely.Polygon([(0, 0), (4, 0), (4, 4), (0, 4), (2, 2)]),
                shapely.Polygon([(0, 0), (4, 0), (4, 4), (2, 2), (0, 4)]),
            ),
            (Point(0, 0), Point(0, 0.02)),
            (Point(0, 0), Point(0.02, 0.02)),
            (
                LineString([(0, 0), (9, 0), (0, 9), (9, 9)]),
                LineString([(0, 0), (9, 9), (9, 0), (0, 9)]),
            ),
            (box(0, 0, 9, 9), LineString([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)])),
        ],
    )
    def test_are_not_those_of_the_same_extent_or_points_alone(self, pair):
        assert not len(copies(np.array(pair, object), np.array([0, 1]), is_geographic=False)[0])

    def test_in_one_file_are_left_as_they_are(self, save, folder):
        save("a.gpkg", [Point(X, Y)] * 2)
        save("b.gpkg", [Point(X, Y), Point(X + 1, Y)])
        frame, told = messages(folder)
        assert len(frame) == 3
        assert told == ["1 features of the rivers lie in several files: they count once."]

    def test_say_the_same_in_the_fields_that_are_wanted(self, save, folder):
        save("a.gpkg", [Point(X, Y), Point(X + 5, Y)], slide=["yes", "yes"], id=[1, 2])
        save("b.gpkg", [Point(X, Y), Point(X + 5, Y)], slide=["yes", "no"], id=[3, 4])
        assert messages(folder, columns=["slide"])[0].slide.tolist() == ["yes", "yes", "no"]

    def test_of_real_landslides_cut_into_overlapping_files(self, data_dir, tmp_path):
        whole = read_vector(data_dir / "kashmir" / "landslides.shp", "map", kinds=("Polygon",))
        x = whole.centroid.x.rank(pct=True)
        parts = [(0.0, 0.4, 32643), (0.3, 0.7, 4326), (0.6, 1.0, 32643)]
        for number, (start, end, crs) in enumerate(parts):
            part = whole[(x >= start) & (x <= end)].to_crs(crs)
            write_vector(part, tmp_path / f"{number}.gpkg", geometry_type="MultiPolygon")
        frame = read_vector(tmp_path, "map", crs=whole.crs, kinds=("Polygon",))
        assert len(frame) == len(whole)
        assert sorted(frame.area) == pytest.approx(sorted(whole.area), rel=1e-6)


class TestCommands:
    def test_distances_are_those_of_the_uncut_river(self, save, folder, make_raster, tmp_path):
        transform = from_origin(X, Y, 10, 10)
        grid = make_raster("grid.tif", np.zeros((1, 60, 80), np.uint8), transform=transform)
        river = LineString([(X - 53, Y - 21), (X + 307, Y - 318), (X + 902, Y - 507)])
        other = LineString([(X + 700, Y - 10), (X + 705, Y - 200)])
        whole = tmp_path / "whole.gpkg"
        gpd.GeoDataFrame(geometry=[river, other], crs=UTM).to_file(whole)
        west, east = box(X - 99, Y - 999, X + 410, Y + 99), box(X + 390, Y - 999, X + 999, Y + 99)
        save("west.gpkg", [river.intersection(west)])
        save("east.gpkg", [river.intersection(east), other], NEXT)
        save("once_more.geojson", [other], 4326)
        told = []
        for name, source in (("a.tif", str(whole)), ("b.tif", folder)):
            parameters = {"input": source, "reference": grid, "output": str(tmp_path / name)}
            run_command("distance", parameters, Progress(told.append))
        assert values(tmp_path / "b.tif") == values(tmp_path / "a.tif")
        assert "1 features of the input lie in several files" in str(told)

    def test_classes_are_those_of_all_files(self, save, folder, make_raster, tmp_path):
        transform = from_origin(X, Y, 10, 10)
        grid = make_raster("grid.tif", np.zeros((1, 1, 4), np.uint8), transform=transform)
        save("a.gpkg", [box(X, Y - 10, X + 20, Y)], unit=["clay"])
        save("b.gpkg", [box(X + 20, Y - 10, X + 40, Y)], unit=["basalt"])
        output = str(tmp_path / "classes.tif")
        parameters = {"input": folder, "field": "unit", "reference": grid, "output": output}
        result = run_command("classes", parameters, Progress())
        assert result["classes"] == {"1": "basalt", "2": "clay"}
        assert values(output) == [[2, 2, 1, 1]]

    def test_references_are_counted_once(self, save, folder, tmp_path):
        slides = [box(X + at, Y, X + at + 90, Y + 90) for at in (0, 200, 400)]
        save("a.gpkg", slides[:2])
        save("b.gpkg", slides[1:], NEXT)
        gpd.GeoDataFrame(geometry=slides[:2], crs=UTM).to_file(tmp_path / "map.gpkg")
        parameters = {"predicted": str(tmp_path / "map.gpkg"), "reference": folder}
        result = run_command("evaluate", parameters, Progress())
        assert result["object_recall"] == pytest.approx(2 / 3)

    def test_a_mask_of_many_files_is_a_reference(self, make_raster, tmp_path):
        mask = (np.arange(600).reshape(1, 20, 30) % 7 == 0).astype(np.uint8)
        whole = make_raster("mask.tif", mask)
        cut(whole, tmp_path / "masks", checkerboard((20, 30), [11], [8, 15]))
        one, many = (
            run_command("evaluate", {"predicted": whole, "reference": reference}, Progress())
            for reference in (whole, str(tmp_path / "masks"))
        )
        assert one["f1"] == many["f1"] == 1


def values(path):
    import rasterio

    with rasterio.open(path) as dataset:
        return dataset.read(1).tolist()


class TestNames:
    @pytest.mark.parametrize("name", ["a;b.gpkg", "a\tb.gpkg", "a\nb.gpkg"])
    def test_one_at_which_a_path_would_be_cut_is_refused(self, save, folder, name):
        """Else the file a would be read, or nothing, or a file of another name be written."""
        path = f"{folder}/{name}"
        shutil.copy(save("plain.gpkg", [Point(X, Y)]), path)
        with pytest.raises(InputError, match="semicolon or a break in its name"):
            read_shapes(path, "rivers", crs=UTM)
        with pytest.raises(OutputError, match="semicolon or a break in its name"):
            require_vector_output(path)

    def test_a_semicolon_in_a_folder_is_none(self, save, tmp_path):
        (tmp_path / "layer").rename(tmp_path / "a;b")
        (tmp_path / "layer").symlink_to(tmp_path / "a;b")
        save("x.gpkg", [Point(X, Y)])
        assert len(read_shapes(f"{tmp_path}/a;b/x.gpkg", "rivers", crs=UTM)) == 1
