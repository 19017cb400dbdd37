"""What `evaluate` makes of odd inputs: each is either judged rightly or refused in a sentence."""

import csv
import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.evaluation.scores import SCORES
from landslide_mapper.landslide_plugin.inventory.measures import measures
from rasterio.transform import from_origin
from shapely import Polygon, box

from .judging import LEFT, TOP, run


@pytest.fixture
def write_polygons(tmp_path):
    """Return a function that writes polygons given in pixels of 10 m from the upper left."""

    def write(name, *polygons, crs="EPSG:32632"):
        shapes = [
            Polygon([(LEFT + 10 * x, TOP - 10 * y) for x, y in polygon]) for polygon in polygons
        ]
        frame = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32632").to_crs(crs)
        frame.to_file(tmp_path / name, geometry_type="Polygon", engine="pyogrio")
        return str(tmp_path / name)

    return write


def rectangle(column, row, width, height):
    return list(box(column, row, column + width, row + height).exterior.coords)


def told(events, kind="warning"):
    return " ".join(event["text"] for event in events if event["type"] == kind)


def mask(*places, shape=(60, 80)):
    result = np.zeros(shape, np.uint8)
    for column, row, width, height in places:
        result[row : row + height, column : column + width] = 1
    return result


def test_an_inventory_without_landslides_is_a_map(make_raster, write_polygons, tmp_path):
    """Precision is undefined then, recall is 0: both are written as such everywhere."""
    empty = write_polygons("empty.gpkg")
    reference = make_raster("r.tif", mask((10, 10, 20, 10)))
    events, paths = [], {key: str(tmp_path / f"out.{key}") for key in ("html", "json", "csv")}
    values = run(empty, reference, events, **paths)
    assert (values["recall"], values["hit_rate"], values["area_bias"]) == (0, 0, -1)
    assert values["precision"] is None is values["object_precision"]
    assert "holds no landslide" in told(events)
    assert json.loads((tmp_path / "out.json").read_text())["precision"] is None
    with open(paths["csv"], encoding="utf-8") as file:
        rows = {row["score"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(SCORES)
    assert (rows["precision"]["value"], rows["recall"]["value"]) == ("", "0.0")
    assert "undefined" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_reference_without_landslides(make_raster, write_polygons):
    values = run(make_raster("p.tif", mask((10, 10, 5, 5))), write_polygons("empty.gpkg"))
    assert values["recall"] is values["hit_rate"] is values["area_bias"] is None
    assert (values["precision"], values["fpr"]) == (0, 25 / 4800)
    assert values["false_alarms_km2"] == pytest.approx(
        1 / 0.48, rel=1e-3
    )  # UTM in its middle: .9996


def test_two_empty_inventories_need_an_area(write_polygons):
    empty = write_polygons("empty.gpkg")
    with pytest.raises(InputError, match="both empty and there is no area"):
        run(empty, empty)
    values = run(empty, empty, area=write_polygons("area.gpkg", rectangle(0, 0, 80, 60)))
    assert (values["oa"], values["f1"], values["hit_rate"]) == (1, None, None)
    assert values["area_km2"] == pytest.approx(0.48, rel=0.01)


def test_an_empty_inventory_against_polygons(write_polygons):
    ours = write_polygons("ours.gpkg", rectangle(10, 10, 20, 10))
    empty = write_polygons("empty.gpkg")
    area = write_polygons("area.gpkg", rectangle(0, 0, 80, 60))
    assert run(ours, empty, area=area)["predicted_area_m2"] == pytest.approx(20000, rel=0.02)
    assert run(empty, ours, area=area)["reference_area_m2"] == pytest.approx(20000, rel=0.02)


def test_reference_beside_the_area_is_refused(make_raster, write_polygons):
    predicted = make_raster("p.tif", mask((10, 10, 5, 5)))
    reference = write_polygons("reference.gpkg", rectangle(60, 40, 5, 5))
    area = write_polygons("area.gpkg", rectangle(0, 0, 40, 30))
    with pytest.raises(InputError, match=r"reference layer .* lies outside EPSG:32632") as caught:
        run(predicted, reference, area=area)
    assert "\n" not in str(caught.value)


def test_area_among_the_landslides_but_without_one_is_warned_of(make_raster, write_polygons):
    corners = rectangle(0, 0, 3, 3), rectangle(70, 50, 5, 5)
    events = []
    values = run(
        make_raster("p.tif", mask((30, 30, 5, 5))),
        write_polygons("reference.gpkg", *corners),
        events,
        area=write_polygons("area.gpkg", rectangle(20, 20, 20, 20)),
    )
    assert "no polygon in the area" in told(events)
    assert values["recall"] is None
    assert values["area_km2"] == pytest.approx(0.04, rel=1e-3)


def test_only_the_area_is_read_and_drawn(make_raster, write_polygons, tmp_path):
    """An area in a corner, in degrees, of odd shape: counts are those of its pixels alone."""
    triangle = [(40, 20), (80, 20), (80, 60)]
    random = np.random.default_rng(0)
    ours, truth = (random.random((60, 80)) > 0.6 for _ in range(2))
    area = write_polygons("area.gpkg", triangle, crs="EPSG:4326")
    events = []
    values = run(
        make_raster("p.tif", ours.astype(np.uint8)),
        make_raster("r.tif", truth.astype(np.uint8)),
        events,
        area=area,
    )
    rows, columns = np.mgrid[:60, :80] + 0.5
    inside = (columns > 40) & (rows > 20) & (rows - 20 < columns - 40)
    edge = 60  # pixels whose centre lies on the slanted side may fall to either side
    assert abs(values["tp"] - (ours & truth & inside).sum()) < edge
    assert sum(values[key] for key in ("tp", "fp", "fn", "tn")) == pytest.approx(800, abs=edge)
    assert "area is brought to EPSG:32632" in told(events, "message")


def test_self_crossing_polygons_are_repaired_and_told(make_raster, write_polygons):
    """A bow tie stands for its two triangles."""
    bow = [(10, 10), (30, 30), (30, 10), (10, 30)]
    events = []
    values = run(make_raster("p.tif", mask()), write_polygons("bow.gpkg", bow), events)
    assert "1 invalid geometries of the reference were repaired" in told(events)
    assert values["reference_area_m2"] == pytest.approx(20000, rel=0.1)


def test_a_dissolved_inventory_is_told(make_raster, tmp_path):
    """Three landslides in one feature count as one, which scores of landslides hang on."""
    parts = [box(LEFT + 100 * n, TOP - 100, LEFT + 100 * n + 50, TOP) for n in range(3)]
    predicted = make_raster("p.tif", mask((0, 0, 5, 10), (10, 0, 5, 10)))
    for name, shapes in {"single": parts, "dissolved": [shapely.MultiPolygon(parts)]}.items():
        path, events = tmp_path / f"{name}.gpkg", []
        gpd.GeoDataFrame(geometry=shapes, crs=32632).to_file(path)
        values = run(predicted, str(path), events)
        assert values["reference_landslides"] == len(shapes) and values["tp"] == 100
        warned = "The 1 features of the reference have 3 parts" in told(events)
        assert warned == (name == "dissolved")


def test_source_and_runout_are_one_landslide(make_raster, tmp_path):
    """As an inventory has them apart; landslide 1 of another inventory is another one."""
    shapes = [(10, 10, 14, 15), (10, 15, 14, 30), (30, 10, 34, 20), (50, 10, 54, 20)]
    frame = gpd.GeoDataFrame(
        {"slide_id": [1, 1, 1, 2], "part": ["source", "runout", "source", None]},
        geometry=[box(LEFT + 10 * a, TOP - 10 * d, LEFT + 10 * c, TOP - 10 * b)
                  for a, b, c, d in shapes],
        crs=32632,
    )  # fmt: skip
    frame.to_file(tmp_path / "parts.gpkg")
    reference = make_raster("r.tif", mask((10, 10, 4, 20), (30, 10, 4, 10), (50, 10, 4, 10)))
    values = run(str(tmp_path / "parts.gpkg"), reference)
    assert values["predicted_landslides"] == values["reference_landslides"] == 3
    assert values["object_f1"] == values["f1"] == 1


def test_parts_without_a_number_are_landslides_where_they_touch(make_raster, tmp_path):
    shapes = [box(500000, 4999900, 500050, 4999950), box(500050, 4999900, 500100, 4999950)]
    shapes.append(box(500300, 4999900, 500350, 4999950))
    fields = {"slide_id": [None] * 3, "part": ["source", "runout", "source"]}
    gpd.GeoDataFrame(fields, geometry=shapes, crs=32632).to_file(tmp_path / "r.gpkg")
    result = run(make_raster("p.tif", mask()), str(tmp_path / "r.gpkg"))
    assert result["reference_landslides"] == 2 and result["fn"] == 75


def test_landslides_within_others_are_told(make_raster, write_polygons):
    """As inventories of several dates have them: the later one is drawn over the earlier."""
    wide, narrow = rectangle(10, 10, 20, 10), rectangle(12, 12, 3, 3)
    events = []
    reference = write_polygons("r.gpkg", narrow, wide, wide, rectangle(50, 10, 5, 5))
    result = run(make_raster("p.tif", mask()), reference, events)
    assert result["reference_landslides"] == 2
    assert "2 polygons of the reference lie within others" in told(events)
    events = []
    reference = write_polygons("s.gpkg", wide, narrow)  # a hole in the one, the other whole
    assert run(make_raster("p.tif", mask()), reference, events)["reference_landslides"] == 2
    assert "lie within" not in told(events)


def test_landslides_smaller_than_a_pixel_are_told(make_raster, write_polygons):
    small = [rectangle(column + 0.6, 5.6, 0.2, 0.2) for column in (0, 0.25, 3, 900)]
    events = []
    values = run(
        make_raster("p.tif", mask((0, 0, 9, 9))),
        write_polygons("r.gpkg", *small, rectangle(20, 20, 9, 9)),
        events,
    )
    assert values["reference_landslides"] == 3
    assert "3 polygons of the reference hold no pixel's centre" in told(events, "message")


def test_polygons_far_from_the_reference_are_refused(write_polygons, tmp_path):
    """As where longitude and latitude are the wrong way round."""
    reference = write_polygons("r.gpkg", rectangle(10, 10, 20, 10), crs="EPSG:4326")
    beside = write_polygons("p.gpkg", rectangle(50, 10, 20, 10))
    assert run(beside, reference)["tp"] == 0
    frame = gpd.read_file(reference)
    swapped = shapely.transform(frame.geometry.array, lambda xy: xy[:, ::-1])
    path = tmp_path / "swapped.gpkg"
    gpd.GeoDataFrame(geometry=swapped, crs=4326).to_file(path)
    with pytest.raises(GridError, match="lies far from the reference"):
        run(str(path), reference)
    area = write_polygons("area.gpkg", rectangle(0, 0, 80, 60))
    with pytest.raises(InputError, match="lies outside"):
        run(str(path), reference, area=area)


MARS = "+proj=longlat +a=3396190 +b=3376200 +no_defs"


@pytest.mark.parametrize(
    ("crs", "left", "bottom", "right", "top"),
    [
        ("EPSG:4326", 10, 89.95, 30, 89.96),  # UTM ends before the poles
        ("EPSG:4326", 10, -82.01, 10.1, -82.0),
        (MARS, 10, 5, 10.01, 5.01),
        ('LOCAL_CS["site",UNIT["metre",1]]', 10, 5, 110, 105),
    ],
)
def test_polygons_in_degrees_where_there_is_no_utm(tmp_path, crs, left, bottom, right, top):
    outline = shapely.segmentize(box(left, bottom, right, top), (right - left) / 20)
    frame = gpd.GeoDataFrame(geometry=[outline], crs=crs)
    frame.to_file(tmp_path / "r.gpkg")
    result = run(str(tmp_path / "r.gpkg"), str(tmp_path / "r.gpkg"))
    (area,), _ = measures(np.array([outline]), frame.crs)
    assert result["reference_area_m2"] == pytest.approx(area, rel=0.05)  # pixels
    assert result["f1"] == 1


def test_another_crs_is_told_and_reported(make_raster, write_polygons, tmp_path):
    reference = write_polygons("r.gpkg", rectangle(10, 10, 20, 10), crs="EPSG:3857")
    events = []
    values = run(
        make_raster("p.tif", mask((10, 10, 20, 10))),
        reference,
        events,
        html=str(tmp_path / "out.html"),
    )
    assert values["f1"] == 1
    assert "reference is brought to EPSG:32632" in told(events, "message")
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "reference is brought to EPSG:32632" in text


def test_probability_in_0_to_255_is_refused(make_raster, tmp_path):
    probability = np.arange(60 * 80, dtype=np.float32).reshape(60, 80) % 256
    reference = make_raster("r.tif", mask((10, 10, 5, 5)))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(
        InputError, match=r"whole numbers from 0 to 255, as a probability in 0\.\.255"
    ):
        run(
            make_raster("../p.tif", probability.astype(np.uint8)),
            reference,
            html=str(tmp_path / "out.html"),
        )
    with pytest.raises(InputError, match="from 0 to 1, dividing it by 255"):
        run(make_raster("../q.tif", probability), reference)
    for dtype in ("uint8", "float32"):
        with pytest.raises(InputError, match=r"divid(e it|ing it) by 100"):
            run(make_raster("../c.tif", (probability // 3).astype(dtype)), reference)
    assert sorted(tmp_path.iterdir()) == before


def test_scaled_whole_numbers_are_a_probability(make_raster):
    """A raster whose scale is declared as 1 / 255 is read as QGIS shows it."""
    import rasterio

    values = (np.arange(60 * 80).reshape(60, 80) % 256).astype(np.uint8)
    path = make_raster("p.tif", values)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1 / 255,)
    truth = make_raster("r.tif", (values > 200).astype(np.uint8))
    measured = run(path, truth)
    assert measured["average_precision"] == 1
    assert measured["tp"] + measured["fp"] == (values / 255 >= 0.5).sum()


@pytest.mark.parametrize("threshold", [-0.1, 0, 1.5, 128, float("nan")])
def test_threshold_outside_0_to_1_is_refused(make_raster, threshold):
    path = make_raster("p.tif", mask())
    with pytest.raises(InputError, match=r"choose more than 0 and at most 1|takes a finite number"):
        run(path, path, threshold=threshold)


def test_lengths_that_mean_nothing_are_refused(make_raster):
    path = make_raster("p.tif", mask())
    with pytest.raises(InputError, match="TOLERANCE is -1: choose 0 m or more"):
        run(path, path, tolerance=-1)
    with pytest.raises(InputError, match="BLOCK_SIZE is NaN, but it takes a finite"):
        run(path, path, block_size=float("nan"))
    with pytest.raises(InputError, match="tolerance of 2000 m is more than 100 pixels"):
        run(path, path, tolerance=2000)
    with pytest.raises(InputError, match="There is no map to judge"):
        run([], path)


def test_a_point_layer_is_no_inventory(make_raster, tmp_path):
    points = gpd.GeoDataFrame(
        geometry=gpd.points_from_xy([LEFT + 50], [TOP - 50]), crs="EPSG:32632"
    )
    points.to_file(tmp_path / "points.gpkg")
    with pytest.raises(InputError, match="holds no polygon"):
        run(make_raster("p.tif", mask()), str(tmp_path / "points.gpkg"))


# ---- several maps


def test_several_maps_are_compared_on_the_same_pixels(make_raster, write_polygons, tmp_path):
    """A mask, a probability on a finer grid and polygons; the mask is blind on the left."""
    truth = mask((10, 10, 10, 10), (50, 30, 10, 10))
    blind = truth.copy()
    blind[:, :20] = 255
    fine = np.repeat(np.repeat(truth, 2, 0), 2, 1).astype(np.float32) * 0.8 + 0.1
    maps = [
        make_raster("blind.tif", blind, nodata=255),
        make_raster("fine.tif", fine, transform=from_origin(LEFT, TOP, 5, 5)),
        write_polygons("drawn.gpkg", rectangle(55, 30, 10, 10)),
    ]
    paths = {key: str(tmp_path / f"out.{key}") for key in ("html", "json", "csv")}
    values = run(maps, make_raster("truth.tif", truth), **paths)
    content = json.loads((tmp_path / "out.json").read_text())
    assert [one["name"] for one in content["maps"]] == ["blind", "fine", "drawn"]
    for one in content["maps"]:
        assert sum(one[key] for key in ("tp", "fp", "fn", "tn")) == 60 * 60
    assert [one["f1"] for one in content["maps"]] == [1, 1, 0.5]
    assert values["f1"] == 1
    assert [one["average_precision"] for one in content["maps"]] == [None, 1, None]
    difference = content["maps"][2]["differences_to_first"]["f1"]
    assert difference["value"] == -0.5
    with open(paths["csv"], encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(SCORES)
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "The maps side by side" in text
    assert text.count("<img") == 3 + 1 + 3  # errors, areas, probability


def test_maps_of_one_name_stay_apart(make_raster, tmp_path):
    (tmp_path / "a").mkdir()
    paths = [make_raster("map.tif", mask()), make_raster("a/map.tif", mask((1, 1, 5, 5)))]
    run(paths, paths[1], json=str(tmp_path / "out.json"))
    content = json.loads((tmp_path / "out.json").read_text())
    assert [one["name"] for one in content["maps"]] == ["map", "map_2"]
    assert content["sources"]["Map map_2"] == paths[1]
