"""Reading and writing vector layers: what is repaired, what is refused, full disks."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Grid
from landslide_mapper.landslide_plugin.raster.grid import require_overlap
from landslide_mapper.landslide_plugin.vector.layers import (
    read_vector,
    require_vector_output,
    write_vector,
)
from landslide_mapper.landslide_plugin.vector.shapes import read_shapes
from rasterio.crs import CRS
from rasterio.transform import from_origin
from shapely import LineString, MultiPolygon, Point, Polygon, box

BOW_TIE = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])


@pytest.fixture
def save(tmp_path):
    def make(shapes, name="layer.gpkg", crs=32632, **fields):
        path = tmp_path / name
        gpd.GeoDataFrame(fields, geometry=list(shapes), crs=crs).to_file(path)
        return str(path)

    return make


def messages(path, **options):
    events = []
    frame = read_vector(path, "rivers", progress=Progress(events.append), **options)
    return frame, [event["text"] for event in events if event["type"] == "warning"]


class TestRead:
    def test_sound_layers_come_back_as_they_are(self, save):
        frame, warnings = messages(save([box(0, 0, 1, 1), box(2, 2, 3, 3)], unit=["a", "b"]))
        assert frame.unit.tolist() == ["a", "b"] and not warnings

    def test_another_crs(self, save):
        frame, _ = messages(save([Point(9, 45)], crs=4326), crs=CRS.from_epsg(32632))
        assert frame.geometry[0].x == pytest.approx(500000, abs=1)

    def test_invalid_polygons_are_repaired_with_a_warning(self, save):
        frame, warnings = messages(save([BOW_TIE, box(20, 0, 30, 10)]), kinds=("Polygon",))
        assert frame.geometry.is_valid.all()
        assert frame.area.sum() == pytest.approx(150)
        assert warnings == ["1 invalid geometries of the rivers were repaired."]

    def test_real_landslides_are_valid_afterwards(self, data_dir):
        path = data_dir / "kashmir" / "landslides.shp"
        frame, _ = messages(path, kinds=("Polygon",))
        assert len(frame) >= 3800 and frame.geometry.is_valid.all()
        assert not shapely.has_z(frame.geometry.array).any()

    def test_empty_and_missing_geometries_are_dropped(self, save):
        frame, _ = messages(save([box(0, 0, 1, 1), None, Polygon()]))
        assert len(frame) == 1

    def test_rings_that_do_not_close_are_closed(self, tmp_path):
        path = tmp_path / "open.geojson"
        path.write_text(
            '{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": '
            "[[[9, 45], [10, 45], [10, 46]]]}}"
        )
        frame, _ = messages(path)
        assert frame.area[0] == pytest.approx(0.5)
        assert shapely.area(read_shapes(path, "rocks", crs=4326)) == pytest.approx([0.5])

    @pytest.mark.parametrize("number", [np.nan, np.inf])
    def test_coordinates_that_are_no_numbers_are_left_with_a_warning(self, save, number):
        strange = LineString([(0, 0), (number, 5), (9, 9)])
        path = save([strange, LineString([(0, 0), (1, 1)])])
        frame, warnings = messages(path)
        assert frame.length.tolist() == [pytest.approx(2**0.5)]
        assert warnings == ["1 features of the rivers have coordinates that are no numbers: left."]
        with pytest.raises(InputError, match="holds no linestring"):
            read_vector(save([strange], "b.gpkg"), "rivers", kinds=("LineString",))

    def test_what_has_no_place_in_the_other_crs_is_left_or_refused(self, save):
        """A gnomonic map shows half the Earth."""
        gnomonic = "+proj=gnom +lat_0=90 +lon_0=0"
        south, north = Point(0, -60), Point(0, 60)
        path = save([south, north], crs=4326)
        frame, warnings = messages(path, crs=gnomonic)
        assert len(frame) == 1
        assert warnings == [
            "1 parts of the rivers lie where the other layers' CRS has no place: left."
        ]
        assert len(read_shapes(path, "rivers", crs=gnomonic)) == 1
        alone = save([south], "south.gpkg", crs=4326)
        for read in (read_vector, read_shapes):
            with pytest.raises(GridError, match="has no place: check its CRS"):
                read(alone, "rivers", crs=gnomonic)

    def test_other_kinds_are_dropped_with_a_warning(self, save):
        path = save([LineString([(0, 0), (1, 1)]), Point(0, 0)], "mixed.geojson")
        frame, warnings = messages(path, kinds=("LineString",))
        assert frame.geometry.geom_type.tolist() == ["LineString"] and len(warnings) == 1

    def test_multi_geometries_count_as_their_kind(self, save):
        parts = MultiPolygon([box(0, 0, 1, 1), box(2, 2, 3, 3)])
        assert len(messages(save([parts]), kinds=("Polygon",))[0]) == 1


class TestOneLayerOfSeveral:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "three.gpkg"
        for layer, x in (("one", 1.0), ("two", 2.0)):
            gpd.GeoDataFrame(geometry=[Point(x, 0)], crs=32632).to_file(path, layer=layer)
        pyogrio.write_dataframe(pd.DataFrame({"qml": ["<qgis>"]}), path, layer="layer_styles")
        return str(path)

    @pytest.mark.parametrize("chosen", ["layername=two", "layerid=1", "LAYERNAME=two"])
    def test_it_is_chosen_by_name_or_number(self, path, chosen):
        frame, warnings = messages(f"{path}|{chosen}")
        assert frame.geometry.x.tolist() == [2.0] and not warnings
        points = read_shapes(f"{path}|{chosen}", "rivers", crs=32632)
        assert shapely.get_x(points).tolist() == [2.0]

    def test_else_the_first_one_is_taken_and_that_is_said(self, path):
        frame, (warning,) = messages(path)
        assert frame.geometry.x.tolist() == [1.0]
        assert "three.gpkg holds several layers, of which one was taken as the rivers" in warning
        assert "the others are two: choose one by" in warning
        assert warning.endswith("three.gpkg|layername=two, say.")
        events = []
        read_shapes(path, "rivers", crs=32632, progress=Progress(events.append))
        assert [event["text"] for event in events] == [warning]

    def test_whatever_the_format(self, tmp_path):
        kml = "".join(
            f"<Folder><name>{name}</name><Placemark><Point><coordinates>{x},0</coordinates></Point>"
            "</Placemark></Folder>"
            for name, x in (("one", 1), ("two", 2))
        )
        (tmp_path / "a.kml").write_text(f"<kml><Document>{kml}</Document></kml>")
        for layer, x in (("one", 1.0), ("two", 2.0)):
            frame = gpd.GeoDataFrame(geometry=[Point(x, 0)], crs=4326)
            mode = "w" if x == 1 else "a"
            frame.to_file(tmp_path / "a.sqlite", driver="SQLite", layer=layer, mode=mode)
        for name in ("a.kml", "a.sqlite"):
            frame, (warning,) = messages(tmp_path / name)
            taken = {1.0: "one", 2.0: "two"}[frame.geometry[0].x]
            assert f"of which {taken} was taken" in warning, name

    def test_tables_without_geometry_do_not_count(self, tmp_path):
        path = tmp_path / "a.gpkg"
        pyogrio.write_dataframe(pd.DataFrame({"qml": ["<qgis>"]}), path, layer="layer_styles")
        gpd.GeoDataFrame(geometry=[Point(3, 0)], crs=32632).to_file(path, layer="rivers", mode="a")
        frame, warnings = messages(path)
        assert frame.geometry.x.tolist() == [3.0] and not warnings

    @pytest.mark.parametrize("chosen", ["layername=three", "layerid=7", "layerid=x", "layername="])
    def test_one_that_is_not_there_is_refused(self, path, chosen):
        with pytest.raises(InputError, match="is not in the file; it has: one, two"):
            read_vector(f"{path}|{chosen}", "rivers")

    @pytest.mark.parametrize("option", ["subset=x=1", "geometrytype=Point", "option:A=B"])
    def test_what_only_qgis_understands_is_refused(self, path, option):
        with pytest.raises(InputError, match="only QGIS understands: save what it shows"):
            read_vector(f"{path}|layername=one|{option}", "rivers")

    def test_a_path_may_hold_a_bar(self, save):
        frame, warnings = messages(save([Point(1, 2)], "a|b.gpkg"))
        assert len(frame) == 1 and not warnings


class TestRefused:
    def test_missing(self):
        with pytest.raises(InputError, match=r"The rivers layer none\.gpkg does not exist"):
            read_vector("none.gpkg", "rivers")

    @pytest.mark.parametrize("name", ["text.gpkg", "text.shp", "text.geojson", "text.txt"])
    def test_no_vector_layer(self, tmp_path, name):
        (tmp_path / name).write_text("text")
        with pytest.raises(InputError, match="can't be read"):
            read_vector(tmp_path / name, "rivers")

    def test_truncated(self, save, tmp_path):
        rng = np.random.default_rng(0)
        whole = open(save([Point(*p) for p in rng.random((2000, 2))], "a.fgb"), "rb").read()
        (tmp_path / "b.fgb").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match="can't be read"):
            read_vector(tmp_path / "b.fgb", "rivers")

    def test_empty(self, save):
        with pytest.raises(InputError, match="holds no feature"):
            read_vector(save([]), "rivers")

    def test_none_of_the_kind(self, save):
        with pytest.raises(InputError, match="holds no linestring or polygon"):
            read_vector(save([Point(0, 0)]), "rivers", kinds=("LineString", "Polygon"))

    def test_no_geometry(self, tmp_path):
        (tmp_path / "table.csv").write_text("a,b\n1,2\n")
        with pytest.raises(InputError, match="no geometry"):
            read_vector(tmp_path / "table.csv", "rivers")

    def test_no_crs(self, save):
        path = save([Point(0, 0)], "a.shp", crs=None)
        with pytest.raises(GridError, match="has no CRS"):
            read_vector(path, "rivers", crs=CRS.from_epsg(4326))

    def test_no_such_field(self, save):
        with pytest.raises(InputError, match="no field kind; it has: unit"):
            read_vector(save([Point(0, 0)], unit=["x"]), "rivers", columns=["kind"])

    def test_the_column_that_numbers_the_features_is_a_field(self, save):
        path = save([Point(1, 0), Point(0, 0)], unit=["x", "y"])
        frame, _ = messages(path, columns=["fid", "unit"])
        assert frame[["fid", "unit"]].to_numpy().tolist() == [[1, "x"], [2, "y"]]

    def test_layers_apart(self):
        frame = gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=32632)
        grid = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 5, 5)
        with pytest.raises(GridError, match=r"x 0 to 1, y 0 to 1.*x 500000 to 500050"):
            require_overlap(frame, "The area", grid)
        require_overlap(gpd.GeoDataFrame(geometry=[box(0, 0, 1e6, 1e7)], crs=32632), "x", grid)


def polygons(count):
    points = np.random.default_rng(0).uniform(0, 1e5, (count, 2))
    shapes = shapely.buffer(shapely.points(points), 10)
    return gpd.GeoDataFrame({"value": points[:, 0]}, geometry=shapes, crs=32632)


class TestWrite:
    @pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson", "fgb"])
    @pytest.mark.parametrize("count", [0, 20])
    def test_comes_back(self, tmp_path, ending, count):
        path = tmp_path / f"a.{ending}"
        frame = polygons(count)
        write_vector(frame, path, geometry_type="Polygon")
        back = gpd.read_file(path)
        assert len(back) == count
        assert sorted(back.value) == pytest.approx(sorted(frame.value)) if count else True
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".partial")]

    def test_a_geopackage_has_its_layer_name_and_tags(self, tmp_path):
        path, tags = tmp_path / "streams.gpkg", {"NOTE": "x"}
        write_vector(polygons(3), path, geometry_type="Polygon", tags=tags)
        info = pyogrio.read_info(path)
        assert info["layer_name"] == "streams"
        assert info["layer_metadata"] == tags

    def test_replaces(self, tmp_path):
        for count in (50, 5):
            write_vector(polygons(count), tmp_path / "a.gpkg", geometry_type="Polygon")
        assert len(gpd.read_file(tmp_path / "a.gpkg")) == 5

    @pytest.mark.parametrize("name", ["a.nonsense", "a"])
    def test_unknown_format(self, tmp_path, name):
        with pytest.raises(OutputError):
            write_vector(polygons(2), tmp_path / name, geometry_type="Polygon")
        with pytest.raises(OutputError, match="ending"):
            require_vector_output(tmp_path / name)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("a.csv", "no polygons"),
            ("a.dxf", "no polygons"),
            ("a.SHP", "small"),
            ("a.mvt", "no polygons"),
            ("a.mbtiles", "rounds outlines"),
            ("a.pmtiles", "rounds outlines"),
        ],
    )
    def test_what_takes_no_such_layer_is_refused_before_any_work(self, tmp_path, name, told):
        with pytest.raises(OutputError, match=told):
            require_vector_output(tmp_path / name)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        "ending", ["gpkg", "shp", "geojson", "fgb", "GPKG", "shp.zip", "gml", "kmz", "tab"]
    )
    def test_what_takes_one_is_not(self, tmp_path, ending):
        require_vector_output(tmp_path / f"a.{ending}")
        write_vector(polygons(2), tmp_path / f"a.{ending}", geometry_type="Polygon")

    @pytest.mark.parametrize("ending", ["tab", "mif"])
    def test_what_makes_0_of_the_unknown_is_refused_where_something_may_be(self, tmp_path, ending):
        with pytest.raises(OutputError, match="makes 0 of what is not known"):
            require_vector_output(tmp_path / f"a.{ending}", unknown=True)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson", "fgb", "gml", "sqlite", "kmz"])
    def test_what_knows_null_is_not(self, tmp_path, ending):
        require_vector_output(tmp_path / f"a.{ending}", unknown=True)

    def test_a_name_under_which_a_format_loses_its_layer_is_refused(self, tmp_path):
        with pytest.raises(OutputError, match="lose the layer under that name"):
            require_vector_output(tmp_path / "ä.kmz")

    def test_missing_and_read_only_folder(self, tmp_path, read_only_folder):
        with pytest.raises(OutputError, match="does not exist"):
            write_vector(polygons(2), tmp_path / "none" / "a.gpkg", geometry_type="Polygon")
        with pytest.raises(OutputError, match="can't be written"):
            write_vector(polygons(2), read_only_folder / "a.gpkg", geometry_type="Polygon")
        with pytest.raises(OutputError, match="can't be written"):
            require_vector_output(read_only_folder / "a.gpkg")

    @pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson", "fgb"])
    def test_full_disk(self, small_disk, ending):
        path = small_disk / f"a.{ending}"
        path.write_bytes(b"old")
        with pytest.raises(OutputError, match="can't be written"):
            write_vector(polygons(6000), path, geometry_type="Polygon")
        assert path.read_bytes() == b"old" and list(small_disk.iterdir()) == [path]

    def test_around_the_size_of_the_disk_a_shapefile_is_whole_or_refused(self, small_disk):
        """At some sizes only closing the file fails, and GDAL does not say so."""
        refused = 0
        for count in range(3360, 3440, 4):
            path = small_disk / "a.shp"
            try:
                write_vector(polygons(count), path, geometry_type="Polygon")
                assert len(gpd.read_file(path)) == count
            except OutputError:
                refused += 1
            for left in small_disk.iterdir():
                left.unlink()
        assert refused > 0
