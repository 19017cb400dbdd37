"""Rasters on a server: read by blocks, refused where it does not answer, known when they change."""

from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import resume
from landslide_mapper.landslide_plugin.inference.resume import content_of, identity
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.landslide_plugin.raster.tile import Tile
from landslide_mapper.landslide_plugin.vector.shapes import read_shapes
from rasterio.windows import Window

from .tiling import build_vrt, cut

SHAPE = (600, 700)


@pytest.fixture
def cog(server, make_raster):
    """A COG of noise of two bands, its copy here, and its address."""
    folder, address = server
    values = np.random.default_rng(4).integers(1, 9999, (2, *SHAPE)).astype(np.uint16)
    local = make_raster("local.tif", values, nodata=0, bands=["red", "nir"])
    options = {"driver": "COG", "blocksize": 128, "compress": "deflate", "overviews": "none"}
    rasterio.shutil.copy(local, str(folder / "scene.tif"), **options)
    return local, f"{address}/scene.tif"


def log(folder):
    path = folder / "log.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [
        (command, name, status, int(size)) for command, name, status, size in map(str.split, lines)
    ]


def test_a_window_takes_a_few_requests_of_its_blocks_alone(server, cog):
    folder, (local, address) = server[0], cog
    with Source.open(address) as source, Source.open(local) as here:
        window = Window(130, 130, 100, 100)
        assert source.bands == here.bands and source.grid == here.grid
        np.testing.assert_array_equal(source.read(window)[0], here.read(window)[0])
    asked = log(folder)
    assert {name for _, name, *_ in asked} == {"/scene.tif"}  # and nothing beside it
    assert len(asked) <= 4
    assert sum(size for *_, size in asked) < (folder / "scene.tif").stat().st_size / 3


def test_a_server_that_gives_no_more_is_no_damaged_file(server, cog):
    with Source.open(cog[1]) as source:
        (server[0] / "busy").touch()
        with pytest.raises(InputError, match="could not be fetched, or is damaged on its server"):
            source.read()
    assert [status for *_, status, _ in log(server[0])].count("503") >= 3  # asked again


def test_tiles_on_a_server_are_one_image(server, cog, tmp_path):
    folder, address = server
    names = [
        Path(file).name for file in cut(cog[0], folder, [(0, 0, 300, 600), (300, 0, 400, 600)])
    ]
    (tmp_path / "list.txt").write_text("\n".join(f"{address}/{name}" for name in names))
    with Source.open(tmp_path / "list.txt") as source, Source.open(cog[0]) as here:
        assert source.grid == here.grid
        np.testing.assert_array_equal(source.read()[0], here.read()[0])
    (tmp_path / "list.txt").write_text(f"{address}/{names[0]}\n{address}/none.tif")
    with pytest.raises(InputError, match=r"as one image: the file .*none.tif"):
        Source.open(tmp_path / "list.txt")


def test_a_virtual_raster_of_files_on_a_server_says_what_they_say(server, cog, tmp_path):
    folder, address = server
    names = [
        Path(file).name for file in cut(cog[0], folder, [(0, 0, 300, 600), (300, 0, 400, 600)])
    ]
    path = Path(build_vrt(tmp_path / "a.vrt", *(str(folder / name) for name in names)))
    text = path.read_text().replace(
        'relativeToVRT="1">served/', f'relativeToVRT="0">/vsicurl/{address}/'
    )
    path.write_text(text)
    with Source.open(path) as source, Source.open(cog[0]) as here:
        assert source.bands == ["red", "nir"]
        np.testing.assert_array_equal(source.read()[0], here.read()[0])


def test_one_that_was_replaced_is_another(server, cog, make_raster):
    with Source.open(cog[1]) as source:
        before = identity(source)
        assert identity(source) == before
        other = make_raster("other.tif", np.ones((2, *SHAPE), np.uint16), nodata=0)
        rasterio.shutil.copy(other, str(server[0] / "scene.tif"), driver="COG")
        assert identity(source) != before
        (server[0] / "scene.tif").unlink()
        with pytest.raises(InputError, match="can't be fetched any more"):
            identity(source)


def test_one_whose_server_says_nothing_is_told_by_where_its_blocks_lie(
    server, cog, make_raster, monkeypatch
):
    """As object stores do, but to those who sign."""
    monkeypatch.setattr(resume, "stamp", lambda name: "")
    with Source.open(cog[1]) as source:
        source.read()
        before = identity(source)
        assert identity(source) == before
        with Source.open(cog[0]) as here:
            values = here.read()[0].astype(np.uint16)
        values[:, 200:220, 300:320] = 7  # none of the pixels that tell a stack's content
        other = make_raster("other.tif", values, nodata=0, bands=["red", "nir"])
        options = {"driver": "COG", "blocksize": 128, "compress": "deflate", "overviews": "none"}
        rasterio.shutil.copy(other, str(server[0] / "scene.tif"), **options)
        assert content_of(source, ["red"]) == content_of(Source.open(cog[0]), ["red"])
        assert identity(source) != before


def test_an_object_store_without_keys_is_told_of(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CPL_AWS_AUTODETECT_EC2", "NO")
    for name in ("s3://bucket/a.tif", "/vsis3/bucket/a.tif"):
        with pytest.raises(InputError, match=rf"raster {name} can't be fetched: its object store"):
            Source.open(name)
    with pytest.raises(InputError, match="its object store wants keys"):
        read_shapes("/vsis3/bucket/a.fgb", "rivers", crs=32632)


def test_an_address_without_a_file_is_told_of(server):
    with pytest.raises(InputError, match=r"a\.tif (is not on its server|can't be fetched \(HTTP)"):
        Source.open(f"{server[1]}/a.tif")


def test_addresses_are_named_in_a_virtual_raster_as_gdal_reads_them_by_blocks(cog, tmp_path):
    output = str(tmp_path / "image.vrt")
    run_command("mosaic", {"tiles": [cog[1]], "output": output}, Progress())
    assert f">/vsicurl/{cog[1]}<" in Path(output).read_text()
    assert Tile.look(cog[1]).path == f"/vsicurl/{cog[1]}"
