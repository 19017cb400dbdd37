"""A folder of files that nobody should give as input: damaged, strange, endless, or too much."""

import json
import os
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin

PLACE = from_origin(500000, 5000000, 10, 10)
CRS = "EPSG:32632"
SIDE = 48
ENDINGS = (
    "tif vrt png jp2 img asc nc h5 gpkg shp geojson json fgb safetensors onnx csv zip kml gml xml "
    "npy parquet dbf qml txt"
).split()
NAMES = ["$\\frac{$.tif", "a\nb.tif", "a'b\";--.tif", "\u202e\u0416\U0001f525.tif", "-rf.tif"]


def make_hostile(folder: Path, good: dict[str, str]) -> list[str]:
    """Fill a folder; return the names to give as inputs, of files or not.

    Args:
        folder: an empty folder.
        good: a good "raster", "vector" and "model", to be spoilt.
    """
    for make in (_bytes, _cut, _rasters, _virtual, _vectors, _texts, _tables, _special):
        make(folder, good)
    names = sorted(str(path) for path in folder.iterdir() if path.suffix not in (".aux", ".part"))
    vector = good["vector"]
    return [
        *names,
        "",
        " ",
        ".",
        str(folder),
        str(folder / "none.tif"),
        str(folder / ("long" * 100)),
        "long/" * 2000,
        "/dev/null",
        "/dev/zero",
        "/vsistdin/",
        "/vsistdin/a.tif",
        "/vsisubfile/0_100,/dev/zero",
        "/vsizip/" + str(folder / "random.zip") + "/a.tif",
        "/vsigzip//dev/zero",
        "/vsimem/none.tif",
        "/proc/self/mem",
        "http://127.0.0.1:9/a.tif",
        "/vsicurl/http://127.0.0.1:9/a.gpkg",
        "MEM:::DATAPOINTER=1,PIXELS=9,LINES=9",
        "PG:host=127.0.0.1 port=9",
        "GPKG:none.gpkg:a",
        "<VRTDataset/>",
        '{"type": "FeatureCollection", "features": []}',
        "SELECT 1",
        f"{vector}|layername=none",
        f"{vector}|layerid=99",
        f"{vector}|subset=1=1",
        f"{vector}|",
        "\ud800.tif",
        "a\0b.tif",
    ]


def write(path: Path, values: NDArray[Any], **profile: Any) -> None:
    """Write a GeoTIFF on the usual place, but for what is given; `names` are its bands'."""
    values = np.asarray(values)
    values = values[np.newaxis] if values.ndim == 2 else values
    names = profile.pop("names", ())
    settings = {"crs": CRS, "transform": PLACE, "dtype": values.dtype, **profile}
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, **settings
    ) as dataset:
        dataset.write(values)
        for number, name in enumerate(names, 1):
            dataset.set_band_description(number, name)


def _bytes(folder: Path, good: dict[str, str]) -> None:
    random = np.random.default_rng(0)
    for ending in ENDINGS:
        (folder / f"random.{ending}").write_bytes(random.bytes(3000))
        (folder / f"empty.{ending}").write_bytes(b"")
    for name in NAMES:
        (folder / name).write_bytes(random.bytes(100))


def _cut(folder: Path, good: dict[str, str]) -> None:
    for key, path in good.items():
        content = Path(path).read_bytes()
        for fraction in (0.02, 0.5, 0.97):
            cut = folder / f"cut_{fraction}_{key}{Path(path).suffix}"
            cut.write_bytes(content[: int(len(content) * fraction)])
        spoilt = bytearray(content)
        for place in range(100, len(spoilt), 211):
            spoilt[place] ^= 0xFF
        (folder / f"spoilt_{key}{Path(path).suffix}").write_bytes(spoilt)
        (folder / f"{key}_called.png").write_bytes(content)
        (folder / f"{key}_called.gpkg").write_bytes(content)
        (folder / f"{key}_called.tif").write_bytes(content)


def _rasters(folder: Path, good: dict[str, str]) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    plain = (0.2 + 0.01 * np.hypot(rows - 20, columns - 20)).astype(np.float32)
    two = np.stack([plain, plain + 0.1])
    makers: dict[str, Callable[[Path], None]] = {
        "no_crs": lambda p: write(p, plain, crs=None),
        "no_place": lambda p: write(p, plain, crs=None, transform=Affine.identity()),
        "rotated": lambda p: write(p, plain, transform=PLACE @ Affine.rotation(33)),
        "south_up": lambda p: write(p, plain, transform=Affine(10, 0, 5e5, 0, 10, 5e6)),
        "mirrored": lambda p: write(p, plain, transform=Affine(-10, 0, 5e5, 0, -10, 5e6)),
        "one_pixel": lambda p: write(p, plain[:1, :1]),
        "one_row": lambda p: write(p, plain[:1]),
        "all_nodata": lambda p: write(p, np.full_like(plain, -1), nodata=-1),
        "all_nan": lambda p: write(p, np.full_like(plain, np.nan)),
        "all_infinite": lambda p: write(p, np.full_like(plain, np.inf)),
        "constant": lambda p: write(p, np.zeros_like(plain)),
        "largest": lambda p: write(p, np.full_like(plain, 3e38)),
        "complex": lambda p: write(p, plain.astype(np.complex64)),
        "bytes": lambda p: write(p, (plain * 100).astype(np.int8)),
        "unsigned_64": lambda p: write(p, np.full((SIDE, SIDE), 2**63, np.uint64)),
        "doubles": lambda p: write(p, np.full((SIDE, SIDE), 1e300)),
        "many_bands": lambda p: write(p, np.ones((10_000, 1, 1), np.uint8), interleave="pixel"),
        "tiny_pixels": lambda p: write(p, plain, transform=from_origin(5e5, 5e6, 1e-9, 1e-9)),
        "huge_pixels": lambda p: write(p, plain, transform=from_origin(5e5, 5e6, 1e9, 1e9)),
        "zero_pixels": lambda p: write(p, plain, transform=Affine(0, 0, 5e5, 0, 0, 5e6)),
        "far_away": lambda p: write(p, plain, transform=from_origin(1e30, 1e30, 10, 10)),
        "nowhere": lambda p: write(p, plain, transform=from_origin(np.nan, np.inf, 10, 10)),
        "wrong_crs": lambda p: write(p, plain, crs="EPSG:2056"),
        "degrees": lambda p: write(p, plain, crs="EPSG:4326"),
        "geocentric": lambda p: write(p, plain, crs="EPSG:4978"),
        "same_names": lambda p: write(p, two, names=["red", "red"]),
        "dollar_names": lambda p: write(p, two, names=["$\\frac{$", "$a$_$b$"]),
        "line_names": lambda p: write(p, two, names=["a\nb", "=1+1"]),
        "no_names": lambda p: write(p, two, names=[" ", "\u0416" * 3000]),
        "odd_nodata": lambda p: write(p, (plain * 100).astype(np.uint8), nodata=255),
    }
    for name, make in makers.items():
        make(folder / f"{name}.tif")
    _tagged(folder / "odd_tags.tif", plain)
    with rasterio.open(folder / "scale_0.tif", "w+", **_profile()) as dataset:
        dataset.write(plain, 1)
        dataset.scales, dataset.offsets = (0.0,), (float("nan"),)
    profile = {**_profile(), "driver": "PNG", "dtype": "uint8"}
    with rasterio.open(folder / "really_png.tif", "w", **profile) as dataset:
        dataset.write((plain * 100).astype(np.uint8), 1)


def _profile() -> dict[str, object]:
    return {
        "driver": "GTiff", "count": 1, "height": SIDE, "width": SIDE, "dtype": "float32",
        "crs": CRS, "transform": PLACE,
    }  # fmt: skip


def _tagged(path: Path, plain: np.ndarray) -> None:
    tags = {
        "threshold": "high", "LANDSLIDE_THRESHOLD": "nan", "class_1": "x" * 9000, "class_-": "",
        "class_99999999999999999999": "far", "CLASS_OF": "rock", "date": "2024-99-99",
        "AREA_OR_POINT": "neither", "TIFFTAG_DATETIME": "yesterday",
    }  # fmt: skip
    write(path, plain)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**tags)
        dataset.update_tags(1, **tags)
        dataset.update_tags(1, STATISTICS_MEAN="none", STATISTICS_STDDEV="-1")


def _virtual(folder: Path, good: dict[str, str]) -> None:
    size = '<VRTDataset rasterXSize="{0}" rasterYSize="{0}"><SRS>EPSG:32632</SRS><GeoTransform>'
    place = "500000,10,0,5000000,0,-10</GeoTransform>"
    band = '<VRTRasterBand dataType="Float32" band="1">{}</VRTRasterBand></VRTDataset>'
    source = '<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename></SimpleSource>'
    pixel = (
        '<VRTRasterBand dataType="Float32" band="1" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionType>f"
        "</PixelFunctionType><PixelFunctionCode>def f(): pass</PixelFunctionCode>"
        "</VRTRasterBand></VRTDataset>"
    )
    laughs = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    texts = {
        "no_bands": size.format(9) + place + "</VRTDataset>",
        "endless": size.format(2_000_000_000) + place + band.format(""),
        "negative": size.format(-5) + place + band.format(""),
        "no_source": size.format(48) + place + band.format(source.format("none.tif")),
        "of_itself": size.format(48) + place + band.format(source.format("of_itself.vrt")),
        "of_a_pipe": size.format(48) + place + band.format(source.format("pipe")),
        "of_zero": size.format(48) + place + band.format(source.format("/dev/zero")),
        "python": size.format(48) + place + pixel,
        "entities": laughs + "<VRTDataset>&b;</VRTDataset>",
        "deep": "<a>" * 5000,
        "vector": "<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>none</SrcDataSource>"
        "</OGRVRTLayer></OGRVRTDataSource>",
        "wms": "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service>"
        "</GDAL_WMS>",
    }
    for name, text in texts.items():
        (folder / f"{name}.vrt").write_text(text)


GEOMETRIES: dict[str, object] = {
    "none": None,
    "empty": {"type": "Polygon", "coordinates": []},
    "bow_tie": {"type": "Polygon", "coordinates": [[[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]]},
    "zero_area": {"type": "Polygon", "coordinates": [[[0, 0], [9, 9], [0, 0]]]},
    "open_ring": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9]]]},
    "two_points": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
    "spike": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [9, 0], [0, 0]]]},
    "in_3d": {"type": "Polygon", "coordinates": [[[0, 0, 1], [9, 0, 2], [9, 9, 3], [0, 0, 1]]]},
    "point": {"type": "Point", "coordinates": [1, 1]},
    "points": {"type": "MultiPoint", "coordinates": [[1, 1], [200, -200]]},
    "line": {"type": "LineString", "coordinates": [[0, 0], [300, -300]]},
    "short_line": {"type": "LineString", "coordinates": [[0, 0]]},
    "line_of_one_place": {"type": "LineString", "coordinates": [[5, 5], [5, 5]]},
    "collection": {"type": "GeometryCollection", "geometries": []},
    "huge": {"type": "Polygon", "coordinates": [[[0, 0], [1e30, 0], [1e30, 1e30], [0, 0]]]},
    "largest": {"type": "Polygon", "coordinates": [[[0, 0], [1e308, 0], [1e308, 1e308], [0, 0]]]},
    "words": {"type": "Polygon", "coordinates": "everywhere"},
    "nulls": {"type": "Polygon", "coordinates": [[[None, None], [1, 1], [2, 0], [None, None]]]},
    "unknown": {"type": "Sphere", "coordinates": [0, 0]},
    "good": {"type": "Polygon", "coordinates": [[[50, -50], [300, -50], [300, -300], [50, -50]]]},
}


def _vectors(folder: Path, good: dict[str, str]) -> None:
    for name, shape in GEOMETRIES.items():
        _geojson(folder / f"{name}.geojson", [_moved(shape)])
    everything = [_moved(shape) for shape in GEOMETRIES.values()]
    _geojson(folder / "everything.geojson", everything)
    _geojson(folder / "no_features.geojson", [])
    _geojson(folder / "wrong_crs.geojson", [_moved(GEOMETRIES["good"])], crs="EPSG:3413")
    _geojson(folder / "degrees.geojson", [_moved(GEOMETRIES["good"])], crs="EPSG:4326")
    _geojson(folder / "odd_crs.geojson", [_moved(GEOMETRIES["good"])], crs="EPSG:999999")
    ring = [[500100 + 90 * np.cos(t), 4999900 + 90 * np.sin(t)] for t in np.linspace(0, 6.28, 9000)]
    many = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    _geojson(folder / "many_points.geojson", [many])
    lines = {
        "nan": "POLYGON ((nan nan, 1 1, 2 0, nan nan))",
        "infinite": "POLYGON ((500000 4999999, inf 4999900, 500100 -inf, 500000 4999999))",
        "curved": "CURVEPOLYGON (CIRCULARSTRING (500100 4999900, 500200 4999800, 500100 4999900))",
        "surface": "TIN (((0 0 0, 0 1 0, 1 1 0, 0 0 0)))",
        "not_wkt": "POLYGON ((",
    }
    for name, text in lines.items():
        (folder / f"{name}_wkt.csv").write_text(f'WKT,kind\n"{text}",1\n')
        (folder / f"{name}_wkt.prj").write_text("")
        _geopackage(folder / f"{name}.gpkg", text)


def _moved(shape: object) -> object:
    """Move small coordinates to the usual place."""

    def move(value: object) -> object:
        if not isinstance(value, list):
            return value
        if value and all(isinstance(item, int | float) for item in value):
            return [500000 + value[0], *[4999900 + item for item in value[1:2]], *value[2:]]
        return [move(item) for item in value]

    if not isinstance(shape, dict):
        return shape
    return {key: move(value) if key == "coordinates" else value for key, value in shape.items()}


def _geojson(path: Path, shapes: list[object], crs: str = CRS) -> None:
    features = [
        {"type": "Feature", "properties": {"kind": number, "$a$": "=1"}, "geometry": shape}
        for number, shape in enumerate(shapes)
    ]
    named = {"type": "name", "properties": {"name": crs}}
    collection = {"type": "FeatureCollection", "crs": named, "features": features}
    path.write_text(json.dumps(collection))


def _geopackage(path: Path, text: str) -> None:
    """Write one geometry as it is, by GDAL's own reader of WKT."""
    import pyogrio.raw
    import shapely

    try:
        with np.errstate(all="ignore"):
            shape = shapely.from_wkt(text)
        pyogrio.raw.write(
            path, np.array([shapely.to_wkb(shape)], object), [], [], driver="GPKG",
            geometry_type="Unknown", crs=CRS,
        )  # fmt: skip
    except (shapely.GEOSException, ValueError, RuntimeError):
        path.write_text(text)


def _texts(folder: Path, good: dict[str, str]) -> None:
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "deep.geojson").write_text('{"type":"FeatureCollection","features":' + "[" * 9000)
    (folder / "number.json").write_text("1" + "0" * 5000)
    (folder / "latin.geojson").write_bytes(b'{"type":"FeatureCollection","features":[],"a":"\xff"}')
    (folder / "latin.csv").write_bytes(b"\xff,\xfe\n\xe9,1\n")
    (folder / "header.asc").write_text("ncols 9999999\nnrows 9999999\ncellsize 0\n")
    long = (2**40).to_bytes(8, "little") + b"{}"
    (folder / "long_header.safetensors").write_bytes(long)
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}).encode()
    lying = len(header).to_bytes(8, "little") + header + b"\0" * 4
    (folder / "lying.safetensors").write_bytes(lying)
    (folder / "pickle.safetensors").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")


def _tables(folder: Path, good: dict[str, str]) -> None:
    with sqlite3.connect(folder / "no_tables.gpkg") as database:
        database.execute("create table a (b)")
    with sqlite3.connect(folder / "no_geometry.gpkg") as database:
        database.execute("create table gpkg_contents (table_name, data_type, identifier)")
        database.execute("insert into gpkg_contents values ('gone', 'features', 'gone')")
        database.execute("create table gpkg_geometry_columns (table_name, column_name)")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../outside.tif", b"II*\0")
    (folder / "shapefile.shp").write_bytes(bytes.fromhex("0000270a") + b"\0" * 96)
    (folder / "shapefile.dbf").write_bytes(b"\x03" + b"\xff" * 64)
    (folder / "lonely.dbf").write_bytes(b"\x03" * 33)
    np.save(folder / "objects.npy", np.array([1, "a"], object), allow_pickle=True)
    np.save(folder / "cube.npy", np.zeros((2, 3, 4, 5)))
    samples = folder / "samples"
    (samples / "images").mkdir(parents=True)
    (samples / "manifest.json").write_text('{"format": 1, "samples": [{}], "bands": 3}')
    (folder / "folder.tif").mkdir()


def _special(folder: Path, good: dict[str, str]) -> None:
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.tif")
    os.mkfifo(folder / "pipe.gpkg")
    os.mkfifo(folder / "pipe.vrt")
    (folder / "loop.tif").symlink_to(folder / "loop.tif")
    (folder / "dangling.tif").symlink_to(folder / "nowhere_at_all.tif")
    (folder / "to_zero.tif").symlink_to("/dev/zero")
