"""The command mosaic: a virtual raster of files, on top the first or the newest."""

import shutil

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Source
from rasterio.transform import from_origin

from ..raster.tiling import damage


@pytest.fixture
def tiles(make_raster, tmp_path):
    """Three files of value 1, 2 and 3; all lie on one pixel, each on one more."""
    (tmp_path / "tiles").mkdir()
    for value, day in enumerate(("20180905", "20190101", "20181001"), start=1):
        array = np.zeros((1, 1, 4), np.uint8)
        array[..., [0, value]] = value
        make_raster(f"tiles/{value}_{day}.tif", array, nodata=0, bands=["red"])
    return tmp_path / "tiles"


def run(output, **parameters):
    events = []
    told = run_command("mosaic", {**parameters, "output": str(output)}, Progress(events.append))
    with Source.open(told["output"]) as source:
        return source.read()[0].ravel().tolist(), told["count"], events


@pytest.mark.parametrize(("order", "top"), [("first", 1), ("newest", 2)])
def test_the_first_or_the_newest_lies_on_top(tiles, tmp_path, order, top):
    values, count, _ = run(tmp_path / "image.vrt", input=str(tiles), order=order)
    assert values == [top, 1, 2, 3] and count == 3


def test_the_date_in_the_metadata_goes_before_that_in_the_name(tiles, tmp_path):
    with rasterio.open(tiles / "1_20180905.tif", "r+") as dataset:
        dataset.update_tags(LANDSLIDE_DATE="2020-01-01")
    assert run(tmp_path / "image.vrt", input=str(tiles), order="newest")[0][0] == 1


def test_a_file_without_a_date_is_refused_where_dates_count(tiles, tmp_path):
    (tiles / "1_20180905.tif").rename(tiles / "1.tif")
    with pytest.raises(InputError, match=r"1.tif tells no date"):
        run(tmp_path / "image.vrt", input=str(tiles), order="newest")


def test_rasters_in_a_geopackage_are_tiles_by_their_names(make_raster, tmp_path, monkeypatch):
    heights = np.arange(12, dtype=np.float32).reshape(3, 4)
    for name, left in (("A", 0), ("B", 40)):
        tile = make_raster(f"{name}.tif", heights + left, transform=from_origin(left, 0, 10, 10))
        rasterio.shutil.copy(
            tile, tmp_path / "t.gpkg", driver="GPKG", RASTER_TABLE=name, TILE_FORMAT="TIFF",
            APPEND_SUBDATASET="YES" if left else "NO",
        )  # fmt: skip
    monkeypatch.chdir(tmp_path)  # where a name that is no path does not lie
    names = [f"GPKG:{tmp_path}/t.gpkg:{name}" for name in "AB"]
    values, count, _ = run(tmp_path / "image.vrt", tiles=names)
    assert count == 2 and values == np.hstack([heights, heights + 40]).ravel().tolist()


def test_bands_have_names_and_the_run_is_told(tiles, tmp_path):
    run(tmp_path / "image.vrt", input=str(tiles))
    with rasterio.open(tmp_path / "image.vrt") as dataset:  # any other program
        assert dataset.descriptions == ("red",) and dataset.nodata == 0
        assert dataset.tags()["LANDSLIDE_ALGORITHM"] == "landslide:mosaic"


def test_it_may_be_moved_with_its_files(tiles, tmp_path):
    run(tmp_path / "image.vrt", input=str(tiles))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for one in (tiles, tmp_path / "image.vrt"):
        shutil.move(one, moved)
    with Source.open(moved / "image.vrt") as source:
        assert source.read()[0].ravel().tolist() == [1, 1, 2, 3]


def test_missing_and_damaged_files_are_nodata_where_that_is_asked_for(tiles, tmp_path):
    damage(tiles / "1_20180905.tif")
    paths = [*map(str, sorted(tiles.iterdir())), str(tiles / "none.tif")]
    with pytest.raises(InputError, match=r"as one image: the file .*none.tif does not exist"):
        run(tmp_path / "image.vrt", tiles=paths)
    values, count, events = run(tmp_path / "image.vrt", tiles=paths, missing="nodata")
    assert values == [2, 0, 2, 3] and count == 2
    (warning,) = (event["text"] for event in events if event["type"] == "warning")
    assert warning.startswith("2 of 4 files are missing or damaged, and nodata: ")
    assert "1_20180905.tif" in warning and "none.tif" in warning


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, "No file is left to read"),
        ({"input": "none"}, "INPUT is none, which names no rasters"),
        ({"tiles": ["none.tif"], "missing": "nodata"}, "No file is left to read"),
        ({"output": "image.tif"}, "choose a name that ends in .vrt"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, parameters, reason):
    output = tmp_path / parameters.get("output", "image.vrt")
    with pytest.raises(InputError, match=reason):
        run(output, **{key: parameters[key] for key in parameters if key != "output"})
    assert not output.exists()


def test_a_layer_with_settings_of_qgis_is_refused(tiles, tmp_path):
    view = tmp_path / "view.vrt"
    rasterio.shutil.copy(str(tiles / "1_20180905.tif"), str(view), driver="VRT")
    text = view.read_text().replace(
        "<GeoTransform>",
        '<Metadata><MDI key="LANDSLIDE_FILE">scene.tif</MDI></Metadata><GeoTransform>',
    )
    view.write_text(text)
    with pytest.raises(InputError, match=r"scene.tif has a CRS or no-data value that is set in"):
        run(tmp_path / "image.vrt", tiles=[str(view)])


def test_no_tile_is_its_output(tiles, tmp_path, make_raster):
    east = make_raster("east.vrt", np.ones((1, 1, 4)), transform=from_origin(600000, 5e6, 10, 10))
    with pytest.raises(InputError, match="is an input of this run"):
        run(east, tiles=[east])


class TestZone:
    @pytest.fixture
    def zones(self, tiles, make_raster):
        """The three files, and one of the next zone."""
        make_raster("tiles/4_20180905.tif", np.full((1, 1, 2), 4, np.uint8), "EPSG:32633", nodata=0)
        with rasterio.open(tiles / "4_20180905.tif", "r+") as dataset:
            dataset.descriptions = ["red"]
        return tiles

    def test_files_of_one_crs_are_taken(self, zones, tmp_path):
        for zone, expected in (("EPSG:32632", [1, 1, 2, 3]), ("epsg:32633", [4, 4])):
            assert run(tmp_path / "image.vrt", input=str(zones), zone=zone)[0] == expected
            with Source.open(tmp_path / "image.vrt") as source:
                assert source.grid.crs == rasterio.crs.CRS.from_user_input(zone)

    def test_without_it_the_sentence_tells_of_it(self, zones, tmp_path):
        with pytest.raises(GridError, match=r"of 2 CRSs .*: make an image of each by ZONE"):
            run(tmp_path / "image.vrt", input=str(zones))

    def test_one_that_no_file_has(self, zones, tmp_path):
        with pytest.raises(InputError, match=r"32654; they are of EPSG:32632, EPSG:32633\."):
            run(tmp_path / "image.vrt", input=str(zones), zone="EPSG:32654")
        with pytest.raises(InputError, match="ZONE is north, which is no CRS"):
            run(tmp_path / "image.vrt", input=str(zones), zone="north")
