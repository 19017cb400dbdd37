"""The engine: where it is looked for, how it is spoken to, how it ends."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from landslide_mapper.landslide_plugin import engine_lookup, engine_process
from landslide_mapper.landslide_plugin.contract.errors import InputError, LandslideError
from landslide_mapper.landslide_plugin.core import system
from landslide_mapper.landslide_plugin.engine_lookup import clean_environment, find_engine
from landslide_mapper.landslide_plugin.engine_process import (
    EngineCanceled,
    EngineFailure,
    run_command,
)
from landslide_mapper.landslide_plugin.setup.home import STAMP, python_of
from landslide_mapper.landslide_plugin.setup.plan import Plan
from landslide_mapper.processing_algorithms.request import destination
from qgis.core import QgsProcessingContext, QgsProcessingException

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


@pytest.fixture
def ask(feedback):
    """Run a command of the fake worker."""

    def run(command, feedback=feedback, **parameters):
        return run_command(
            command, parameters, feedback, python=Path(sys.executable), worker=FAKE_WORKER
        )

    return run


@pytest.fixture
def earlier(tmp_path):
    """An output that stood before."""
    path = tmp_path / "probability.tif"
    path.write_text("an earlier result")
    return path


def alive(pid):
    """Whether a process runs; a zombie that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid):
    """Whether a process that was killed is gone, in the moment that it needs to die."""
    given_up = time.monotonic() + 60
    while alive(pid) and time.monotonic() < given_up:
        time.sleep(0.01)
    return not alive(pid)


def environment_at(folder, stamped=True, **stamp):
    """Make what looks like an engine of this version's packages."""
    python = python_of(folder)
    python.parent.mkdir(parents=True)
    python.write_text("")
    if stamped:
        (folder / STAMP).write_text(json.dumps({**Plan().wanted(), **stamp}))
    return python


class TestThisEnvironment:
    @pytest.mark.parametrize("name", ["torch", "torchvision", "rasterio", "geopandas"])
    def test_has_none_of_the_engines_packages(self, name):
        assert importlib.util.find_spec(name) is None


@pytest.mark.usefixtures("no_engine")
class TestLookUp:
    def test_none_there_says_what_to_do(self):
        with pytest.raises(LandslideError, match='run "Set up the engine"'):
            find_engine()

    def test_order(self, monkeypatch, tmp_path):
        monkeypatch.setattr(engine_lookup, "_has_packages", lambda python: True)
        assert find_engine() == engine_lookup.own_python()
        managed = environment_at(tmp_path / "home" / "1a2b3c4d")
        assert find_engine() == managed
        beside = environment_at(tmp_path / "plugin" / ".venv")
        assert find_engine() == beside
        monkeypatch.setenv("LANDSLIDE_PYTHON", sys.executable)
        assert find_engine() == Path(sys.executable)
        monkeypatch.setattr(engine_lookup, "_setting", lambda: "/bin/sh")
        assert find_engine() == Path("/bin/sh")

    def test_an_environment_without_stamp_is_not_whole_and_does_not_count(self, tmp_path):
        environment_at(tmp_path / "home" / "1a2b3c4d", stamped=False)
        with pytest.raises(LandslideError):
            find_engine()

    @pytest.mark.parametrize("torch", ["cpu", "cu130", "pypi"])
    def test_an_engine_with_any_torch_counts(self, tmp_path, torch):
        written = environment_at(tmp_path / "home" / "1a2b3c4d", torch=torch)
        assert find_engine() == written

    def test_an_engine_of_an_earlier_version_is_told(self, tmp_path, monkeypatch):
        environment_at(tmp_path / "home" / "1a2b3c4d", engine="of other packages")
        sentence = r'of an earlier version: run "Set up the engine".*reuses what is there'
        with pytest.raises(LandslideError, match=sentence):
            find_engine()
        of_this = environment_at(tmp_path / "home" / "5e6f7a8b")
        assert find_engine() == of_this

    def test_an_engine_in_the_profile_is_of_an_earlier_version(self, tmp_path, monkeypatch):
        monkeypatch.setattr(engine_lookup, "earlier_folders", lambda: [tmp_path / "engine-0.1.0"])
        with pytest.raises(LandslideError, match="of an earlier version"):
            find_engine()

    def test_an_engine_that_vanishes_is_found_no_more(self, tmp_path):
        python = environment_at(tmp_path / "home" / "1a2b3c4d")
        assert find_engine() == python
        python.unlink()
        with pytest.raises(LandslideError):
            find_engine()

    def test_a_named_python_that_is_not_there_is_told(self, monkeypatch):
        monkeypatch.setenv("LANDSLIDE_PYTHON", "/nowhere/python")
        with pytest.raises(InputError, match=r"/nowhere/python.*LANDSLIDE_PYTHON.*does not exist"):
            find_engine()

    def test_the_processing_setting_goes_first(self, provider, monkeypatch):
        from processing.core.ProcessingConfig import ProcessingConfig

        setting = ProcessingConfig.settings[engine_lookup.SETTING]
        assert (setting.group, setting.description) == ("Landslide Mapper", "Engine Python")
        monkeypatch.setattr(setting, "value", "/bin/sh")
        monkeypatch.setenv("LANDSLIDE_PYTHON", sys.executable)
        assert find_engine() == Path("/bin/sh")

    def test_this_python_has_not_the_packages(self):
        assert not engine_lookup._has_packages(Path(sys.executable))

    def test_no_program_is_started_where_qgis_finds_no_package(self, monkeypatch):
        monkeypatch.setattr(engine_lookup, "_own_answer", {})
        monkeypatch.setattr(subprocess, "run", None)
        with pytest.raises(LandslideError, match="not set up"):
            find_engine()

    def test_qgis_itself_is_never_taken_for_a_python(self, tmp_path, monkeypatch):
        """In an app bundle sys.executable is QGIS: asked, it would open a second window."""
        program = tmp_path / "QGIS.app" / "Contents" / "MacOS" / "QGIS"
        program.parent.mkdir(parents=True)
        program.write_text("")
        monkeypatch.setattr(sys, "executable", str(program))
        monkeypatch.setattr(sys, "exec_prefix", str(tmp_path / "QGIS.app" / "Contents"))
        monkeypatch.setattr(engine_lookup, "_has_packages", lambda python: True)
        assert engine_lookup.own_python() is None
        with pytest.raises(LandslideError, match="not set up"):
            find_engine()


class TestProtocol:
    def test_events_reach_the_feedback(self, ask, feedback):
        ask("talk")
        assert feedback.percents == [12.5]
        assert feedback.infos == ["a message"]
        assert feedback.warnings == ["a warning"]
        assert "a log line" in feedback.log
        assert "no JSON at all" in feedback.log

    def test_the_request_is_attached_and_carries_the_parameters(self, ask):
        request = ask("talk", slope=1.5, names=["ä b", "c"])["request"]
        assert request == {
            "command": "talk",
            "parameters": {"slope": 1.5, "names": ["ä b", "c"]},
            "attached": True,
        }

    def test_the_environment_is_clean(self, ask, monkeypatch):
        dropped = ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__", "PROJ_LIB", "GDAL_DATA",
                   "GDAL_DRIVER_PATH", "DYLD_LIBRARY_PATH")  # fmt: skip
        for name in dropped:
            monkeypatch.setenv(name, "/nowhere")
        monkeypatch.setenv("LANDSLIDE_KEPT", "yes")
        environment = ask("talk")["environment"]
        assert not set(dropped) & set(environment)
        assert environment["LANDSLIDE_KEPT"] == "yes"
        assert clean_environment().keys() <= os.environ.keys()

    def test_full_pipes_do_not_stop_it(self, ask, feedback):
        ask("flood")
        assert len(feedback.infos) == 3000

    def test_what_the_user_can_mend_is_one_sentence(self, ask):
        with pytest.raises(LandslideError) as caught:
            ask("user_error")
        assert str(caught.value) == "The DEM has no CRS: assign its projection first."

    def test_a_bug_keeps_its_traceback_apart(self, ask):
        with pytest.raises(EngineFailure) as caught:
            ask("bug")
        assert "Traceback" not in str(caught.value)
        assert "Traceback" in caught.value.details

    def test_an_end_without_answer_shows_status_and_log(self, ask):
        with pytest.raises(EngineFailure, match="status 3") as caught:
            ask("vanish")
        assert "the last words" in caught.value.details

    def test_a_child_that_holds_the_pipes_delays_nothing_and_is_ended(self, ask, tmp_path):
        assert ask("leave_child", pids=str(tmp_path / "pids")) == {"done": True}
        assert ends(int((tmp_path / "pids").read_text()))


class TestEnd:
    def test_cancel_waits_less_than_5_s(self):
        """That is what the engine allows; how busy the machine is comes on top."""
        assert engine_process._GRACE_SECONDS + engine_process._KILL_SECONDS < 5

    def test_cancel_ends_a_stubborn_worker_and_its_child(self, ask, recorder, tmp_path, earlier):
        feedback = recorder(cancel_at="begun")
        with pytest.raises(EngineCanceled):
            ask("hang", feedback, output=str(earlier), pids=str(tmp_path / "pids"))
        worker, child = map(int, (tmp_path / "pids").read_text().split())
        assert not alive(worker)
        assert ends(child)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["pids", "probability.tif"]
        assert earlier.read_text() == "an earlier result"

    def test_kill_9_is_told_in_one_sentence_and_leaves_nothing(self, ask, tmp_path, earlier):
        with pytest.raises(EngineFailure, match=r"ended from outside \(signal 9") as caught:
            ask("killed", output=str(earlier))
        assert "unchanged" in str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["probability.tif"]
        assert earlier.read_text() == "an earlier result"

    def test_partials_of_others_stay(self, ask, tmp_path, earlier):
        other = tmp_path / ".partial-1-probability.tif"
        other.mkdir()
        with pytest.raises(EngineFailure):
            ask("killed", output=str(earlier))
        assert other.is_dir()


@pytest.fixture
def launcher(tmp_path):
    """What the Python of an environment is on Windows: a program that starts the true one."""
    path = tmp_path / "launcher.py"
    path.write_text(
        "import subprocess, sys\n"
        f"words = [sys.executable, {str(FAKE_WORKER)!r}]\n"
        "sys.exit(subprocess.Popen(words, start_new_session=True).wait())\n"
    )
    return path


class TestOnWindows:
    @pytest.fixture(autouse=True)
    def windows(self, monkeypatch, tmp_path):
        """Have this taken for Windows, but for its flags, and without its program taskkill."""
        monkeypatch.setattr(system, "is_windows", lambda: True)
        monkeypatch.setattr(system, "own_group", dict)
        monkeypatch.setattr(system, "no_window", dict)
        monkeypatch.setenv("SystemRoot", str(tmp_path / "none"))

    def test_cancel_ends_the_worker_that_the_launcher_started(
        self, recorder, launcher, tmp_path, earlier
    ):
        feedback = recorder(cancel_at="begun")
        given = {"output": str(earlier), "pids": str(tmp_path / "pids")}
        with pytest.raises(EngineCanceled):
            run_command("linger", given, feedback, python=Path(sys.executable), worker=launcher)
        [worker] = map(int, (tmp_path / "pids").read_text().split())
        assert ends(worker)
        assert not list(tmp_path.glob(".partial*")) and earlier.read_text() == "an earlier result"

    @pytest.mark.parametrize("name", ["aux", "a?"])
    def test_a_name_that_windows_does_not_take_is_told_as_it_was_given(
        self, provider, tmp_path, name
    ):
        """Made absolute, it would be that of a device."""
        algorithm = provider.algorithm("demoarea").create()
        definition, context = algorithm.parameterDefinition("FOLDER"), QgsProcessingContext()
        given = {"FOLDER": str(tmp_path / name)}
        with pytest.raises(QgsProcessingException, match=rf"{re.escape(name)}: Windows"):
            destination(algorithm, definition, given, context)

    def test_a_crash_is_told_by_the_number_that_windows_has_for_it(self):
        assert "(status 0xc0000135)" in engine_process._why_ended(0xC0000135)


class TestOwnPython:
    """QGIS's own, and never QGIS itself, which would open a second window."""

    @pytest.mark.parametrize(
        "windows, executable, prefix, python",
        [
            (False, "MacOS/QGIS", "MacOS", "MacOS/bin/python3"),  # its bundle until QGIS 3.42
            (False, "MacOS/QGIS", "Frameworks", "MacOS/bin/python3"),
            (False, "bin/qgis", "usr", "usr/bin/python3"),
            (False, "usr/bin/python3", "usr", "usr/bin/python3"),
            (True, "bin/qgis-bin.exe", "apps/Python312", "apps/Python312/python.exe"),
        ],
    )
    def test_is_found(self, monkeypatch, tmp_path, windows, executable, prefix, python):
        for name in (executable, python):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        monkeypatch.setattr(system, "is_windows", lambda: windows)
        monkeypatch.setattr(sys, "executable", str(tmp_path / executable))
        monkeypatch.setattr(sys, "exec_prefix", str(tmp_path / prefix))
        assert engine_lookup.own_python() == tmp_path / python

    def test_there_may_be_none(self, monkeypatch, tmp_path):
        (tmp_path / "QGIS").touch()
        monkeypatch.setattr(sys, "executable", str(tmp_path / "QGIS"))
        monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
        assert engine_lookup.own_python() is None


class TestTrueEngine:
    def test_a_python_without_the_packages_is_told(self, feedback):
        with pytest.raises(LandslideError, match=r"lacks the package .*: run \"Set up the engine"):
            run_command("device", {}, feedback, python=Path("/usr/bin/python3"))

    def test_a_missing_input_is_one_sentence_and_no_output(self, engine, feedback, tmp_path):
        parameters = {"input": str(tmp_path / "no.tif"), "output": str(tmp_path / "out.tif")}
        with pytest.raises(LandslideError, match=r"no\.tif does not exist"):
            run_command("terrainfactors", parameters, feedback)
        assert list(tmp_path.iterdir()) == []

    def test_a_wrong_command_is_told(self, engine, feedback):
        with pytest.raises(LandslideError, match="No command 'nothing'"):
            run_command("nothing", {}, feedback)

    def test_cancel_in_mid_work(self, engine, recorder, tmp_path, monkeypatch):
        dem = write_dem(tmp_path / "dem.tif", 6000)
        earlier = tmp_path / "out.tif"
        earlier.write_text("an earlier result")
        feedback = recorder()
        feedback.progressChanged.connect(lambda _: feedback.cancel())
        pids = spy(monkeypatch)
        with pytest.raises(EngineCanceled):
            run_command("terrainfactors", {"input": dem, "output": str(earlier)}, feedback)
        assert 0 < feedback.percents[0] < 90
        assert_untouched(tmp_path, earlier, pids)

    def test_kill_9_in_mid_work(self, engine, feedback, tmp_path, monkeypatch):
        dem = write_dem(tmp_path / "dem.tif", 6000)
        earlier = tmp_path / "out.tif"
        earlier.write_text("an earlier result")
        pids = spy(monkeypatch)
        feedback.progressChanged.connect(lambda _: os.kill(pids[0], signal.SIGKILL))
        with pytest.raises(EngineFailure, match="ended from outside"):
            run_command("terrainfactors", {"input": dem, "output": str(earlier)}, feedback)
        assert_untouched(tmp_path, earlier, pids)

    def test_the_worker_ends_with_whoever_asked(self, engine_python, tmp_path):
        dem = write_dem(tmp_path / "dem.tif", 6000)
        process: Any = engine_process.start([str(engine_python), "-u", str(engine_process.WORKER)])
        parameters = {"input": dem, "output": str(tmp_path / "out.tif")}
        engine_process._send(process, request_line("terrainfactors", parameters))
        process.stdout.readline()
        process.stdin.close()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        assert process.wait(60) != 0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["dem.tif"]


def request_line(command, parameters):
    return json.dumps({"command": command, "parameters": parameters, "attached": True}) + "\n"


def write_dem(path, size):
    """Write a synthetic slope that keeps the engine busy for some seconds."""
    subprocess.run(
        ["gdal_create", "-q", "-of", "GTiff", "-ot", "Float32", "-outsize", str(size), str(size),
         "-burn", "100", "-a_srs", "EPSG:32632", "-a_ullr", "500000", "5000000",
         str(500000 + 10 * size), str(5000000 - 10 * size), "-co", "COMPRESS=DEFLATE", str(path)],
        check=True,
    )  # fmt: skip
    return str(path)


def spy(monkeypatch):
    """Note the ids of the processes that are started."""
    pids, start = [], engine_process.start

    def noting(words):
        process = start(words)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(engine_process, "start", noting)
    return pids


def assert_untouched(folder, earlier, pids):
    assert sorted(path.name for path in folder.iterdir()) == ["dem.tif", "out.tif"]
    assert earlier.read_text() == "an earlier result"
    assert pids and all(ends(pid) for pid in pids)
