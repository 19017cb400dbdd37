"""Outputs are whole or not there, and what stood before still stands."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.core import owners
from landslide_mapper.landslide_plugin.outputs.whole import (
    afterwards,
    end_what_was_killed,
    require_folder,
    scratch_folder,
    together,
    whole_file,
    whole_folder,
)

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

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        stale = ("a.shp.aux.xml", "a.qix", "a.idm", "a.shp.ovr", "a.dbf", "a.txt", "a.shp-wal")
        for name in ("a.shp", *stale):
            (tmp_path / name).write_bytes(OLD)
        with whole_file(tmp_path / "a.shp") as partial:
            partial.write_bytes(NEW)
            partial.with_suffix(".dbf").write_bytes(NEW)
        assert names(tmp_path) == ["a.dbf", "a.shp", "a.txt"]
        assert (tmp_path / "a.dbf").read_bytes() == (tmp_path / "a.shp").read_bytes() == NEW
        assert (tmp_path / "a.txt").read_bytes() == OLD

    def test_the_parts_of_a_mapinfo_file_go_with_it(self, tmp_path):
        for name in ("a.tab", "a.dat", "a.ind"):
            (tmp_path / name).write_bytes(OLD)
        with whole_file(tmp_path / "a.tab") as partial:
            partial.write_bytes(NEW)
            partial.with_suffix(".dat").write_bytes(NEW)
        assert names(tmp_path) == ["a.dat", "a.tab"]
        assert (tmp_path / "a.dat").read_bytes() == (tmp_path / "a.tab").read_bytes() == NEW

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


class TestTogether:
    def test_all_appear_at_the_end(self, tmp_path):
        with together():
            for name in ("a.tif", "b.gpkg"):
                with whole_file(tmp_path / name) as partial:
                    partial.write_bytes(NEW)
            assert not any(map(Path.exists, (tmp_path / "a.tif", tmp_path / "b.gpkg")))
        assert names(tmp_path) == ["a.tif", "b.gpkg"]

    def test_after_an_error_none_appears_and_the_old_ones_stand(self, tmp_path):
        (tmp_path / "a.tif").write_bytes(OLD)
        with pytest.raises(ValueError), together():
            with whole_file(tmp_path / "a.tif") as partial:
                partial.write_bytes(NEW)
            raise ValueError
        assert names(tmp_path) == ["a.tif"] and (tmp_path / "a.tif").read_bytes() == OLD

    @pytest.mark.parametrize("number", range(6))
    def test_when_one_move_fails_all_is_as_before(self, tmp_path, monkeypatch, number):
        for name in ("a.tif", "a.tif.ovr", "b.gpkg", "b.gpkg-wal"):
            (tmp_path / name).write_bytes(OLD)
        replace, calls = os.replace, iter(range(100))

        def sometimes(old, new):
            if next(calls) == number:
                raise PermissionError(errno.EACCES, "open in another program", str(old))
            replace(old, new)

        monkeypatch.setattr(os, "replace", sometimes)
        with pytest.raises(OutputError, match="can't be written"), together():
            for name in ("a.tif", "b.gpkg"):
                with whole_file(tmp_path / name) as partial:
                    partial.write_bytes(NEW)
        assert names(tmp_path) == ["a.tif", "a.tif.ovr", "b.gpkg", "b.gpkg-wal"]
        assert {path.read_bytes() for path in tmp_path.iterdir()} == {OLD}

    def test_what_goes_to_a_hidden_folder_is_there_at_once(self, tmp_path):
        with together(), scratch_folder(tmp_path / "a.tif") as folder:
            with whole_file(folder / "step.tif") as partial:
                partial.write_bytes(NEW)
            assert (folder / "step.tif").read_bytes() == NEW
        assert names(tmp_path) == []

    def test_what_comes_afterwards_comes_once_all_stand(self, tmp_path):
        seen = []
        with together():
            with whole_file(tmp_path / "a") as partial:
                partial.write_bytes(NEW)
            afterwards(tmp_path / "a", lambda: seen.append(names(tmp_path)))
            assert not seen
        assert "a" in seen[0]

    def test_a_run_in_another_thread_has_its_own_set(self, tmp_path):
        opened, may_end = threading.Event(), threading.Event()

        def other_run():
            with together():
                opened.set()
                may_end.wait(60)

        other = threading.Thread(target=other_run)
        with together():
            other.start()
            opened.wait(60)
            with whole_file(tmp_path / "a.tif") as partial:
                partial.write_bytes(NEW)
        there = names(tmp_path)
        may_end.set()
        other.join()
        assert there == ["a.tif"]


OUTPUTS = ("a.tif", "b.shp", "c.gpkg", "d")
"""A file, one of several parts, a database and a folder."""


def write_all(folder, content):
    with together():
        for name in OUTPUTS[:3]:
            with whole_file(folder / name) as partial:
                partial.write_bytes(content)
                if name == "a.tif":
                    partial.with_name("a.tif.aux.xml").write_bytes(content)
                if name == "b.shp":
                    for ending in (".dbf", ".shx"):
                        partial.with_suffix(ending).write_bytes(content)
        with whole_folder(folder / "d") as partial:
            (partial / "one").write_bytes(content)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("moment", range(24))
def test_killed_at_any_move_what_opens_is_of_one_run_and_the_next_run_ends_it(tmp_path, moment):
    write_all(tmp_path, OLD)
    shutil.rmtree(tmp_path / "d")  # a folder is never replaced
    killed = ended_at(moment, lambda: write_all(tmp_path, NEW))
    mains = [path for name in OUTPUTS[:3] if (path := tmp_path / name).exists()]
    contents = {path.read_bytes() for path in mains}
    assert len(contents) <= 1
    if (tmp_path / "b.shp").exists():
        parts = [(tmp_path / "b.shp").with_suffix(end) for end in (".dbf", ".shx")]
        assert {path.read_bytes() for path in parts} == contents
    end_what_was_killed(tmp_path)
    after = {path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after in ({OLD}, {NEW}) and not list(tmp_path.glob(".partial*"))
    assert {"a.tif", "a.tif.aux.xml", "b.dbf", "b.shp", "b.shx", "c.gpkg"} <= set(names(tmp_path))
    assert killed or after == {NEW}


def ended_at(moment, work):
    """Do the work in a process that is ended at its n-th renaming; return whether it was."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    calls, replace = iter(range(1000)), os.replace

    def counted(old, new):
        if next(calls) == moment:
            os._exit(9)
        replace(old, new)

    owners.me.cache_clear()
    setattr(os, "replace", counted)  # noqa: B010 - its type is no matter here
    try:
        work()
    finally:
        os._exit(0)


@pytest.mark.parametrize("backwards", [False, True])
def test_what_was_written_since_is_not_overwritten_by_what_was_killed(
    tmp_path, monkeypatch, backwards
):
    """In whatever order the system lists the hidden folders."""
    glob = Path.glob

    def sorted_by_output(folder, pattern):
        result = sorted(glob(folder, pattern), key=lambda path: sorted(path.iterdir())[-1].name)
        return result[::-1] if backwards else result

    write_all(tmp_path, OLD)
    shutil.rmtree(tmp_path / "d")
    assert ended_at(0, lambda: write_all(tmp_path, NEW))
    for note in tmp_path.glob(".partial*/moves.json"):
        os.utime(note, (1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "glob", sorted_by_output)
        end_what_was_killed(tmp_path)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {OLD}


class TestKinds:
    def test_a_link_is_followed(self, tmp_path):
        (tmp_path / "far").mkdir()
        (tmp_path / "far" / "a.tif").write_bytes(OLD)
        (tmp_path / "a.tif").symlink_to(tmp_path / "far" / "a.tif")
        with whole_file(tmp_path / "a.tif") as partial:
            partial.write_bytes(NEW)
        assert (tmp_path / "a.tif").is_symlink()
        assert (tmp_path / "far" / "a.tif").read_bytes() == NEW

    def test_a_device_and_a_pipe_are_refused(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for path in ("/dev/null", tmp_path / "pipe"):
            with pytest.raises(OutputError, match="a device or a pipe"), whole_file(path):
                pass

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
    def test_a_replaced_file_keeps_its_rights(self, tmp_path, mode):
        (tmp_path / "a").write_bytes(OLD)
        (tmp_path / "a").chmod(mode)
        with whole_file(tmp_path / "a") as partial:
            partial.write_bytes(NEW)
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode

    def test_a_disk_that_refuses_rights_gets_its_output(self, tmp_path, monkeypatch):
        """As a Windows share does whose files belong to who has mounted it."""

        def refuse(path, *_, **__):
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

        monkeypatch.setattr(Path, "chmod", refuse)
        for content in (OLD, NEW):
            with whole_file(tmp_path / "a") as partial:
                partial.write_bytes(content)
            assert (tmp_path / "a").read_bytes() == content

    def test_a_new_file_has_the_rights_of_any_new_file(self, tmp_path):
        (tmp_path / "usual").write_bytes(OLD)
        with whole_file(tmp_path / "a") as partial:
            partial.touch(mode=0o600)
        usual = (tmp_path / "usual").stat().st_mode
        assert (tmp_path / "a").stat().st_mode == usual
