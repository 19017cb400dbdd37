"""Outputs are whole or not there, and what stood before still stands."""

import errno
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.errors import OutputError
from landslide_mapper.landslide_plugin.outputs import require_folder, whole_file, whole_folder

OLD, NEW = b"the old output", b"the new output"
NOISE = os.urandom(3_000_000)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestWholeFile:
    def test_appears_on_success_only(self, tmp_path):
        target = tmp_path / "a.tif"
        with whole_file(target) as partial:
            partial.write_bytes(NEW)
            assert not target.exists()
            assert partial.name == "a.tif"
        assert target.read_bytes() == NEW and names(tmp_path) == ["a.tif"]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        error=st.sampled_from(
            [ValueError, KeyboardInterrupt, SystemExit, MemoryError, OSError, RuntimeError]
        ),
        written=st.binary(max_size=50),
        sidecar=st.booleans(),
        old=st.none() | st.binary(max_size=50),
    )
    def test_whatever_fails_the_old_file_stands(self, tmp_path, error, written, sidecar, old):
        target = tmp_path / "a.tif"
        target.unlink(missing_ok=True)
        if old is not None:
            target.write_bytes(old)
        with pytest.raises(error):
            with whole_file(target) as partial:
                partial.write_bytes(written)
                if sidecar:
                    partial.with_name("a.tif.aux.xml").write_bytes(written)
                raise error()
        assert names(tmp_path) == (["a.tif"] if old is not None else [])
        assert old is None or target.read_bytes() == old

    def test_replaces_with_its_sidecars_and_drops_stale_ones(self, tmp_path):
        stale = ("a.shp.aux.xml", "a.qix", "a.shp.ovr", "a.dbf", "a.txt", "a.shp-wal")
        for name in ("a.shp", *stale):
            (tmp_path / name).write_bytes(OLD)
        with whole_file(tmp_path / "a.shp") as partial:
            partial.write_bytes(NEW)
            partial.with_suffix(".dbf").write_bytes(NEW)
        assert names(tmp_path) == ["a.dbf", "a.shp", "a.txt"]
        assert (tmp_path / "a.dbf").read_bytes() == (tmp_path / "a.shp").read_bytes() == NEW
        assert (tmp_path / "a.txt").read_bytes() == OLD

    def test_failing_to_replace_changes_nothing(self, tmp_path, monkeypatch):
        for name in ("a.tif", "a.tif.aux.xml"):
            (tmp_path / name).write_bytes(OLD)

        def locked(*paths):
            raise PermissionError(errno.EACCES, "open in another program")

        monkeypatch.setattr(os, "replace", locked)
        with (
            pytest.raises(OutputError, match="can't be written"),
            whole_file(tmp_path / "a.tif") as partial,
        ):
            partial.write_bytes(NEW)
        assert names(tmp_path) == ["a.tif", "a.tif.aux.xml"]
        assert (tmp_path / "a.tif.aux.xml").read_bytes() == OLD

    def test_the_same_name_twice_at_once(self, tmp_path):
        with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:
            first.write_bytes(OLD)
            second.write_bytes(NEW)
        assert (tmp_path / "a").read_bytes() == OLD  # the first is left last

    def test_a_folder_in_the_way(self, tmp_path):
        (tmp_path / "a.tif").mkdir()
        with pytest.raises(OutputError, match="is a folder"), whole_file(tmp_path / "a.tif"):
            pass
        assert names(tmp_path) == ["a.tif"]

    def test_missing_folder(self, tmp_path):
        with pytest.raises(OutputError, match=r"output folder .*none does not exist"):
            with whole_file(tmp_path / "none" / "a.tif"):
                pass
        assert names(tmp_path) == []

    def test_read_only_folder(self, read_only_folder):
        with pytest.raises(OutputError, match="can't be written"):
            with whole_file(read_only_folder / "a.tif"):
                pass

    def test_full_disk(self, small_disk):
        target = small_disk / "a.html"
        target.write_bytes(OLD)
        with pytest.raises(OutputError, match="disk is full"), whole_file(target) as partial:
            partial.write_bytes(NOISE)
        assert names(small_disk) == ["a.html"] and target.read_bytes() == OLD

    def test_an_error_that_is_not_the_disks_is_left_alone(self, tmp_path):
        with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.tif"):
            (tmp_path / "input.txt").read_text()


class TestWholeFolder:
    def test_appears_on_success_only(self, tmp_path):
        target = tmp_path / "samples"
        with whole_folder(target) as partial:
            (partial / "one").write_bytes(NEW)
            assert not target.exists()
        assert names(tmp_path) == ["samples"] and names(target) == ["one"]

    def test_an_empty_folder_is_filled_and_a_full_one_refused(self, tmp_path):
        target = tmp_path / "samples"
        target.mkdir()
        with whole_folder(target) as partial:
            (partial / "one").write_bytes(NEW)
        with pytest.raises(OutputError, match="not an empty folder"), whole_folder(target):
            pass
        assert names(target) == ["one"]

    def test_failure_leaves_nothing(self, tmp_path):
        with pytest.raises(SystemExit), whole_folder(tmp_path / "samples") as partial:
            (partial / "one").write_bytes(NEW)
            raise SystemExit(143)
        assert names(tmp_path) == []

    def test_full_disk(self, small_disk):
        with pytest.raises(OutputError, match="disk is full"):
            with whole_folder(small_disk / "samples") as partial:
                (partial / "one").write_bytes(NOISE)
        assert names(small_disk) == []


class TestRequireFolder:
    def test_leaves_nothing(self, tmp_path):
        require_folder(tmp_path / "a.tif")
        assert names(tmp_path) == []

    def test_missing(self, tmp_path):
        with pytest.raises(OutputError, match="does not exist"):
            require_folder(tmp_path / "none" / "a.tif")

    def test_read_only(self, read_only_folder):
        with pytest.raises(OutputError, match="can't be written"):
            require_folder(read_only_folder / "a.tif")
