"""The command vectorize."""

import os
import signal
import time

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.inventory.attributes import FIELDS
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from landslide_mapper.landslide_plugin.request import checked
from rasterio.features import geometry_mask, rasterize
from rasterio.transform import from_origin


@pytest.fixture
def run(tmp_path):
    def run(path, **parameters):
        events = []
        output = str(tmp_path / "inventory.gpkg")
        given = checked("vectorize", vectorize, {"input": path, "output": output, **parameters})
        result = vectorize(**given, progress=Progress(events.append))
        frame = gpd.read_file(result["output"], layer=0)
        assert result["count"] == len(frame)
        assert frame.is_valid.all() and not frame.is_empty.any()
        return frame, [event.get("text", "") for event in events]

    return run


@pytest.fixture
def blobs():
    """A synthetic probability raster of 300 x 300 pixels with many shapes."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(5).normal(size=(300, 300)), 4)
    return np.clip(0.5 + field / field.std() / 4, 0, 1).astype("float32")


def test_a_square_of_ten_pixels_is_a_hectare(make_raster, run):
    probability = np.zeros((40, 40), "float32")
    probability[10:20, 15:25] = 0.8
    probability[12, 17] = 1.0
    frame, _ = run(make_raster("p.tif", probability, nodata=-9999))
    (row,) = frame.itertuples()
    assert row.id == 1
    assert row.area_m2 == pytest.approx(10000, rel=1e-3)
    assert row.perimeter_m == pytest.approx(400, rel=1e-3)
    assert row.prob_mean == pytest.approx(0.802) and row.prob_max == 1
    assert row.geometry.equals(shapely.box(500150, 4999800, 500250, 4999900))
    assert [name for name in frame.columns if name != "geometry"] == list(FIELDS)


def test_the_threshold_itself_is_landslide(make_raster, run):
    path = make_raster("p.tif", np.array([[0.5, 0.2, 0.49]], "float32"))
    assert len(run(path, threshold=0.5)[0]) == 1
    assert len(run(path, threshold=0.51)[0]) == 0
    assert len(run(path, threshold=0.2)[0]) == 1


def test_area_is_the_same_in_degrees_and_in_utm(make_raster, run, tmp_path):
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    rows, cols = np.mgrid[:400, :400]
    disc = ((rows - 200) ** 2 + (cols - 190) ** 2 < 150**2).astype("float32")
    utm = make_raster("utm.tif", disc)
    with rasterio.open(utm) as source:
        transform, width, height = calculate_default_transform(
            source.crs, "EPSG:4326", 400, 400, *source.bounds, resolution=2e-5
        )
        degrees = np.zeros((height, width), "float32")
        reproject(
            disc,
            degrees,
            src_crs=source.crs,
            src_transform=source.transform,
            dst_crs="EPSG:4326",
            dst_transform=transform,
            resampling=Resampling.nearest,
        )
    geographic = make_raster("deg.tif", degrees, crs="EPSG:4326", transform=transform)
    in_metres, in_degrees = run(utm)[0], run(geographic)[0]
    assert in_degrees.area_m2[0] == pytest.approx(in_metres.area_m2[0], rel=1e-3)


def test_nodata_is_no_landslide(make_raster, run):
    probability = np.full((20, 20), 0.9, "float32")
    probability[5:10, 5:10] = -9999
    frame, _ = run(make_raster("p.tif", probability, nodata=-9999))
    assert frame.geometry[0].area == pytest.approx(37500)
    assert frame.prob_mean[0] == pytest.approx(0.9)


@pytest.mark.parametrize("on", [1, 255])
def test_a_mask_has_no_probabilities(make_raster, run, on):
    mask = np.zeros((20, 20), "uint8")
    mask[3:6, 3:6] = on
    frame, _ = run(make_raster("m.tif", mask))
    assert frame.geometry.area.tolist() == [900]
    assert frame[["prob_mean", "prob_max"]].isna().all(axis=None)


@pytest.mark.parametrize("asked", [{"threshold": 0.0}, {"grow": 0.0}, {"grow": 0.9}])
def test_no_probability_has_an_effect_on_a_mask(make_raster, run, asked):
    mask = np.zeros((20, 20), "uint8")
    mask[3:6, 3:6] = 1
    assert run(make_raster("m.tif", mask), **asked)[0].geometry.area.tolist() == [900]


@pytest.mark.parametrize("options", [{}, {"split": "necks"}])
def test_nothing_that_reaches_the_threshold_from_which_it_grows_is_an_empty_layer(
    make_raster, run, options
):
    probability = np.zeros((20, 20), np.float32)
    probability[3:6, 3:6] = 0.8
    path = make_raster("p.tif", probability)
    assert run(path, threshold=0.9, grow=0.5, **options)[0].empty


@pytest.mark.parametrize("threshold", [0.9, 0.695])
def test_a_landslide_just_at_the_threshold_is_one(make_raster, run, threshold):
    probability = np.zeros((20, 20), np.float32)
    probability[3:6, 3:6] = threshold
    assert len(run(make_raster("p.tif", probability), threshold=threshold)[0]) == 1


@pytest.mark.parametrize("nothing, kind", [(255, "uint8"), (-1, "int16"), (-9999, "int16")])
def test_what_stands_for_nothing_in_a_mask_is_no_landslide_and_that_is_said(
    make_raster, run, nothing, kind
):
    mask = np.zeros((20, 20), kind)
    mask[3:6, 3:6] = 1
    mask[10:] = nothing
    frame, said = run(make_raster("m.tif", mask))
    assert frame.geometry.area.tolist() == [900]
    assert any(text.startswith(f"{nothing} on 50 % of the pixels") for text in said)


def test_a_mask_whose_nodata_is_255(make_raster, run):
    mask = np.full((20, 20), 255, "uint8")
    mask[3:6, 3:6] = 1
    assert run(make_raster("m.tif", mask, nodata=255))[0].geometry.area.tolist() == [900]


def test_small_ones_are_left_out_by_their_true_area(make_raster, run):
    probability = np.zeros((30, 30), "float32")
    probability[0:2, 0:2] = probability[10:14, 10:15] = 1
    path = make_raster("p.tif", probability)
    frame, _ = run(path, min_area=500)
    assert frame["id"].tolist() == [1] and (frame.area_m2 >= 500).all()
    assert len(run(path, min_area=0)[0]) == 2


def test_holes_are_filled_up_to_the_limit(make_raster, run):
    probability = np.ones((30, 30), "float32")
    probability[4, 4] = probability[10:20, 10:20] = 0
    frame, _ = run(make_raster("p.tif", probability), max_hole=5000)
    assert len(frame.geometry[0].interiors) == 1


def test_simplified_areas_are_those_of_the_layer(make_raster, run, blobs):
    path = make_raster("p.tif", blobs)
    plain, simple = run(path)[0], run(path, simplify=30, min_area=3000)[0]
    assert (simple.area_m2 >= 3000).all()
    assert simple.get_coordinates().shape[0] < plain.get_coordinates().shape[0] / 2
    np.testing.assert_allclose(simple.area_m2, simple.geometry.area, rtol=2e-3)
    overlaps = simple.sindex.query(simple.geometry, predicate="overlaps")
    assert overlaps.size == 0


def test_statistics_are_those_of_the_pixels(make_raster, run, blobs):
    """Held against one polygon after the other, over the seam of two blocks."""
    rows, cols = np.mgrid[:300, :300].astype("float32")
    elevation, slope = 800 + rows * 2 + cols, 20 + 10 * np.sin(cols / 9)
    aspect = (350 + rows / 10) % 360
    aspect[:, :20] = -1  # flat
    factors = make_raster(
        "f.tif",
        np.stack([slope, elevation, aspect]).astype("float32"),
        bands=["slope", "elevation", "aspect"],
    )
    frame, _ = run(make_raster("p.tif", blobs), factors=factors, threshold=0.6)
    assert len(frame) > 50
    transform = from_origin(500000, 5000000, 10, 10)
    for row in frame.itertuples():
        inside = geometry_mask([row.geometry], blobs.shape, transform, invert=True)
        assert row.prob_mean == pytest.approx(blobs[inside].mean(), rel=1e-4)
        assert row.prob_max == pytest.approx(blobs[inside].max())
        assert row.elev_min == elevation[inside].min() and row.elev_max == elevation[inside].max()
        assert row.relief_m == row.elev_max - row.elev_min
        assert row.slope_mean == pytest.approx(slope[inside].mean(), rel=1e-4)
        angles = np.radians(aspect[inside & (aspect >= 0)].astype(float))
        if angles.size:
            mean = np.degrees(np.arctan2(np.sin(angles).sum(), np.cos(angles).sum())) % 360
            assert abs((row.aspect_mean - mean + 180) % 360 - 180) < 1e-3
        else:
            assert np.isnan(row.aspect_mean)


@pytest.mark.parametrize("closing", [0.0, 30.0])
def test_ground_that_is_too_flat_holds_no_landslide(make_raster, run, closing):
    """Of three landslides one lies on a slope, one half on a plain, one where none is known."""
    probability = np.zeros((40, 60), "float32")
    probability[10:20, 5:15] = probability[10:20, 25:35] = probability[10:20, 45:55] = 0.9
    slope = np.full((40, 60), 20, "float32")
    slope[:, 30:40], slope[:, 40:] = 0, -9999
    factors = make_raster("f.tif", slope, bands=["slope"], nodata=-9999)
    path = make_raster("p.tif", probability)
    frame, _ = run(path, factors=factors, closing=closing, min_slope=10.0)
    assert frame.area_m2.tolist() == pytest.approx([1e4, 5e3, 1e4], rel=1e-3)
    frame, _ = run(path, factors=factors, closing=closing, min_slope=10.0, threshold=0.0)
    assert frame.area_m2.sum() == pytest.approx(50 * 40 * 100, rel=1e-3)  # all but the plain


def test_ground_as_steep_as_asked_holds_landslides_and_its_rough_pixels_too(make_raster, run):
    path = make_raster("p.tif", np.ones((30, 30), "float32"))
    slope = np.full((30, 30), 15.1, "float32")
    for name, flat in (("even.tif", 15.1), ("rough.tif", 2.0)):
        slope[15, 15] = flat
        factors = make_raster(name, slope, bands=["slope"])
        for asked in (15.1, 14.95):  # the mean of 11 x 11 pixels, one rough, is 14.99
            frame, _ = run(path, factors=factors, min_slope=asked)
            whole = asked == 14.95 or flat == 15.1
            assert (len(frame) == 1 and frame.area_m2[0] > 89_900) == whole


def test_flat_ground_is_told_by_the_slope(make_raster, run):
    path = make_raster("p.tif", np.ones((5, 5), "float32"))
    factors = make_raster("f.tif", np.ones((5, 5), "float32"), bands=["elevation"])
    for given in ({}, {"factors": factors}):
        with pytest.raises(InputError, match=r"flatter than 8 degrees, give a factor stack.*slope"):
            run(path, min_slope=8.0, **given)


def test_factors_on_another_grid_are_warped(make_raster, run):
    probability = np.zeros((40, 40), "float32")
    probability[10:20, 10:20] = 1
    elevation = np.full((30, 30), 700, "float32")
    coarse = from_origin(499900, 5000100, 25, 25)
    factors = make_raster("f.tif", elevation, transform=coarse, bands=["elevation"])
    frame, _ = run(make_raster("p.tif", probability), factors=factors)
    assert frame.elev_min[0] == frame.elev_max[0] == 700
    assert frame.slope_mean.isna().all()


@pytest.mark.parametrize("shift", [0, 4, 10])
def test_what_a_factor_does_not_know_is_null(make_raster, run, shift):
    """The river's distance under a whole landslide, or a part of it: a nearer one may lie there."""
    probability = np.zeros((40, 40), "float32")
    probability[4:10, 4:10] = probability[20:30, 20:30] = probability[4:10, 24:30] = 1
    distance = np.full((44, 44), 100, "float32")
    distance[18:32, 18:32] = distance[2:8, 2:12] = -9999
    factors = make_raster(
        "f.tif", np.stack([np.full_like(distance, 700), distance]), nodata=-9999,
        bands=["elevation", "river_distance"],
        transform=from_origin(500000 - shift, 5000000 + shift, 10, 10),
    )  # fmt: skip
    frame, _ = run(make_raster("p.tif", probability), factors=factors)
    assert (frame.elev_min == 700).all() and (frame.elev_max == 700).all()
    where = frame.geometry.representative_point()
    alone = (where.x > 500200) & (where.y > 4999850)
    assert alone.sum() == 1 and len(frame) == 3
    assert frame.river_m[alone].tolist() == [100] and frame.river_m[~alone].isna().all()


def test_river_distance_in_levels_of_a_stack_is_not_metres(make_raster, run, tmp_path):
    levels = np.full((1, 30, 30), 3, "float32")
    path = make_raster("d.tif", levels, bands=["river_distance"])
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(1, ordinal="yes", class_1="0 to 30 m", class_3="200 to 500 m")
    high = make_raster("e.tif", levels, bands=["elevation"])
    both = str(tmp_path / "both.tif")
    stack(layers=[high, path], output=both, progress=Progress())
    frame, _ = run(make_raster("p.tif", np.ones((20, 20), "float32")), factors=both)
    assert frame.river_m.isna().all() and frame.elev_min.tolist() == [3]


def test_nothing_found_is_an_empty_layer_with_all_fields(make_raster, run):
    frame, said = run(make_raster("p.tif", np.zeros((20, 20), "float32")))
    assert frame.empty and [c for c in frame.columns if c != "geometry"] == list(FIELDS)
    assert any("empty" in text for text in said)


def test_the_model_is_read_from_the_rasters_metadata(make_raster, run):
    path = make_raster("p.tif", np.ones((5, 5), "float32"))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(LANDSLIDE_MODEL="iburi-1")
    assert run(path)[0].model.tolist() == ["iburi-1"]
    assert run(path, model="mine")[0].model.tolist() == ["mine"]


BAD_NUMBERS = [
    ({"threshold": 1.2}, "THRESHOLD"),
    ({"threshold": -0.1}, "THRESHOLD"),
    ({"threshold": float("nan")}, "THRESHOLD"),
    ({"min_area": -1}, "MIN_AREA"),
    ({"max_hole": -1}, "MAX_HOLE"),
    ({"simplify": -1}, "SIMPLIFY"),
]


@pytest.mark.parametrize(("parameters", "named"), BAD_NUMBERS)
def test_numbers_out_of_range(make_raster, run, tmp_path, parameters, named):
    with pytest.raises(InputError, match=named):
        run(make_raster("p.tif", np.ones((5, 5), "float32")), **parameters)
    assert not (tmp_path / "inventory.gpkg").exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.array([[0, 130, 255]], "float32"), "from 0 to 255"),
        (np.array([[-0.5, 0.1]], "float32"), "from -0.5"),
        (np.array([[0, 1, 7]], "uint8"), "from 0 to 7"),
    ],
)
def test_what_is_neither_probability_nor_mask(make_raster, run, tmp_path, values, sentence):
    with pytest.raises(InputError, match=sentence):
        run(make_raster("p.tif", values))
    assert os.listdir(tmp_path) == ["p.tif"]


def test_factors_elsewhere_or_without_terrain(make_raster, run, tmp_path):
    path = make_raster("p.tif", np.ones((5, 5), "float32"))
    away = make_raster(
        "a.tif", np.ones((5, 5), "float32"), transform=from_origin(0, 0, 1, 1), bands=["slope"]
    )
    with pytest.raises(GridError, match="does not overlap"):
        run(path, factors=away)
    other = make_raster("o.tif", np.ones((5, 5), "float32"), bands=["ndvi"])
    with pytest.raises(InputError, match=r"none of the bands elevation, slope, aspect.*ndvi"):
        run(path, factors=other)
    assert not (tmp_path / "inventory.gpkg").exists()


def test_missing_files_and_folders(make_raster, run, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        run(str(tmp_path / "none.tif"))
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InputError, match="not a raster"):
        run(str(tmp_path / "text.tif"))
    path = make_raster("p.tif", np.ones((5, 5), "float32"))
    with pytest.raises(OutputError, match="does not exist"):
        run(path, output=str(tmp_path / "no" / "inventory.gpkg"))


def test_twenty_thousand_landslides_take_seconds(make_raster, run):
    mask = np.zeros((1600, 1600), "float32")
    mask[::11, ::11] = mask[1::11, ::11] = mask[::11, 1::11] = 1
    start = time.perf_counter()
    frame, _ = run(make_raster("p.tif", mask))
    assert len(frame) == 146**2 and time.perf_counter() - start < 60


def test_an_interrupted_run_leaves_the_old_layer(make_raster, tmp_path):
    path = make_raster("p.tif", np.ones((2000, 64), "float32"))
    output = tmp_path / "inventory.gpkg"
    output.write_bytes(b"old")

    def stop(event):
        raise SystemExit(128 + signal.SIGTERM)

    with pytest.raises(SystemExit):
        vectorize(input=path, output=str(output), progress=Progress(stop))
    assert output.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["inventory.gpkg", "p.tif"]


def test_real_landslides_come_back_with_their_area(make_raster, run, data_dir):
    """Kashmir 2005: 3819 polygons, rasterised at 10 m and vectorised again."""
    truth = gpd.read_file(next((data_dir / "kashmir").rglob("*landslide*.shp")))
    truth = truth.to_crs("EPSG:32643")
    left, bottom, right, top = truth.total_bounds
    transform = from_origin(left, top, 10, 10)
    shape = int((top - bottom) / 10) + 1, int((right - left) / 10) + 1
    mask = rasterize(truth.geometry, shape, transform=transform, dtype="uint8")
    frame, _ = run(make_raster("m.tif", mask, crs="EPSG:32643", transform=transform))
    union = truth.geometry.union_all().area
    assert frame.geometry.area.sum() == mask.sum() * 100
    assert frame.area_m2.sum() == pytest.approx(union, rel=0.01)
