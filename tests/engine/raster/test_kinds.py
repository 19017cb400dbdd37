"""Bands of classes and of directions are known as such, and never blended."""

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.raster import Grid, Source
from landslide_mapper.landslide_plugin.raster.kinds import is_direction
from rasterio.crs import CRS
from rasterio.transform import from_origin

SHIFTED = Grid(CRS.from_epsg(32632), from_origin(500005, 4999995, 10, 10), 18, 18)
CODES = np.random.default_rng(1).choice([10, 80], (20, 20)).astype(np.uint8)
GREYS = {value: (value, value, value, 255) for value in range(256)}
FIELD = "<FieldDefn index='{}'><Name>{}</Name><Type>{}</Type><Usage>{}</Usage></FieldDefn>"
VALUE, COUNT, NAME = (0, "Value", 0, 5), (1, "Count", 0, 1), (2, "Class", 2, 2)
LEAST, MOST = (0, "Min", 1, 3), (1, "Max", 1, 4)


def beside(path, text):
    """Write what GDAL reads beside a raster."""
    with open(path + ".aux.xml", "w") as file:
        file.write(f"<PAMDataset><PAMRasterBand band='1'>{text}</PAMRasterBand></PAMDataset>")


def table(*columns, kind="thematic", more=""):
    cells = {"Value": "10", "Count": "5", "Class": "wood", "Min": "0", "Max": "50"}
    row = "".join(f"<F>{cells[name]}</F>" for _, name, _, _ in columns)
    fields = "".join(FIELD.format(*column) for column in columns)
    return (
        f"<GDALRasterAttributeTable {more} tableType='{kind}'>{fields}<Row index='0'>{row}</Row>"
        "</GDALRasterAttributeTable>"
    )


def colour(path, colours):
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, colours)


def tag(path, **tags):
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(1, **tags)


MARKS = {
    "colour table": lambda path: colour(path, {10: (0, 100, 0, 255), 80: (0, 0, 200, 255)}),
    "two greys": lambda path: colour(path, {0: (0, 0, 0, 255), 80: (255, 255, 255, 255)}),
    "category names": lambda path: beside(
        path, "<CategoryNames><Category>none</Category><Category>wood</Category></CategoryNames>"
    ),
    "attribute table": lambda path: beside(path, table(VALUE, COUNT, NAME)),
    "attribute table without names": lambda path: beside(path, table(VALUE, COUNT)),
    "Esri's table": lambda path: open(path + ".vat.dbf", "wb").close(),
    "Imagine's layer type": lambda path: tag(path, LAYER_TYPE="thematic"),
    "our own names": lambda path: tag(path, class_10="wood", class_80="water"),
    "a class of a stack": lambda path: tag(path, CLASS_OF="cover", CLASS_NAME="wood"),
}
NO_MARKS = {
    "nothing": lambda path: None,
    "a ramp of greys": lambda path: colour(path, GREYS),
    "a ramp from white to black": lambda path: colour(
        path, {value: (255 - value,) * 3 + (255,) for value in GREYS}
    ),
    "a table of ranges": lambda path: beside(path, table(LEAST, MOST)),
    "a table of named ranges": lambda path: beside(path, table(LEAST, MOST, NAME)),
    "a histogram": lambda path: beside(path, table(COUNT, more="Row0Min='0' BinSize='1'")),
    "a table of no classes": lambda path: beside(path, table(VALUE, COUNT, kind="athematic")),
    "statistics": lambda path: tag(path, STATISTICS_MEAN="45"),
}


@pytest.mark.parametrize("method", ["bilinear", "cubic", "average"])
@pytest.mark.parametrize("mark", MARKS)
def test_classes_are_read_nearest_whatever_is_asked_for(make_raster, mark, method):
    path = make_raster("c.tif", CODES)
    MARKS[mark](path)
    with Source.open(path) as source:
        assert source.is_classes("band_1")
        values, valid = source.on(SHIFTED, method).read()
    assert valid.all() and set(np.unique(values)) == {10, 80}


@pytest.mark.parametrize("mark", ["attribute table", "Esri's table", "category names"])
def test_a_view_that_qgis_lays_over_a_file_has_the_file_s_classes(make_raster, tmp_path, mark):
    path = str(make_raster("c.tif", CODES))
    MARKS[mark](path)
    view = tmp_path / "view.vrt"
    view.write_text(
        f"""<VRTDataset rasterXSize="20" rasterYSize="20"><SRS>EPSG:32632</SRS>
        <GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>
        <Metadata><MDI key="LANDSLIDE_FILE">{path}</MDI></Metadata>
        <VRTRasterBand dataType="Byte" band="1"><SimpleSource>
        <SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand>
        </SimpleSource></VRTRasterBand></VRTDataset>"""
    )
    with Source.open(view) as source:
        assert source.is_classes("band_1")


@pytest.mark.parametrize("mark", NO_MARKS)
def test_values_are_blended_still(make_raster, mark):
    path = make_raster("c.tif", CODES)
    NO_MARKS[mark](path)
    with Source.open(path) as source:
        assert not source.is_classes("band_1")
        values, _ = source.on(SHIFTED).read()
    assert len(np.unique(values)) > 2


def test_each_band_has_its_own_kind(make_raster):
    path = make_raster("c.tif", np.stack([CODES, CODES, CODES]), bands=["a", "b", "aspect"])
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(2, class_10="wood")
    with Source.open(path) as source:
        values, _ = source.on(SHIFTED).read()
    assert [len(np.unique(band)) > 2 for band in values] == [True, False, False]


def test_names_of_classes_come_from_all_tables_and_our_own_go_first(make_raster):
    path = make_raster("c.tif", CODES)
    tag(path, class_80="lake")
    beside(path, table(VALUE, COUNT, NAME))
    with Source.open(path) as source:
        assert source.all_class_names("band_1") == {10: "wood", 80: "lake"}


@pytest.mark.parametrize("value", ["nan", "inf", "10.5", "", "forest"])
def test_rows_of_a_table_that_tell_no_value_are_left_out(make_raster, value):
    path = make_raster("c.tif", CODES)
    beside(path, table((0, "Value", 1, 5), NAME).replace("<F>10</F>", f"<F>{value}</F>"))
    with Source.open(path) as source:
        assert 10 not in source.all_class_names("band_1")


@pytest.mark.parametrize(
    "name", ["aspect", "Aspect", "aspect_2", "dem_aspect", "Aspect (degrees)", "flow direction"]
)
def test_directions_are_known_by_name(name):
    assert is_direction(name)


@pytest.mark.parametrize("name", ["slope", "elevation", "prospect", "aspectual", "band_2", ""])
def test_other_names_are_none(name):
    assert not is_direction(name)
