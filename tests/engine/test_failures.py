"""What disks and libraries fail with is one sentence: what, where, how to mend it."""

import errno
import os
import sqlite3
from pathlib import Path

import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from landslide_mapper.landslide_plugin.errors import OutputError
from landslide_mapper.landslide_plugin.failures import explain, reason, trail
from landslide_mapper.landslide_plugin.outputs import whole_file, whole_folder

OF_DISKS = (
    "ENOSPC EDQUOT EACCES EPERM EROFS EIO EFBIG EMFILE ENFILE ENAMETOOLONG EINVAL ESTALE ENODEV "
    "ENOTCONN ETIMEDOUT EBUSY ENXIO EREMOTEIO EHOSTDOWN"
).split()


def of_system(name, path=None):
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), path)


def caught(action):
    try:
        action()
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


@pytest.mark.parametrize("name", OF_DISKS)
class TestOfADisk:
    @pytest.mark.parametrize("whole", [whole_file, whole_folder])
    def test_an_output_is_named_and_nothing_is_left(self, tmp_path, whole, name):
        """Python tells no file's name where a write fails, only where opening does."""
        for named in (False, True):
            with pytest.raises(OutputError) as raised, whole(tmp_path / "out.tif") as partial:
                raise of_system(name, str(partial / "part") if named else None)
            text = str(raised.value)
            assert str(tmp_path / "out.tif") in text and ".partial" not in text
            assert text.endswith("nothing was written.") and ": " in text
            assert not list(tmp_path.iterdir())

    def test_an_input_is_not_taken_for_the_output(self, tmp_path, name):
        with pytest.raises(OSError) as raised, whole_file(tmp_path / "out.tif"):
            raise of_system(name, str(tmp_path / "in.tif"))
        text = explain(raised.value)
        assert text.startswith(f"{tmp_path / 'in.tif'} can't be read or written: ")

    def test_the_reason_says_how_to_mend_it(self, name):
        assert ": " in reason(of_system(name))


def test_an_output_that_can_not_be_synced_is_named_by_its_place(tmp_path, monkeypatch):
    def fails(path, mode="r", *more, **options):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with pytest.raises(OutputError) as raised, whole_file(tmp_path / "out.tif") as partial:
        partial.write_bytes(b"new")
        monkeypatch.setattr(Path, "open", fails)
    assert str(raised.value).startswith(f"{tmp_path / 'out.tif'} can't be written: the disk or")


def deep():
    return [deep()]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: Path("/none/a.tif").open(), "/none/a.tif can't be read or written: it is not"),
        (lambda: Path("a" * 5000).stat(), "its name is too long"),
        (lambda: rasterio.open("/none/a.tif"), "A file can't be read or written"),
        (lambda: pyogrio.read_dataframe("/none/a.gpkg"), "A file can't be read or written"),
        (lambda: sqlite3.connect("/none/a.gpkg"), "unable to open database file"),
        (lambda: shapely.from_wkt("POLYGON ((0 0"), "repair the layer's geometries"),
        (lambda: pyproj.CRS("EPSG:1"), "check its CRS"),
        (lambda: rasterio.crs.CRS.from_user_input("EPSG:1"), "check its CRS"),
        (lambda: b"\xff".decode(), "not valid Unicode"),
        (lambda: "\ud800".encode(), "not valid Unicode"),
        (lambda: float(10**400), "too large to calculate with"),
        (deep, "nested too deeply"),
    ],
)
def test_classes_that_are_of_files_and_numbers(action, text):
    error = caught(action)
    sentence = explain(error)
    assert text in sentence
    assert "\n" not in sentence and sentence.endswith(".")
    assert type(error).__name__ not in sentence


@pytest.mark.parametrize("bug", [TypeError, KeyError, AssertionError, AttributeError, ValueError])
def test_bugs_stay_bugs(bug):
    assert explain(bug("of ours")) == ""


def test_the_log_keeps_where_it_came_from_in_one_line():
    text = trail(caught(lambda: float(10**400)))
    assert text.startswith("OverflowError: ") and "test_failures.py:" in text
    assert "\n" not in text


def test_what_a_library_quotes_of_the_system_is_no_bug():
    quoting = RuntimeError("unable to open file <m.safetensors>: Too many open files (24)")
    assert "can't be read or written (unable to open file" in explain(quoting)
    assert explain(RuntimeError("size mismatch for first.weight")) == ""
