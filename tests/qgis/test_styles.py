"""How layers look: ramps by band, units in legends, aliases, categories."""

import numpy as np
import pytest
from landslide_mapper.processing_algorithms import ALGORITHMS, styles
from landslide_mapper.processing_algorithms.ramps import BANDS, label, ramp_of
from osgeo import gdal, osr
from qgis.core import (
    QgsExpression,
    QgsExpressionContext,
    QgsFeature,
    QgsGeometry,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt

SQUARE = "POLYGON((0 0, 1 0, 1 1, 0 0))"


@pytest.fixture
def layer(qgis_app, tmp_path):
    def make(name, values, **items):
        values = np.asarray(values, np.float32)
        path = str(tmp_path / f"{name}.tif")
        dataset = gdal.GetDriverByName("GTiff").Create(
            path, *values.shape[::-1], 1, gdal.GDT_Float32
        )
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(32632)
        dataset.SetProjection(crs.ExportToWkt())
        dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
        band = dataset.GetRasterBand(1)
        band.WriteArray(values)
        band.SetDescription(name)
        band.SetMetadata(items)
        band = dataset = None
        return QgsRasterLayer(path, name)

    return make


def labels(layer):
    return [
        item.label for item in layer.renderer().shader().rasterShaderFunction().colorRampItemList()
    ]


def test_every_raster_and_vector_output_has_a_style():
    unstyled = {
        (kind.ID, parameter.name())
        for kind in ALGORITHMS
        for parameter, _ in kind().declare()
        if parameter.type() in ("rasterDestination", "vectorDestination")
        and parameter.name() not in kind.STYLES
    }
    assert not unstyled


@pytest.mark.parametrize("band", BANDS)
def test_each_factor_has_its_ramp(layer, band):
    factor = layer(band, np.linspace(-1, 50, 100).reshape(10, 10))
    styles.apply("factors", factor)
    renderer = factor.renderer()
    assert renderer.type() == "singlebandpseudocolor"
    assert renderer.classificationMin() < renderer.classificationMax()
    if BANDS[band].unit and not BANDS[band].words:
        assert all(text.endswith(BANDS[band].unit) for text in labels(factor))


def test_the_legend_names_values_with_their_unit(layer):
    slope = layer("slope", [[0, 30, 60]])
    styles.apply("factors", slope)
    assert labels(slope) == ["0°", "15°", "30°", "45°", "60°"]
    settings = slope.renderer().shader().rasterShaderFunction().legendSettings()
    assert not settings.useContinuousLegend()


def test_the_legend_of_a_probability_marks_the_threshold_that_it_carries(layer):
    def marked(text):
        path = layer("probability", [[0, 0.6, 1]]).source()
        dataset = gdal.Open(path, gdal.GA_Update)
        dataset.SetMetadataItem("LANDSLIDE_THRESHOLD", text)
        dataset = None
        probability = QgsRasterLayer(path, "probability")
        styles.apply("probability", probability)
        return probability

    plain = ["0 (no landslide)", "0.25", "0.5", "0.75", "1 (landslide)"]
    probability = marked("0.695")
    assert labels(probability) == [*plain[:3], "0.695 (threshold)", *plain[3:]]
    plain_one = marked("*")  # as GDAL writes where tiles differ
    assert labels(plain_one) == plain
    assert labels(marked("0.5")) == [*plain[:2], "0.5 (threshold)", *plain[3:]]
    for value in (0.1, 0.65, 0.695, 0.72, 0.9):  # the colours stay what they are
        one, other = (
            layer.renderer().shader().shade(value)[1:] for layer in (probability, plain_one)
        )
        assert np.allclose(one, other, atol=3)


PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)


@pytest.mark.parametrize("seen", [PROTANOPIA, DEUTERANOPIA])
def test_colour_blind_readers_tell_north_east_south_and_west_apart(seen):
    """Machado et al. 2009, IEEE Trans. Vis. Comput. Graph. 15:1291; in gamma 2.2."""
    ramp = ramp_of("aspect")
    assert ramp is not None
    stops = [color for _, color in ramp.stops[:4]]
    rgb = np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in stops]) / 255
    shown = np.clip(rgb**2.2 @ np.transpose(seen), 0, 1) ** (1 / 2.2)
    apart = np.linalg.norm(shown[:, None] - shown[None], axis=2)
    assert apart[np.triu_indices(4, 1)].min() > 0.4


def test_north_has_one_colour_from_both_sides(layer):
    aspect = layer("aspect", [[0, 90, 359]])
    styles.apply("factors", aspect)
    shader = aspect.renderer().shader()
    assert shader.shade(0.0) == shader.shade(360.0)
    assert labels(aspect)[1] == "east (90°)"


def test_curvature_and_change_have_zero_in_the_middle(layer):
    for name in ("plan_curvature", "dndvi"):
        both = layer(name, np.linspace(-0.1, 0.3, 100).reshape(10, 10))
        styles.apply("factors", both)
        renderer = both.renderer()
        assert renderer.classificationMin() == -renderer.classificationMax()


def test_distance_in_levels_shows_their_names(layer):
    levels = layer(
        "river_distance", [[0, 1]], class_0="0 to 30 m", class_1="30 m on", ordinal="yes"
    )
    styles.apply("distance", levels)
    assert [item.label for item in levels.renderer().classes()] == ["0 to 30 m", "30 m on"]


def test_a_band_of_one_class_is_named(layer):
    one = layer("lithology_marl", [[0, 1]])
    styles.apply("classes", one)
    assert [item.label for item in one.renderer().classes()] == ["another class", "lithology_marl"]


def test_a_raster_of_one_value_is_drawn(layer):
    flat = layer("elevation", np.full((5, 5), 700))
    styles.apply("factors", flat)
    assert flat.renderer().classificationMin() < flat.renderer().classificationMax()


def test_unknown_bands_have_no_ramp():
    assert ramp_of("blue") is None and ramp_of("d") is None
    road = ramp_of("road_distance")
    assert road is not None and road.unit == "m"
    assert label(1234.5, BANDS["elevation"]) in ("1234 m", "1235 m")


def vector(kind, field, values, wkt):
    written = QgsVectorLayer(f"{kind}?crs=EPSG:32632&{field}", "x", "memory")
    for value in values:
        feature = QgsFeature(written.fields())
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        feature.setAttributes(list(value) if isinstance(value, tuple) else [value])
        written.dataProvider().addFeature(feature)
    return written


def test_source_and_runout_are_told_apart(qgis_app):
    parted = vector("Polygon", "field=part:string", ["source", "runout"], SQUARE)
    styles.apply("inventory", parted)
    assert [item.label() for item in parted.renderer().categories()][:2] == [
        "landslide, runout",
        "landslide, source",
    ]
    whole = vector("Polygon", "field=part:string", [None], SQUARE)
    styles.apply("inventory", whole)
    assert whole.renderer().type() == "singleSymbol"


def test_kinds_of_landslide_have_one_colour_each_in_mask_and_inventory(layer):
    mask = layer("landslide", [[0, 1, 2]], class_1="rock_fall", class_2="debris_flow")
    styles.apply("mask", mask)
    clear, *painted = mask.renderer().classes()
    assert (clear.value, clear.color.alpha(), clear.label) == (0, 0, "no landslide")
    kinds = ["rock fall", "debris flow", None]
    inventory = vector("Polygon", "field=kind:string", kinds, SQUARE)
    styles.apply("inventory", inventory)
    drawn = {
        item.value(): item.symbol().symbolLayer(0).strokeColor().name()
        for item in inventory.renderer().categories()
    }
    assert drawn.pop("")  # what has no kind is drawn too
    assert {item.label: item.color.name() for item in painted} == drawn
    assert len(set(drawn.values())) == 2


def test_source_and_runout_of_kinds_are_told_apart(qgis_app):
    parts = [("fall", "source"), ("fall", "runout"), ("flow", None), (None, "source"), (None, None)]
    inventory = vector("Polygon", "field=kind:string&field=part:string", parts, SQUARE)
    styles.apply("inventory", inventory)
    categories = {item.value(): item for item in inventory.renderer().categories()}
    told, context = QgsExpression(inventory.renderer().classAttribute()), QgsExpressionContext()
    hatched, colors = [], []
    for feature in inventory.getFeatures():
        context.setFeature(feature)
        item = categories.get(told.evaluate(context), categories[""])
        drawn = item.symbol().symbolLayer(0)
        hatched.append(drawn.brushStyle() != Qt.BrushStyle.NoBrush)
        colors.append(drawn.strokeColor().name())
    fall, runout, flow, *others = colors
    assert fall == runout != flow and set(others) == {styles.FAULT.name()}
    assert hatched == [True, False, False, False, False]
    assert list(categories)[:3] == ["fall", "fall, runout", "fall, source"]


def test_landslides_of_one_kind_are_red(layer):
    mask = layer("landslide", [[0, 1]], class_0="background", class_1="landslide")
    styles.apply("mask", mask)
    assert [item.value for item in mask.renderer().classes()] == [0, 1]
    assert mask.renderer().classes()[1].color == styles.LANDSLIDE
    inventory = vector("Polygon", "field=kind:string", ["slide", None], SQUARE)
    styles.apply("inventory", inventory)
    assert inventory.renderer().type() == "singleSymbol"


def test_fields_have_aliases_with_units(qgis_app):
    inventory = QgsVectorLayer(
        "Polygon?crs=EPSG:32632&field=area_m2:double&field=perim_m:double&field=mine:int",
        "x",
        "memory",
    )
    styles.apply("inventory", inventory)
    assert [inventory.attributeAlias(i) for i in range(3)] == ["Area (m²)", "Perimeter (m)", ""]


def test_streams_are_wider_the_higher_their_order(qgis_app):
    streams = vector("LineString", "field=strahler:integer", [1, 3], "LINESTRING(0 0, 1 1)")
    styles.apply("lines", streams)
    widths = [item.symbol().width() for item in streams.renderer().categories()]
    assert widths == sorted(widths) and len(set(widths)) == 2
    assert streams.renderer().categories()[1].label() == "stream of order 3"
