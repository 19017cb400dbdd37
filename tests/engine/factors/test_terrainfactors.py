"""The command `terrainfactors`: what its file says, and what it refuses."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.request import checked
from rasterio.transform import from_origin

from .deriving import coordinates, read, run


class TestCommand:
    def test_bands_are_named_in_the_order_asked_and_say_where_they_are_from(
        self, make_raster, tmp_path
    ):
        path = make_raster("dem.tif", np.random.default_rng(0).normal(size=(20, 30)).astype("f4"))
        output = tmp_path / "out.tif"
        values = terrainfactors(
            input=path, output=str(output), factors=["slope", "elevation"], progress=Progress()
        )
        assert values == {"output": str(output)}
        with rasterio.open(output) as dataset:
            assert dataset.descriptions == ("slope", "elevation")
            assert dataset.nodata == -9999
            assert dataset.tags()["LANDSLIDE_VERSION"]

    def test_scale_and_offset_of_the_file_count(self, make_raster, tmp_path):
        x, _ = coordinates(9, 10)
        path = make_raster("dem.tif", (x * 10).astype(np.int16))
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (0.1,), (100.0,)
        result = run(path, tmp_path / "out.tif", ["elevation", "slope"])
        np.testing.assert_allclose(result["slope"], 45, atol=1e-4)
        np.testing.assert_allclose(result["elevation"], x + 100, atol=1e-4)

    def test_several_bands_warn(self, make_raster, tmp_path):
        events = []
        path = make_raster("dem.tif", np.zeros((2, 5, 5), np.float32))
        terrainfactors(
            input=path, output=str(tmp_path / "out.tif"), progress=Progress(events.append)
        )
        assert any("2 bands" in event.get("text", "") for event in events)

    def test_a_crs_in_feet_is_honoured_and_warned_of(self, make_raster, tmp_path):
        events = []
        x, _ = coordinates(9, 1000)
        path = make_raster(
            "dem.tif", (x * 0.3048006).astype("f4"), crs="EPSG:2263",
            transform=from_origin(900000, 200000, 1000, 1000),
        )  # fmt: skip
        output = tmp_path / "out.tif"
        terrainfactors(
            input=path, output=str(output), factors=["slope"], progress=Progress(events.append)
        )
        np.testing.assert_allclose(read(output)["slope"], 45, atol=1e-3)
        assert any(event["type"] == "warning" for event in events)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
    def test_a_dem_of_one_pixel_row_or_column_is_refused(self, make_raster, tmp_path, shape):
        path = make_raster("dem.tif", np.zeros(shape, np.float32))
        self.refused(path, tmp_path, InputError, "at least 2 x 2")

    def test_a_dem_without_crs_is_refused(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32), crs=None)
        self.refused(path, tmp_path, GridError, "no CRS")

    def test_a_rotated_dem_is_refused(self, make_raster, tmp_path):
        rotated = from_origin(500000, 5000000, 10, 10) @ Affine.rotation(30)
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32), transform=rotated)
        self.refused(path, tmp_path, GridError, "rotated")

    @pytest.mark.parametrize("declared", [float("nan"), None])
    def test_nan_is_nodata_declared_or_not(self, make_raster, tmp_path, declared):
        heights = np.full((9, 9), 100, np.float32)
        heights[4, 4] = np.nan
        path = make_raster("dem.tif", heights, nodata=declared)
        result = run(path, tmp_path / "out.tif")
        for name, values in result.items():
            np.testing.assert_array_equal(np.ma.getmaskarray(values), np.isnan(heights), name)
        assert result["slope"].max() == 0

    def test_a_dem_of_nan_alone_is_refused(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.full((5, 5), np.nan, np.float32), nodata=np.nan)
        self.refused(path, tmp_path, InputError, "no valid pixel")
        self.refused(path, tmp_path, InputError, "no valid pixel", factors=["twi"])

    def test_a_cancelled_run_ends_at_once_and_leaves_nothing(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.zeros((2000, 40), np.float32))
        old = tmp_path / "out.tif"
        old.write_text("old")

        def cancel(event):
            raise SystemExit(143)

        with pytest.raises(SystemExit):
            terrainfactors(input=str(path), output=str(old), progress=Progress(cancel))
        assert old.read_text() == "old"
        assert not list(tmp_path.glob(".partial-*"))

    def test_a_dem_of_nodata_alone_is_refused(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.full((5, 5), -1, np.float32), nodata=-1)
        self.refused(path, tmp_path, InputError, "no valid pixel")

    def test_a_missing_file_is_refused(self, tmp_path):
        self.refused(tmp_path / "none.tif", tmp_path, InputError, "does not exist")

    def test_what_is_no_raster_is_refused(self, tmp_path):
        (tmp_path / "text.tif").write_text("no raster")
        self.refused(tmp_path / "text.tif", tmp_path, InputError, "not a raster")

    def test_unknown_factors_are_named(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32))
        self.refused(path, tmp_path, InputError, "wetness", factors=["slope", "wetness"])
        self.refused(path, tmp_path, InputError, "choose from elevation", factors=[])

    @pytest.mark.parametrize("smoothing", [-1.0, 1e6, float("nan")])
    def test_a_smoothing_that_does_not_fit_is_refused(self, make_raster, tmp_path, smoothing):
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32))
        self.refused(path, tmp_path, InputError, "(?i)smoothing", smoothing=smoothing)

    @staticmethod
    def refused(path, tmp_path, error, text, **parameters):
        output = tmp_path / "out.tif"
        with pytest.raises(error, match=text) as caught:
            given = {"input": str(path), "output": str(output), **parameters}
            given = checked("terrainfactors", terrainfactors, given)
            terrainfactors(**given, progress=Progress())
        assert "\n" not in str(caught.value)
        assert not output.exists()
        assert not list(tmp_path.glob(".partial-*"))
