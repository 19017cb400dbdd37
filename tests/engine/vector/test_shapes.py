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
