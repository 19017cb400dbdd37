"""Rasters in archives, as they are downloaded."""

import gzip
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.raster import Source


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tgz"])
def test_the_only_raster_in_one_is_meant(make_raster, tmp_path, ending):
    (tmp_path / "down" / "load").mkdir(parents=True)
    (tmp_path / "down" / "licence.txt").write_text("free", encoding="utf-8")
    make_raster("down/load/dem.tif", np.full((4, 5), 7, np.float32))
    archive = _packed(tmp_path / "down", tmp_path / f"download.{ending}")
    with Source.open(archive) as source:
        assert source.path.startswith(str(tmp_path)) and (source.read()[0] == 7).all()


def test_one_of_a_single_file(make_raster, tmp_path):
    plain = Path(make_raster("a.tif", np.full((4, 5), 7, np.float32)))
    (tmp_path / "b.tif.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as packed:
        packed.write(plain, "a.tif")
    for name in ("b.tif.gz", "c.zip"):
        (tmp_path / "list.txt").write_text(name, encoding="utf-8")
        for path in (tmp_path / name, tmp_path / "list.txt"):
            with Source.open(path) as source:
                assert (source.read()[0] == 7).all()


def test_several_are_named_and_none_is_refused(make_raster, tmp_path):
    (tmp_path / "two").mkdir()
    for name in ("two/a.tif", "two/b.tif"):
        make_raster(name, np.ones((4, 5), np.float32))
    with pytest.raises(InputError, match=r"several rasters: name one, such as /vsizip/.*a\.tif"):
        Source.open(_packed(tmp_path / "two", tmp_path / "two.zip"))
    (tmp_path / "text").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "text" / name).write_text("no raster", encoding="utf-8")
    with pytest.raises(InputError, match="is an archive that holds no raster"):
        Source.open(_packed(tmp_path / "text", tmp_path / "text.zip"))
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"broken\.zip is not a raster that can be read"):
        Source.open(tmp_path / "broken.zip")


def _packed(folder, archive):
    """Pack a folder; return the archive's path."""
    kind = {".zip": "zip", ".tar": "tar"}.get(archive.suffix, "gztar")
    Path(shutil.make_archive(str(archive.parent / "packed"), kind, folder)).rename(archive)
    return str(archive)
