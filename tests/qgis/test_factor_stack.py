"""The graphical model that makes a stack of factors: what it is made of, and runs."""

from pathlib import Path

import numpy as np
import processing
import pytest
from osgeo import gdal, osr
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm, QgsVectorLayer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "processing_algorithms" / "workflows" / "factor_stack.model3"
STEPS = {
    "terrainfactors": "terrainfactors",
    "streams": "streams",
    "river_distance": "distance",
    "fault_distance": "distance",
    "lithology": "classes",
    "stack": "stack",
}
BANDS = [
    "elevation",
    "slope",
    "aspect",
    "northness",
    "eastness",
    "plan_curvature",
    "profile_curvature",
    "curvature",
    "river_distance",
    "fault_distance",
]

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture
def model():
    model = QgsProcessingModelAlgorithm()
    assert model.fromFile(str(MODEL))
    return model


@pytest.fixture
def valley(tmp_path):
    """A valley of 60 x 61 pixels of 10 m that falls to the south, with a DEM, a fault, geology."""
    rows, columns = np.mgrid[:60, :61].astype(np.float32)
    dem = write_raster(tmp_path / "dem.tif", abs(columns - 30) * 5 + (60 - rows) * 2)
    codes = write_raster(tmp_path / "geology.tif", np.where(columns < 30, 3, 7).astype(np.float32))
    fault = QgsVectorLayer("LineString?crs=EPSG:32632", "fault", "memory")
    add(fault, "LINESTRING(499900 4999695, 500800 4999695)")
    return {"dem": dem, "faults": fault, "geology": codes, "min_area": 0.1}


def write_raster(path, array):
    height, width = array.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, 1, gdal.GDT_Float32)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    dataset.GetRasterBand(1).WriteArray(array)
    return str(path)


def add(layer, wkt, **fields):
    from qgis.core import QgsFeature, QgsGeometry

    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromWkt(wkt))
    for name, value in fields.items():
        feature[name] = value
    layer.dataProvider().addFeature(feature)


def read_bands(path):
    dataset = gdal.Open(path)
    names = [dataset.GetRasterBand(i + 1).GetDescription() for i in range(dataset.RasterCount)]
    return dict(zip(names, dataset.ReadAsArray(), strict=True))


def test_model_is_valid(model):
    valid, issues = model.validate()
    assert valid, issues
    assert model.displayName() == "Factor stack from DEM, faults and geology"
    children = {key: child.algorithmId() for key, child in model.childAlgorithms().items()}
    assert children == {key: f"landslide:{step}" for key, step in STEPS.items()}
    for child in model.childAlgorithms().values():
        known = {item.name() for item in child.algorithm().parameterDefinitions()}
        assert set(child.parameterSources()) <= known


def test_inputs_and_outputs_are_those_documented(model):
    assert [item.name() for item in model.parameterDefinitions()] == [
        "dem",
        "faults",
        "geology",
        "geology_field",
        "smoothing",
        "min_area",
        "stack:Stack",
    ]
    text = model.shortHelpString()
    for item in model.parameterDefinitions():
        assert item.help() or item.description() in text


def test_boxes_do_not_lie_on_each_other(model):
    boxes = [*model.childAlgorithms().values(), *model.parameterComponents().values()]
    for child in model.childAlgorithms().values():
        boxes += child.modelOutputs().values()
    positions = [(box.position().x(), box.position().y()) for box in boxes]
    for number, (x, y) in enumerate(positions):
        for left, top in positions[:number]:
            assert abs(x - left) >= 250 or abs(y - top) >= 100


def test_provider_lists_the_model():
    listed = QgsApplication.processingRegistry().providerById("landslide").algorithms()
    assert "Factor stack from DEM, faults and geology" in {item.name() for item in listed}


def test_stack_of_a_valley_and_its_analysis(engine, model, valley, tmp_path):
    written = processing.run(model, {**valley, "stack:Stack": str(tmp_path / "stack.tif")})
    bands = read_bands(written["stack:Stack"])
    assert list(bands) == [*BANDS, "lithology_3", "lithology_7"]
    columns = np.arange(61)
    np.testing.assert_allclose(bands["slope"][30, 5], np.degrees(np.hypot(0.5, 0.2)), rtol=0.1)
    np.testing.assert_allclose(bands["river_distance"][55], abs(columns - 30) * 10, atol=0.1)
    np.testing.assert_allclose(bands["fault_distance"][:30, 9], np.arange(300, 0, -10), atol=0.1)
    assert (bands["lithology_3"] == (columns < 30)).all()
    assert (bands["lithology_3"] + bands["lithology_7"] == 1).all()

    landslides = write_raster(tmp_path / "mask.tif", (bands["river_distance"] < 60).astype("f4"))
    result = processing.run(
        "landslide:factoranalysis",
        {
            "STACK": written["stack:Stack"],
            "LANDSLIDES": landslides,
            "CLASSES": 3,
            "HTML": str(tmp_path / "factors.html"),
            "TABLE": str(tmp_path / "factors.csv"),
        },
    )
    assert result["AUC_BLOCKS"] > 0.95
    table = Path(result["TABLE"]).read_text(encoding="utf-8")
    assert table.count("lithology,classes") == 2
    assert "river_distance" in Path(result["HTML"]).read_text(encoding="utf-8")


def test_geology_may_be_polygons(engine, model, valley, tmp_path):
    geology = QgsVectorLayer("Polygon?crs=EPSG:32632&field=rock:string", "geology", "memory")
    add(
        geology,
        "POLYGON((499000 4990000,501000 4990000,501000 5001000,499000 5001000,499000 4990000))",
        rock="Flysch",
    )
    changed = {"geology": geology, "geology_field": "rock", "stack:Stack": str(tmp_path / "s.tif")}
    written = processing.run(model, {**valley, **changed})
    assert list(read_bands(written["stack:Stack"])) == [*BANDS, "lithology_flysch"]
