"""Names that stand in other files: as GDAL takes them, relative ones beside the file."""

import pytest
from landslide_mapper.landslide_plugin.core.addresses import beside


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b.tif", "/data/b.tif"),
        ("/other/b.tif", "/other/b.tif"),
        ("https://a.org/b.tif", "/vsicurl/https://a.org/b.tif"),
        ("s3://bucket/b.tif", "/vsis3/bucket/b.tif"),
        ("/vsizip/a.zip/b.tif", "/vsizip/a.zip/b.tif"),
        ("file:///other/b.tif", "/other/b.tif"),
        ("file:///other%20place/%C3%A4.tif", "/other place/ä.tif"),
    ],
)
def test_names_in_a_file_are_as_gdal_takes_them(name, expected):
    assert beside("/data/list.txt", name) == expected


@pytest.mark.parametrize(
    ("file", "name", "expected"),
    [
        ("https://a.org/x/i.json?q=1/2", "b.tif", "/vsicurl/https://a.org/x/b.tif"),
        ("/vsicurl/https://a.org/x/i.vrt", "../b.tif", "/vsicurl/https://a.org/b.tif"),
        ("https://a.org/x/i.json", "/b.tif", "/vsicurl/https://a.org/b.tif"),
        ("s3://bucket/x/i.vrt", "y/b.tif", "/vsis3/bucket/x/y/b.tif"),
        ("/vsis3/bucket/x/i.vrt", ".././b.tif", "/vsis3/bucket/b.tif"),
        ("/vsizip//vsicurl/https://a.org/a.zip/i.vrt", "b.tif",
         "/vsizip//vsicurl/https://a.org/a.zip/b.tif"),
        ("s3://bucket/i.vrt", "../../../../b.tif", "b.tif"),
        ("https://a.org/i.json", "//[", "/vsicurl/https://a.org/i.json///["),
    ],
)  # fmt: skip
def test_what_is_relative_lies_beside_an_address_too(file, name, expected):
    assert beside(file, name) == expected
