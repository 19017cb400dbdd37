"""What names many files: tile indexes as of gdaltindex, STAC as of pystac, GeoParquet."""

import json
import shutil
import subprocess
from datetime import UTC, datetime
from zipfile import ZipFile

import geopandas as gpd
import numpy as np
import pystac
import pytest
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.access import PROTOCOLS
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.landslide_plugin.raster.reflectance import reflectance_units
from landslide_mapper.landslide_plugin.raster.scene_date import scene_date
from landslide_mapper.landslide_plugin.raster.tiles import tiles_of
from rasterio.transform import from_origin
from shapely.geometry import box

DATES = {"west": datetime(2018, 9, 11, tzinfo=UTC), "east": datetime(2018, 9, 6, tzinfo=UTC)}
SQUARE = box(0, 0, 1, 1)
WANTED = [[1, 1, 1, 2]]
"""Of the two tiles, side by side but for a pixel that both have, the western one on top."""


@pytest.fixture
def tiles(make_raster, tmp_path):
    """Two tiles each of two bands, in files of their own; paths by tile and band."""
    (tmp_path / "tiles").mkdir()
    return {
        (tile, band): make_raster(
            f"tiles/{tile}_{band}.tif",
            np.full((1, 1, width), value + step, np.uint8),
            transform=from_origin(500000 + left, 5000000, 10, 10),
        )
        for tile, value, left, width in (("west", 1, 0, 3), ("east", 2, 20, 2))
        for band, step in (("B04", 0), ("B08", 10))
    }


@pytest.fixture
def red(tiles):
    return [tiles["west", "B04"], tiles["east", "B04"]]


@pytest.fixture
def items_that_say(tiles, make_raster, tmp_path):
    """Return a function that writes items of numbers of 1500, with properties and an offset."""

    def write(said):
        for name, left in (("west", 0), ("east", 20)):
            transform = from_origin(500000 + left, 5000000, 10, 10)
            numbers = np.full((2, 2), 1500, np.uint16)
            make_raster(f"tiles/{name}_B04.tif", numbers, transform=transform)
        path = collection(tiles, tmp_path, "B04")
        told = json.loads(path.read_text())
        for item in told["features"]:
            properties, offset = said[item["id"]]
            item["properties"] |= properties
            if offset is not None:
                item["assets"]["b04"]["raster:bands"] = [{"scale": 1e-4, "offset": offset}]
        path.write_text(json.dumps(told))
        return path

    return write


def items_of(tiles, keys):
    names = {"B04": "red", "B08": "nir"}
    for tile, day in DATES.items():
        item = pystac.Item(tile, None, None, day, {})
        for key in keys:
            asset = pystac.Asset(
                f"./tiles/{tile}_{key}.tif",
                media_type=pystac.MediaType.COG,
                roles=["data"],
                extra_fields={"eo:bands": [{"name": key, "common_name": names[key]}]},
            )
            item.add_asset(key.lower(), asset)
        item.add_asset("thumb", pystac.Asset("./none.png", roles=["thumbnail"]))
        yield item


def collection(tiles, tmp_path, *keys):
    path = tmp_path / "items.json"
    features = [item.to_dict(include_self_link=False) for item in items_of(tiles, keys)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def values_of(path):
    with Source.open(path) as source:
        return source.read()[0][0].tolist()


class TestFolder:
    """One of an archive, as of an object store: GDAL lists both."""

    @pytest.fixture
    def archive(self, red, tmp_path):
        with ZipFile(tmp_path / "tiles.zip", "w") as file:
            for path, name in zip(red, ("red/2.tif", "red/1.TIF"), strict=True):
                file.write(path, name)
            file.write(red[0], "red/deeper/0.tif")
            file.writestr("red/readme.txt", "no raster")
        return f"/vsizip/{tmp_path}/tiles.zip/red/"

    def test_its_files_by_name_and_none_of_folders_within_it(self, archive):
        named = tiles_of(archive) or []
        assert [one.path for one in named] == [f"{archive}1.TIF", f"{archive}2.tif"]
        assert values_of(archive) == [[1, 1, 2, 2]]  # the eastern one on top

    def test_one_that_can_not_be_listed_is_refused(self, archive, monkeypatch):
        with pytest.raises(InputError, match=r"folder .*/none/ can't be listed: check its"):
            Source.open(f"{archive}none/")
        monkeypatch.setenv(PROTOCOLS, "")
        with pytest.raises(InputError, match="uses vsizip, which is not allowed here"):
            Source.open(archive)


class TestIndex:
    @pytest.mark.parametrize("ending", ["shp", "gpkg", "geojson"])
    def test_the_files_of_gdaltindex_are_one_image(self, red, tmp_path, ending):
        if shutil.which("gdaltindex") is None:
            pytest.skip("gdaltindex is absent")
        formats = {"shp": "ESRI Shapefile", "gpkg": "GPKG", "geojson": "GeoJSON"}
        index = tmp_path / f"index.{ending}"
        command = ["gdaltindex", "-f", formats[ending], str(index), *red]
        subprocess.run(command, check=True, capture_output=True)
        assert values_of(index) == WANTED

    def test_relative_ones_lie_beside_it(self, red, tmp_path):
        frame = gpd.GeoDataFrame(
            {"location": ["tiles/west_B04.tif", "tiles/east_B04.tif"]},
            geometry=[SQUARE] * 2,
            crs=32632,
        )
        frame.to_file(tmp_path / "index.fgb")
        assert values_of(tmp_path / "index.fgb") == WANTED

    def test_a_footprint_without_a_file_is_refused(self, tmp_path):
        frame = gpd.GeoDataFrame({"location": ["a.tif", None]}, geometry=[SQUARE] * 2, crs=32632)
        frame.to_file(tmp_path / "index.gpkg")
        with pytest.raises(InputError, match="has a footprint without a file in location"):
            Source.open(tmp_path / "index.gpkg")

    def test_other_polygons_are_no_raster(self, tmp_path):
        frame = gpd.GeoDataFrame({"name": ["a"]}, geometry=[SQUARE], crs=32632)
        frame.to_file(tmp_path / "area.gpkg")
        with pytest.raises(InputError, match="is not a raster that can be read"):
            Source.open(tmp_path / "area.gpkg")


class TestStac:
    def test_items_with_one_asset_are_one_image_with_its_name(self, tiles, tmp_path):
        path = collection(tiles, tmp_path, "B04")
        assert values_of(path) == WANTED
        with Source.open(path) as source:
            assert source.bands == ["red"] and scene_date(source) == ""  # of two days

    def test_the_day_of_all_items_is_the_scene_s(self, tiles, tmp_path, monkeypatch):
        monkeypatch.setitem(DATES, "east", DATES["west"])
        with Source.open(collection(tiles, tmp_path, "B04")) as source:
            assert scene_date(source) == "2018-09-11"

    def test_a_collection_that_links_to_items_in_folders(self, tiles, tmp_path):
        extent = pystac.Extent(
            pystac.SpatialExtent([0, 0, 1, 1]), pystac.TemporalExtent([None, None])
        )
        parent = pystac.Collection("all", "all", extent)
        for item in items_of(tiles, ["B04"]):
            item.geometry, item.bbox = SQUARE.__geo_interface__, [0, 0, 1, 1]
            parent.add_item(item)
            item.assets["b04"].href = tiles[item.id, "B04"]
        parent.normalize_hrefs(str(tmp_path / "catalog"))
        parent.make_all_asset_hrefs_relative()
        parent.save(catalog_type=pystac.CatalogType.SELF_CONTAINED)
        assert values_of(tmp_path / "catalog" / "collection.json") == WANTED
        (tmp_path / "catalog" / "east" / "east.json").unlink()
        with pytest.raises(InputError, match=r"The item .*east.json of .* can't be read"):
            Source.open(tmp_path / "catalog" / "collection.json")

    def test_of_several_assets_some_are_chosen_as_bands(self, tiles, tmp_path):
        path = collection(tiles, tmp_path, "B04", "B08")
        with pytest.raises(InputError, match=r"several assets \(b04, b08\): name those"):
            Source.open(path)
        with Source.open(laid(path, tmp_path, "b08", "b04")) as source:
            assert source.bands == ["nir", "red"]
            assert source.read()[0].tolist() == [[[11, 11, 11, 12]], WANTED]

    @pytest.mark.parametrize(
        ("properties", "offset", "mean"),
        [
            ({}, -0.1, 0.05),
            ({"earthsearch:boa_offset_applied": True}, -0.1, 0.15),
            ({"s2:processing_baseline": "05.09"}, None, 0.05),
            ({"s2:processing_baseline": "03.01"}, None, 0.15),
        ],
    )
    def test_reflectance_is_what_items_say(self, items_that_say, properties, offset, mean):
        with Source.open(items_that_say(dict.fromkeys(DATES, (properties, offset)))) as source:
            assert source.read()[0].mean() == pytest.approx(mean)
            units = reflectance_units(source, "red")
            assert units and units.told == "the file declares it"

    @pytest.mark.parametrize(
        "said", [({}, -0.1), ({"s2:processing_baseline": "05.09"}, None)], ids=str
    )
    def test_items_that_say_different_offsets_are_no_one_image(self, items_that_say, said):
        path = items_that_say({"west": ({"s2:processing_baseline": "03.01"}, None), "east": said})
        with pytest.raises(InputError, match=r"by value x 0\.0001 -0\.1, and .*as their items say"):
            Source.open(path)

    def test_assets_on_several_grids_are_refused(self, tiles, tmp_path, make_raster):
        coarse = from_origin(500000, 5000000, 20, 20)
        make_raster("tiles/west_B08.tif", np.ones((1, 1, 2), np.uint8), transform=coarse)
        make_raster("tiles/east_B08.tif", np.ones((1, 1, 2), np.uint8), transform=coarse)
        with pytest.raises(GridError, match="The asset b08 is on another grid than The asset b04"):
            laid(collection(tiles, tmp_path, "B04", "B08"), tmp_path, "b04", "b08")

    def test_an_asset_that_an_item_lacks_is_named(self, tiles, tmp_path):
        with pytest.raises(InputError, match=r"west of .* has no raster as asset b8a; it has: b04"):
            laid(collection(tiles, tmp_path, "B04"), tmp_path, "b8a")

    def test_the_newest_lies_on_top_by_the_items_dates(self, tiles, tmp_path, monkeypatch):
        monkeypatch.setitem(DATES, "east", datetime(2020, 1, 1, tzinfo=UTC))
        path = laid(collection(tiles, tmp_path, "B04"), tmp_path, order="newest")
        assert values_of(path) == [[1, 1, 2, 2]]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_role_and_type_of_an_asset_may_be_left_out(self, tiles, tmp_path, encoding):
        """As the standard has it; then the ending says what it is."""
        path = collection(tiles, tmp_path, "B04")
        told = json.loads(path.read_text())
        for item in told["features"]:
            for key in item["assets"]:
                item["assets"][key] = {"href": item["assets"][key]["href"]}
        path.write_text(json.dumps(told), encoding=encoding)
        assert values_of(laid(path, tmp_path)) == [[1, 1, 1, 2]]

    @pytest.mark.parametrize("text", ["[]", "{}", "nothing", '{"type": "Feature"}'])
    def test_other_json_is_no_raster(self, tmp_path, text):
        (tmp_path / "a.json").write_text(text)
        assert tiles_of(str(tmp_path / "a.json")) is None

    @pytest.mark.parametrize("href", ["\0", "", "/dev/zero", "/vsistdin/", "none.tif", "x" * 9000])
    def test_an_address_that_is_no_file_is_refused(self, tmp_path, href):
        item = {"type": "Feature", "assets": {"a": {"href": href, "roles": ["data"]}}}
        (tmp_path / "a.json").write_text(json.dumps(item))
        with pytest.raises(InputError):
            laid(tmp_path / "a.json", tmp_path)


def laid(path, tmp_path, *assets, **options):
    output = str(tmp_path / "image.vrt")
    parameters = {"input": str(path), "assets": list(assets), "output": output, **options}
    return run_command("mosaic", parameters, Progress())["output"]


class TestParquet:
    def test_a_package_that_is_missing_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr(
            "landslide_mapper.landslide_plugin.vector.parquet.find_spec", lambda name: None
        )
        (tmp_path / "index.parquet").write_bytes(b"PAR1")
        with pytest.raises(InputError, match="lacks the package pyarrow"):
            Source.open(tmp_path / "index.parquet")

    def test_footprints_and_items(self, red, tiles, tmp_path):
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        table = arrow.table({"location": ["tiles/west_B04.tif", "tiles/east_B04.tif"]})
        parquet.write_table(table, tmp_path / "index.parquet")
        assert values_of(tmp_path / "index.parquet") == WANTED
        items = [
            {"id": item.id, "datetime": item.datetime, "assets": item.to_dict()["assets"]}
            for item in items_of(tiles, ["B04"])
        ]
        parquet.write_table(arrow.Table.from_pylist(items), tmp_path / "items.parquet")
        assert values_of(tmp_path / "items.parquet") == WANTED
        named = tiles_of(str(tmp_path / "items.parquet")) or []
        assert [one.day for one in named] == ["2018-09-11", "2018-09-06"]

    def test_a_damaged_one(self, tmp_path):
        pytest.importorskip("pyarrow")
        (tmp_path / "index.parquet").write_bytes(b"PAR1")
        with pytest.raises(InputError, match="can't be read: it is damaged"):
            Source.open(tmp_path / "index.parquet")
