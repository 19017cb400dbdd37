"""What differs between systems: with Windows and macOS faked where this is another."""

import ast
import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.core import owners, system
from landslide_mapper.landslide_plugin.outputs.claims import claimed
from landslide_mapper.landslide_plugin.outputs.whole import whole_file

ROOT = Path(__file__).resolve().parents[3]
LONG = "C:\\" + "n" * 200 + ".tif"


@pytest.fixture
def windows(monkeypatch):
    """Have the plugin take this system for Windows, with paths of 259 letters."""
    monkeypatch.setattr(system, "is_windows", lambda: True)
    monkeypatch.setattr(system, "_takes_long_paths", lambda: False)
    monkeypatch.setattr(system, "_PATIENCE", 0.2)


class TestPrograms:
    def test_elsewhere_a_program_leads_a_group_of_its_own_and_all_of_it_ends(self, tmp_path):
        code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', " \
               "'import time; time.sleep(600)'], stdout=subprocess.DEVNULL).pid, flush=True); " \
               "sys.stdin.read()"  # fmt: skip
        process: Any = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **system.own_group(),
        )
        child = int(process.stdout.readline())
        assert os.getpgid(process.pid) == process.pid == os.getpgid(child)
        assert system.end_group(process)
        process.wait()
        assert soon(lambda: not owners.runs(child))
        process.stdin.close()
        process.stdout.close()

    @pytest.mark.usefixtures("windows")
    def test_on_windows_it_has_a_group_and_no_window(self):
        assert system.no_window() == {"creationflags": 0x08000000}
        assert system.own_group() == {"creationflags": 0x08000200}

    @pytest.mark.usefixtures("windows")
    def test_on_windows_it_is_asked_to_end_by_the_end_of_its_stdin(self):
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, text=True
        )
        system.ask_to_end(process)
        assert process.wait(60) == 0

    def test_on_windows_the_launcher_ends_and_the_python_that_it_started(
        self, windows, monkeypatch, tmp_path
    ):
        """The Python of an environment starts the true one, which has another number."""
        told = fake_taskkill(tmp_path, monkeypatch)
        monkeypatch.setattr(system, "no_window", dict)  # other systems know no such flags
        launcher, worker = (
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            for _ in range(2)
        )
        assert system.end_group(launcher, worker.pid)
        assert launcher.wait(60) and worker.wait(60)
        asked = told.read_text().splitlines()
        assert sorted(asked) == sorted(f"/PID {one.pid} /T /F" for one in (launcher, worker))
        assert not system.end_group(launcher, worker.pid)
        assert told.read_text().splitlines() == asked

    def test_no_program_is_started_that_opens_a_window(self):
        """Over every start of a program in what runs on users' machines."""
        seen = 0
        for path in sources():
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if path.stem == "__main__":  # it has the terminal's
                    continue
                if isinstance(call, ast.Call) and is_start(call.func):
                    seen += 1
                    given = " ".join(ast.unparse(word) for word in call.keywords)
                    hidden = ("no_window()", "own_group()", "creationflags=HIDDEN")
                    assert any(way in given for way in hidden), f"{path}:{call.lineno}"
        assert seen > 2

    def test_texts_are_read_and_written_in_a_named_encoding(self):
        """Windows' own is not UTF-8."""
        for path in sources():
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(getattr(call, "func", None), "attr", "")
                if isinstance(call, ast.Call) and name in ("read_text", "write_text", "fdopen"):
                    assert "encoding" in {word.arg for word in call.keywords}, (
                        f"{path}:{call.lineno}"
                    )

    def test_cores_are_those_that_may_be_used(self):
        assert 1 <= system.cores() <= (os.cpu_count() or 1)


class TestNames:
    @pytest.mark.parametrize(
        "path, why",
        [
            (r"C:\maps\CON.tif", "keeps the name CON.tif for a device"),
            (r"C:\maps\nul", "keeps the name nul for a device"),
            (r"\\server\share\Com1.tar.gz", "for a device"),
            (r"C:\aux\a.tif", "keeps the name aux for a device"),
            (r"C:\maps\a:b.tif", "takes no ':' in a name"),
            (r"C:\maps\a?.tif", "takes no '?' in a name"),
            (r"C:\maps\inventory.", "leaves out the end of the name 'inventory.'"),
            (r"C:\maps \a.tif", "leaves out the end of the name 'maps '"),
            ("con.tif", "for a device"),
            (LONG, "its path has 283 characters, and Windows takes 259"),
        ],
    )
    def test_what_windows_does_not_take_is_told(self, windows, path, why):
        assert why in system.name_problem(path, 76)

    @pytest.mark.parametrize(
        "path",
        [r"C:\maps\console.tif", r"\\server\share\a b.tif", r"C:\Ünal\.partial-1\a.tif",
         r"..\a.tif", r"C:\100 % com0a\a.tif", r"\\?\C:\maps\a.tif"],
    )  # fmt: skip
    def test_what_it_takes_is_not(self, windows, path):
        assert system.name_problem(path, 76) == ""

    def test_long_paths_are_fine_where_windows_was_set_for_them(self, windows, monkeypatch):
        monkeypatch.setattr(system, "_takes_long_paths", lambda: True)
        assert system.name_problem(LONG, 76) == ""

    def test_elsewhere_nothing_is_wrong_with_them(self):
        assert system.name_problem(r"C:\maps\a:b.", 400) == ""

    @pytest.mark.usefixtures("windows")
    @pytest.mark.parametrize("name", ["aux.tif", "a:b.tif", "n" * 200 + ".tif"])
    def test_a_run_refuses_such_an_output_before_it_begins(self, tmp_path, name):
        with pytest.raises(OutputError, match=r"can't be written: .*Windows"):
            with claimed({"output": str(tmp_path / name)}, []):
                pass

    @pytest.mark.parametrize("platform, count", [("darwin", 1), ("win32", 1), ("linux", 3)])
    def test_macos_and_windows_take_some_names_for_one(self, monkeypatch, platform, count):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(system, "is_windows", lambda: platform == "win32")
        names = ["/maps/\u00e4.tif", "/maps/a\u0308.tif", "/Maps/\u00c4.TIF"]
        assert len({system.one_name(name) for name in names}) == count

    def test_two_outputs_of_names_that_macos_takes_for_one_are_refused(self, monkeypatch, tmp_path):
        monkeypatch.setattr(sys, "platform", "darwin")
        positions = {"a": str(tmp_path / "map.tif"), "b": str(tmp_path / "MAP.tif")}
        with pytest.raises(InputError, match="A and B would both write"):
            with claimed(positions, []):
                pass

    def test_and_a_part_of_an_input_is_known_by_them(self, monkeypatch, tmp_path):
        monkeypatch.setattr(sys, "platform", "darwin")
        (tmp_path / "a.shp").touch()
        with pytest.raises(InputError, match="or a part of one"):
            with claimed({"output": str(tmp_path / "A.dbf")}, [str(tmp_path / "a.shp")]):
                pass


class TestMoves:
    def test_windows_waits_for_who_looks_at_a_new_file(self, windows, monkeypatch, tmp_path):
        """As virus scanners do for a moment."""
        moved, calls = os.replace, iter(range(9))

        def scanned(*paths):
            if next(calls) < 3:
                raise PermissionError(13, "sharing violation")
            moved(*paths)

        monkeypatch.setattr(os, "replace", scanned)
        with whole_file(tmp_path / "a.tif") as partial:
            partial.write_bytes(b"new")
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]

    def test_elsewhere_nobody_waits(self, monkeypatch, tmp_path):
        calls = []

        def refuse(*paths):
            calls.append(paths)
            raise PermissionError(13, "not yours")

        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(PermissionError):
            system.replace(tmp_path / "a", tmp_path / "b")
        assert len(calls) == 1

    def test_an_output_that_is_open_in_another_program_is_refused_before_the_work(
        self, windows, monkeypatch, tmp_path
    ):
        def refuse(*paths):
            raise PermissionError(13, "sharing violation")

        monkeypatch.setattr(os, "rename", refuse)
        (tmp_path / "a.tif").write_bytes(b"shown in QGIS")
        with pytest.raises(OutputError, match=r"a\.tif, which is open in another program"):
            with claimed({"output": str(tmp_path / "a.tif")}, []):
                pass
        with claimed({"output": str(tmp_path / "new.tif")}, []):
            pass

    @pytest.mark.usefixtures("windows")
    def test_one_that_is_not_is_left_as_it_is(self, tmp_path):
        (tmp_path / "a.tif").write_bytes(b"old")
        assert not system.is_in_use(tmp_path / "a.tif")
        assert (tmp_path / "a.tif").read_bytes() == b"old"

    def test_on_windows_a_hidden_folder_takes_no_rights_away(self, windows, monkeypatch, tmp_path):
        """There 0o700 keeps all others out, and files that move out of it keep that."""
        modes, make = [], os.mkdir

        def mkdir(path, mode=0o777):
            modes.append(mode)
            make(path, mode)

        monkeypatch.setattr(os, "mkdir", mkdir)
        with whole_file(tmp_path / "a.tif") as partial:
            partial.write_bytes(b"new")
        assert set(modes) == {0o777}

    def test_elsewhere_it_is_the_owners_alone(self, tmp_path):
        folder = system.hidden_folder(tmp_path, ".partial-")
        assert folder.stat().st_mode & 0o777 == 0o700


class TestProcessesOnWindows:
    """Whether a process runs, where `os.kill` would end it."""

    class Kernel:
        """Of kernel32 what is asked: process 7 runs since 5, 8 has ended, 9 is another user's."""

        def __init__(self):
            self.error, self.closed = 0, []
            self.OpenProcess = self.open  # a function that takes attributes, as ctypes' do

        class open:
            restype = None

            def __new__(cls, access, inherit, number):
                return {7: 2**40 + 7, 8: 2**40 + 8}.get(number)

        def WaitForSingleObject(self, handle, milliseconds):
            return {2**40 + 7: 0x102, 2**40 + 8: 0}[handle.value]

        def GetProcessTimes(self, handle, made, *others):
            ctypes.cast(made, ctypes.POINTER(ctypes.c_ulonglong))[0] = 5
            return 1

        def CloseHandle(self, handle):
            self.closed.append(handle.value)

    @pytest.mark.parametrize("number, started", [(7, 5), (8, None), (9, 0), (10, None)])
    def test_is_asked_of_the_kernel(self, number, started):
        kernel = self.Kernel()
        error = {9: 5, 10: 87}.get(number, 0)
        assert owners.started_on_windows(number, kernel, lambda: error) == started
        assert kernel.closed == ([2**40 + number] if number < 9 else [])

    def test_another_users_process_has_not_ended(self, monkeypatch):
        monkeypatch.setattr(owners, "_started", lambda number: 0)
        assert not owners.has_ended(f"9-5-{owners._host()}")


@pytest.mark.parametrize("status, started", [(2, 3_000_004), (5, None)])
def test_on_macos_a_process_has_a_start_and_a_zombie_is_none(status, started):
    def proc_pidinfo(number, flavour, argument, place, size):
        """Fill in what xnu's proc_info.h says: the status at 4, the start at 120 and 128."""
        facts = bytearray(136)
        facts[4:8] = status.to_bytes(4, "little")
        facts[120:128], facts[128:136] = (3).to_bytes(8, "little"), (4).to_bytes(8, "little")
        ctypes.memmove(place, bytes(facts), size)
        return 136

    assert owners.started_on_mac(7, proc_pidinfo) == started


def test_on_macos_one_that_is_not_told_of_runs():
    assert owners.started_on_mac(7, lambda *asked: 0) == 0


def soon(condition):
    """Wait until something holds, a minute at most; return whether it does."""
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def fake_taskkill(folder, monkeypatch):
    """Have a program in the place of Windows' that notes what it is asked; return its notes."""
    monkeypatch.setenv("SystemRoot", str(folder))
    program, told = folder / "System32" / "taskkill.exe", folder / "told"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    program.chmod(0o755)
    return told


def sources():
    """Return the code that runs on users' machines."""
    folders = ("landslide_plugin", "processing_algorithms", "models")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def is_start(function):
    text = ast.unparse(function)
    return text.startswith("subprocess.") and text.split(".")[1] in (
        "run", "Popen", "call", "check_call", "check_output"
    )  # fmt: skip
