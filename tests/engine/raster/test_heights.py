"""The unit of heights: the band's, else the vertical CRS's, else metres; said where doubtful."""

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.factors.streams_command import streams
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.raster.heights import length_of
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.request import checked
from rasterio.crs import CRS
from rasterio.transform import from_origin

US_FOOT = 1200 / 3937
NAVD88_FEET = "EPSG:32617+6360"


@pytest.fixture
def dem(make_raster):
    """Return a function that writes a plane of 45 degrees, falling west, heights in a unit."""

    def make(
        metres=1.0, unit="", crs="EPSG:32632", pixel=10.0, name="dem.tif", corner=(5e5, 5.1e6)
    ):
        plane = np.tile(1000 + 10.0 * np.arange(20), (20, 1)) / metres
        transform = from_origin(*corner, pixel, pixel)
        path = make_raster(name, plane.astype(np.float32), crs=crs, transform=transform)
        if unit:
            with rasterio.open(path, "r+") as dataset:
                dataset.units = [unit]
        return path

    return make


def derived(path, tmp_path, **parameters):
    """Return slope and elevation in the middle, and the messages and warnings."""
    events, output = [], str(tmp_path / "factors.tif")
    terrainfactors(
        input=path, output=output, factors=["slope", "elevation"],
        progress=Progress(events.append), **parameters,
    )  # fmt: skip
    with Source.open(output) as source:
        slope, elevation = source.read()[0][:, 10, 10]
    texts = {
        kind: [event["text"] for event in events if event["type"] == kind]
        for kind in ("message", "warning")
    }
    return slope, elevation, texts["message"], texts["warning"]


@pytest.mark.parametrize(
    ("unit", "metres"),
    [
        ("m", 1), ("metre", 1), ("Meters", 1), ("metres above sea level", 1),
        ("ft", 0.3048), ("foot", 0.3048), ("feet", 0.3048), ("FEET", 0.3048),
        ("foot (International)", 0.3048), ("international feet", 0.3048),
        ("US survey foot", US_FOOT), ("us_survey_foot", US_FOOT), ("us-ft", US_FOOT),
        ("ftUS", US_FOOT), ("US survey feet", US_FOOT), ("Foot_US", US_FOOT), ("USft", US_FOOT),
        ("cm", 0.01), ("centimetres", 0.01), ("decimeter", 0.1), ("mm", 0.001), ("km", 1000),
        ("0.1 m", 0.1), ("0,1m", 0.1), ("10 cm", 0.1), ("1e-3 m", 0.001), ("m (EGM96)", 1),
        ("2 dB", None), ("", None), ("degree", None), ("dB", None), ("unknown", None), ("%", None),
    ],
)  # fmt: skip
def test_units_as_files_spell_them(unit, metres):
    result = length_of(unit)
    assert result is None if metres is None else result == pytest.approx(metres, rel=1e-9)


class TestAuto:
    def test_metres_are_taken_without_a_word(self, dem, tmp_path):
        for unit in ("", "m"):
            slope, elevation, messages, warnings = derived(dem(unit=unit), tmp_path)
            assert (slope, elevation) == pytest.approx((45, 1100), abs=1e-2)
            assert messages == warnings == []

    @pytest.mark.parametrize(
        ("unit", "metres", "named"),
        [
            ("US survey foot", US_FOOT, "US survey feet"), ("ft", 0.3048, "feet"),
            ("cm", 0.01, "units of 0.01 m"),
        ],
    )  # fmt: skip
    def test_the_band_says_the_unit(self, dem, tmp_path, unit, metres, named):
        path = dem(metres, unit)
        slope, elevation, messages, warnings = derived(path, tmp_path)
        assert (slope, elevation) == pytest.approx((45, 1100), abs=1e-2)
        assert messages == [
            f"The heights of {path} are {named}, as the file says: turned into metres."
        ]
        assert warnings == []

    def test_the_vertical_crs_says_the_unit(self, dem, tmp_path):
        slope, elevation, messages, _ = derived(dem(US_FOOT, crs=NAVD88_FEET), tmp_path)
        assert (slope, elevation) == pytest.approx((45, 1100), abs=1e-2)
        assert "US survey feet" in messages[0]

    def test_so_do_files_that_keep_no_unit_of_the_band(self, dem, tmp_path):
        path = dem(US_FOOT, crs="EPSG:32617")
        virtual = tmp_path / "dem.vrt"
        with rasterio.open(path) as dataset:
            wkt = CRS.from_user_input(NAVD88_FEET).to_wkt().replace('"', "&quot;")
            virtual.write_text(
                f'<VRTDataset rasterXSize="20" rasterYSize="20"><SRS>{wkt}</SRS><GeoTransform>'
                f"{', '.join(map(str, dataset.transform.to_gdal()))}</GeoTransform>"
                '<VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
                f"<SourceFilename>{path}</SourceFilename></SimpleSource></VRTRasterBand>"
                "</VRTDataset>"
            )
        with rasterio.open(virtual) as dataset:
            assert not dataset.units[0]
        slope, *_ = derived(str(virtual), tmp_path)
        assert slope == pytest.approx(45, abs=1e-2)

    def test_what_is_derived_is_in_metres_and_says_so(self, dem, tmp_path):
        """Elevations derived from feet, taken as a DEM again, are not turned twice."""
        derived(dem(US_FOOT, crs=NAVD88_FEET), tmp_path)
        again = tmp_path / "again"
        again.mkdir()
        with rasterio.open(tmp_path / "factors.tif") as dataset:
            assert dataset.crs == CRS.from_epsg(32617)
            assert not any(dataset.units)

    def test_scale_and_offset_of_the_file_come_first(self, dem, tmp_path):
        path = dem(0.3048 * 0.1, "ft")
        with rasterio.open(path, "r+") as dataset:
            dataset.scales = [0.1]
        slope, elevation, *_ = derived(path, tmp_path)
        assert (slope, elevation) == pytest.approx((45, 1100), abs=1e-2)


class TestDoubt:
    def test_a_map_in_feet_with_heights_of_no_unit(self, dem, tmp_path):
        path = dem(crs="EPSG:2263", pixel=10 / US_FOOT, corner=(9e5, 2e5))
        slope, _, messages, (warning,) = derived(path, tmp_path)
        assert slope == pytest.approx(45, abs=1e-2)
        assert warning == (
            f"The CRS of {path} is in feet, and nothing says what its heights are in: they are "
            "taken as metres; choose the unit of the heights if that is wrong."
        )
        assert messages == []

    def test_a_unit_that_is_not_known(self, dem, tmp_path):
        slope, _, _, (warning,) = derived(dem(unit="cubits"), tmp_path)
        assert slope == pytest.approx(45, abs=1e-2)
        assert "have the unit cubits, which is not known: they are taken as metres" in warning

    def test_a_band_that_contradicts_its_crs(self, dem, tmp_path):
        slope, _, _, (warning,) = derived(dem(1.0, "m", crs=NAVD88_FEET), tmp_path)
        assert slope == pytest.approx(45, abs=1e-2)
        assert "says metres, its vertical CRS US survey feet: they are taken as metres" in warning


class TestChosen:
    @pytest.mark.parametrize(
        ("z_unit", "metres"), [("metre", 1.0), ("foot", 0.3048), ("us_survey_foot", US_FOOT)]
    )
    def test_a_chosen_unit_is_taken(self, dem, tmp_path, z_unit, metres):
        slope, elevation, _, warnings = derived(dem(metres), tmp_path, z_unit=z_unit)
        assert (slope, elevation) == pytest.approx((45, 1100), abs=1e-2)
        assert warnings == []

    def test_against_what_the_file_says_with_a_word(self, dem, tmp_path):
        slope, _, _, (warning,) = derived(dem(0.3048, "m"), tmp_path, z_unit="foot")
        assert slope == pytest.approx(45, abs=1e-2)
        assert "are taken as feet, as was set, though the file says metres" in warning

    def test_another_word_is_refused(self, dem):
        given = {"input": dem(), "output": "slope.tif", "z_unit": "ell"}
        with pytest.raises(InputError, match='Z_UNIT is "ell": choose one of auto, metre, foot'):
            checked("terrainfactors", terrainfactors, given)


@pytest.mark.parametrize(("vertical", "warned"), [("5715", True), ("5714", False)])
def test_a_vertical_crs_that_counts_down_is_warned_of(dem, tmp_path, vertical, warned):
    """EPSG:5715 is depth below mean sea level, 5714 height above it."""
    *_, warnings = derived(dem(crs=f"EPSG:32632+{vertical}"), tmp_path)
    assert any("counts down" in text for text in warnings) == warned


def test_streams_and_wetness_know_the_unit_too(dem, tmp_path):
    paths = dem(), dem(0.3048, "ft", name="feet.tif")
    wetness = []
    for place, path in enumerate(paths):
        output = str(tmp_path / f"{place}.tif")
        terrainfactors(input=path, output=output, factors=["twi"], progress=Progress())
        with Source.open(output) as source:
            wetness.append(source.read()[0])
    assert wetness[1] == pytest.approx(wetness[0], abs=1e-3)
    events = []
    streams(
        input=paths[1], output=str(tmp_path / "s.gpkg"), min_area=0.001,
        progress=Progress(events.append),
    )  # fmt: skip
    assert any("are feet" in event.get("text", "") for event in events)


class TestLayers:
    def feet(self, make_raster, tmp_path):
        path = make_raster("feet.tif", np.ones((2, 20, 20), np.float32), bands=["red", "elevation"])
        with rasterio.open(path, "r+") as dataset:
            dataset.units = ["", "ft"]
        return path

    def test_an_elevation_in_feet_is_refused_where_no_unit_is_asked_for(
        self, make_raster, tmp_path
    ):
        path = self.feet(make_raster, tmp_path)
        with pytest.raises(InputError, match=r"elevation of .*feet\.tif is in feet: derive it"):
            stack(layers=[path], output=str(tmp_path / "s.tif"), progress=Progress())
        with pytest.raises(InputError, match="in feet"):
            vectorize(
                input=path, output=str(tmp_path / "v.gpkg"), threshold=0.5, factors=path,
                progress=Progress(),
            )  # fmt: skip

    def test_other_bands_may_be_in_feet(self, make_raster, tmp_path):
        path = self.feet(make_raster, tmp_path)
        with rasterio.open(path, "r+") as dataset:
            dataset.units = ["ft", "m"]
        assert stack(layers=[path], output=str(tmp_path / "s.tif"), progress=Progress())


def test_a_grid_lies_in_the_horizontal_part_of_its_crs(dem):
    with Source.open(dem(crs=NAVD88_FEET)) as source:
        assert source.grid.crs == CRS.from_epsg(32617)
    heights = CRS.from_epsg(4979)
    assert Grid(heights, from_origin(0, 1, 1, 1), 1, 1).pixel_metres()[0][0] > 1e5


@pytest.mark.parametrize("grey", [True, False])
def test_a_picture_of_a_dem_is_warned_of(make_raster, tmp_path, grey):
    """Its numbers are those of colours; a ramp of greys says nothing else than the numbers do."""
    values = np.tile(np.arange(20, dtype=np.uint8), (20, 1))
    path = make_raster("picture.tif", values)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {i: (i, i if grey else 255 - i, i) for i in range(256)})
    warned = derived(path, tmp_path)[3]
    assert [text.split(" holds ")[1][:18] for text in warned] == (
        [] if grey else ["classes or colours"]
    )
