"""Classes of the geology that the model does not know, and those that it knows and are not here."""

import geopandas as gpd
import pytest
from landslide_mapper.landslide_plugin.chain.derive import Derivation, derive
from landslide_mapper.landslide_plugin.chain.plan import Given, plan
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster.stack import LayerStack
from shapely import box

MODEL = ["lithology_old_granite", "lithology_marl"]


@pytest.fixture
def derived(layers, tmp_path):
    """Return a function that derives a model's classes, west and east, and those of far away."""

    def make(west, east, far="Marl"):
        path = tmp_path / "geology.gpkg"
        gpd.GeoDataFrame(
            {"rock": [west, east, far]},
            geometry=[
                box(500000, 4999200, 500350, 5000000),
                box(500350, 4999200, 500700, 5000000),
                box(600000, 4999200, 600700, 5000000),
            ],
            crs=32632,
        ).to_file(path)
        given, events = Given(geology=str(path)), []
        settings = Derivation(geology_field="rock")
        wanted, progress = plan(MODEL, given), Progress(events.append)
        result = derive(layers["image"], given, wanted, settings, tmp_path, progress)
        with LayerStack.open(result.layers[1:]) as stack:
            values, valid = stack.read()
            assert valid.all()
            means = dict(zip(stack.bands, values.mean(axis=(1, 2)).tolist(), strict=True))
        warnings = [event["text"] for event in events if event["type"] == "warning"]
        return means, warnings, result.steps

    return make


def test_the_names_of_classes_are_compared_whatever_their_letters(derived):
    means, warnings, steps = derived("OLD GRANITE ", "marl")
    assert means == dict.fromkeys(MODEL, 0.5)
    assert warnings == ["Marl, marl differ in capitals alone: one class."]
    assert steps == ["Lithology: Marl, OLD GRANITE."]


def test_a_class_that_does_not_occur_is_0_everywhere(derived):
    means, warnings, steps = derived("Old granite", "Old granite", far="Basalt")
    assert {band: means[band] for band in MODEL} == dict(zip(MODEL, (1, 0), strict=True))
    assert not warnings and steps == ["Lithology: Old granite."]


def test_a_class_on_which_the_model_was_not_trained_is_told(derived):
    means, warnings, _ = derived("Old granite", "Limestone", far="Basalt")
    assert {band: means[band] for band in MODEL} == dict(zip(MODEL, (0.5, 0), strict=True))
    assert len(warnings) == 1 and "old_granite, marl, but the geology here holds Lim" in warnings[0]
    assert "Basalt" not in warnings[0]


def test_a_geology_of_other_classes_is_refused(derived):
    with pytest.raises(InputError, match="none of the classes that the model knows"):
        derived("1", "2", far="3")
