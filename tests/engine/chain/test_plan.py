"""Which layer each band of a model comes from."""

import pytest
from landslide_mapper.landslide_plugin.chain.plan import Given, plan
from landslide_mapper.landslide_plugin.contract.errors import InputError


def test_each_band_is_traced_to_its_layer():
    bands = ["red", "nir", "ndvi", "profile_curvature", "river_distance", "fault_distance"]
    result = plan(
        [*bands, "lithology_granite"],
        Given(dem="dem.tif", faults="faults.gpkg", geology="geology.gpkg"),
    )
    assert result.image == ["red", "nir"]
    assert result.indices == ["ndvi"]
    assert "profile_curvature" in result.terrain
    assert result.rivers and result.faults and result.geology


def test_classes_of_aspect_are_one_factor():
    result = plan(["aspect_class_north", "aspect_class_flat"], Given(dem="dem.tif"))
    assert result.terrain.count("aspect_class") == 1
    assert not result.image


def test_a_band_with_a_radius_is_derived_from_the_dem_within_that_radius():
    bands = ["relief_500m", "plan_curvature_12.5m", "tpi_500m", "slope"]
    result = plan(bands, Given(dem="dem.tif"))
    assert result.radii == [500.0, 12.5] and result.terrain_in_model and not result.image
    assert result.terrain == ["elevation", "slope", "aspect"]
    assert "factors within 500, 12.5 m" in result.describe()
    names = ["tpi_100", "slope_100m", "tpi_m", "tpi_0m", "tpi_infm", "tpi_100.0m", "tpi_-5m"]
    assert plan(names, Given()).image == names, "of the image, as no factor is called so"


def test_a_distance_that_was_learnt_in_levels_is_not_derived_in_metres():
    bands, given = ["red", "river_distance"], Given(rivers="rivers.gpkg")
    with pytest.raises(InputError, match=r"wants river_distance in levels.*run Predict"):
        plan(bands, given, ["reflectance", "levels"])
    assert plan(bands, given, ["", ""]).rivers


def test_only_what_the_model_needs_is_derived():
    result = plan(["red", "green"], Given(dem="dem.tif"))
    assert not (result.indices or result.rivers or result.faults or result.geology)
    assert result.terrain == ["elevation", "slope", "aspect"]


@pytest.mark.parametrize(
    ("band", "word"), [("fault_distance", "faults"), ("lithology_granite", "geology")]
)
def test_a_missing_layer_is_named(band, word):
    with pytest.raises(InputError, match=word):
        plan([band], Given(dem="dem.tif"))


def test_the_log_says_what_is_derived():
    text = plan(["ndvi", "slope", "river_distance"], Given(dem="dem.tif")).describe()
    assert "ndvi" in text and "slope" in text and "rivers" in text and "faults" not in text


@pytest.mark.parametrize("band", ["slope", "relief_500m", "river_distance"])
def test_without_a_dem_terrain_can_not_be_had(band):
    with pytest.raises(InputError, match=f"{band}: give .*DEM"):
        plan([band], Given())


def test_without_a_dem_nothing_is_derived_for_an_image_model():
    result = plan(["red", "green", "blue"], Given())
    assert not result.terrain and result.describe() == "Derives nothing."
