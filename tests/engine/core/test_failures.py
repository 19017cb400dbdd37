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
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.core import system
from landslide_mapper.landslide_plugin.core.failures import explain, reason, trail
from landslide_mapper.landslide_plugin.outputs.whole import whole_file, whole_folder

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


class OfWindows(OSError):
    """As Python raises it there: with the system's own number, of which `errno` says less."""

    def __init__(self, number, path=None, code=errno.EINVAL, text="in the user's language"):
        super().__init__(code, text, path)
        self.winerror = number


class TestOnWindows:
    @pytest.mark.parametrize(
        "number, code, text",
        [
            (32, errno.EACCES, "open in another program"),
            (1224, errno.EINVAL, "open in another program"),
            (39, errno.EINVAL, "the disk is full"),
            (112, errno.ENOSPC, "the disk is full"),
            (1295, errno.EINVAL, "the disk is full"),
            (53, errno.ENOENT, "network drive or disk that it lies on was lost"),
            (59, errno.EINVAL, "network drive or disk that it lies on was lost"),
            (64, errno.EINVAL, "network drive or disk that it lies on was lost"),
            (23, errno.EACCES, "the disk or network drive failed"),
            (206, errno.ENOENT, "its name is too long"),
            (123, errno.EINVAL, "the disk does not take this name"),
            (3, errno.ENOENT, "it is not there"),
        ],
    )
    def test_its_own_numbers_say_why(self, number, code, text):
        assert text in reason(OfWindows(number, "C:\\maps\\a.tif", code))

    def test_a_path_that_is_too_long_is_not_said_to_be_missing(self, monkeypatch):
        """It is what Windows and its C library say of it."""
        monkeypatch.setattr(system, "is_windows", lambda: True)
        path = "C:\\" + "n" * 250
        for error in (OfWindows(3, path, errno.ENOENT), of_system("ENOENT", path)):
            assert "longer than Windows takes" in reason(error)
        assert "it is not there" in reason(of_system("ENOENT", "C:\\a.tif"))

    def test_a_full_disk_is_known_in_any_language(self):
        assert "disk is full" in reason(OSError("Es ist zu wenig Platz frei. (os error 112)"))

    @pytest.mark.parametrize(
        "error",
        [
            OfWindows(126, text="Das angegebene Modul wurde nicht gefunden. c10.dll"),
            OfWindows(1114, text="DLL initialization routine failed. c10.dll"),
            ImportError("DLL load failed while importing _C: module not found"),
        ],
    )
    def test_a_library_that_can_not_be_loaded_is_no_file_that_can_not_be_read(self, error):
        assert "install Microsoft's Visual C++ Redistributable" in explain(error)
