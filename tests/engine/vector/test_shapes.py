"""Geometries without geopandas: the same as with it."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.vector.layers import read_vector
from landslide_mapper.landslide_plugin.vector.shapes import Shapes, read_shapes
from shapely import Point, box


@pytest.mark.parametrize("crs", [4326, 32643])
@pytest.mark.parametrize("name", ["Confirmed_faults.shp", "landslides.shp"])
def test_real_layers_are_read_as_by_geopandas(data_dir, name, crs):
    path = data_dir / "kashmir" / name
    kinds = ("LineString", "Polygon")
    geometries = read_shapes(path, "input", crs=crs, kinds=kinds)
    frame = read_vector(path, "input", crs=crs, kinds=kinds)
    assert len(geometries) == len(frame)
    assert shapely.equals_exact(geometries, np.asarray(frame.geometry.array), 1e-9).all()


def test_repairs_are_told(tmp_path):
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    path = tmp_path / "a.gpkg"
    gpd.GeoDataFrame(geometry=[bow_tie, None, Point(1, 1)], crs=32632).to_file(path)
    events = []
    result = read_shapes(
        path, "rivers", crs=32632, kinds=("Polygon",), progress=Progress(events.append)
    )
    assert shapely.area(result).sum() == pytest.approx(50)
    assert [event["text"] for event in events] == [
        "1 invalid geometries of the rivers were repaired.",
        "1 parts of the rivers are of another kind: left.",
    ]


class TestFeaturesOfSeveralParts:
    def read(self, path, geometries, kinds=("Polygon",)):
        gpd.GeoDataFrame(geometry=list(geometries), crs=32632).to_file(path)
        return read_shapes(path, "landslides", crs=32632, kinds=kinds)

    def test_one_feature_is_one_even_where_another_was_repaired(self, tmp_path):
        two = shapely.union(box(0, 0, 1, 1), box(5, 5, 6, 6))
        bow_tie = shapely.Polygon([(20, 0), (30, 10), (30, 0), (20, 10)])
        result = self.read(tmp_path / "a.gpkg", [two, bow_tie])
        assert shapely.area(result).tolist() == [2, 50]

    @pytest.mark.parametrize(
        ("parts", "area"),
        [
            ([box(0, 0, 2, 2), box(1, 1, 3, 3)], 7),
            ([box(0, 0, 4, 4), box(1, 1, 3, 3)], 16),
            ([box(0, 0, 2, 2), box(2, 0, 4, 2)], 8),
        ],
    )
    def test_parts_that_overlap_are_landslide_there_too(self, tmp_path, parts, area):
        """As *Collect geometries* makes them of an inventory whose landslides overlap."""
        (result,) = self.read(tmp_path / "a.gpkg", [shapely.MultiPolygon(parts)])
        assert result.area == area

    def test_holes_that_overlap_are_holes(self, tmp_path):
        holes = [box(1, 1, 4, 4).exterior, box(3, 3, 6, 6).exterior]
        (result,) = self.read(
            tmp_path / "a.gpkg", [shapely.Polygon(box(0, 0, 9, 9).exterior, holes)]
        )
        assert result.area == 81 - 17

    def test_what_fits_in_a_collection_is_taken(self, tmp_path):
        """As KML has them for a place with a pin and an outline."""
        collection = shapely.GeometryCollection(
            [Point(9, 9), shapely.GeometryCollection([box(0, 0, 1, 1)]), box(5, 5, 6, 6)]
        )
        result = self.read(tmp_path / "a.gpkg", [box(7, 7, 9, 9), collection, box(2, 2, 3, 3)])
        assert shapely.area(result).tolist() == [4, 2, 1]
        all_kinds = self.read(tmp_path / "b.gpkg", [collection], ("Polygon", "LineString", "Point"))
        assert shapely.get_dimensions(all_kinds).tolist() == [0, 2]


def test_what_can_not_be_used_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_shapes(tmp_path / "none.gpkg", "rivers", crs=32632)
    (tmp_path / "text.gpkg").write_text("no layer")
    with pytest.raises(InputError, match="can't be read as a vector layer"):
        read_shapes(tmp_path / "text.gpkg", "rivers", crs=32632)
    (tmp_path / "table.csv").write_text("name\na\n")
    with pytest.raises(InputError, match="has no geometry"):
        read_shapes(tmp_path / "table.csv", "rivers", crs=32632)
    gpd.GeoDataFrame(geometry=[Point(0, 0)]).to_file(tmp_path / "a.gpkg")
    with pytest.raises(GridError, match="has no CRS"):
        read_shapes(tmp_path / "a.gpkg", "rivers", crs=32632)
    with pytest.raises(InputError, match="holds no polygon"):
        read_shapes(tmp_path / "a.gpkg", "rivers", crs=32632, kinds=("Polygon",))


def test_those_near_a_place():
    shapes = Shapes([box(0, 0, 1, 1), box(5, 5, 6, 6), Point(20, 20)])
    assert shapes.bounds == (0, 0, 20, 20)
    assert shapes.near(box(4, 4, 30, 30)).tolist() == list(shapes.geometries[1:])
