"""Setting up the engine: whole or not counted, twice is once; with tiny packages, offline."""

import contextlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin import engine_lookup, engine_setup
from landslide_mapper.landslide_plugin.engine_lookup import find_engine
from landslide_mapper.landslide_plugin.engine_process import EngineCanceled
from landslide_mapper.landslide_plugin.engine_setup import STAMP, Plan, is_ready, python_of
from landslide_mapper.landslide_plugin.errors import LandslideError
from landslide_mapper.processing_algorithms import setupengine
from landslide_mapper.processing_algorithms.setupengine import SetupEngine, install, measure
from qgis.core import QgsProcessingContext, QgsProcessingException

ROOT = Path(__file__).resolve().parents[2]


def write_wheel(folder, name, version, code=""):
    """Write a package of one module."""
    info = f"{name}-{version}.dist-info"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def requirements(tmp_path):
    """A requirements folder whose one package is at hand in two versions, the older pinned."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        write_wheel(folder, "tinypackage", version)
    write_wheel(folder, "tinytool", "1.0")
    source = f"--no-index\n--find-links {folder}\n"
    (folder / "engine.txt").write_text(f"{source}tinypackage\n")
    (folder / "dev.txt").write_text(f"{source}tinytool\n")
    (folder / "constraints.txt").write_text("tinypackage==1.0\ntinytool==1.0\n")
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "profile" / "engine"


def installed(folder, name="tinypackage"):
    """Return the version of a package in an environment, or None."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run([python_of(folder), "-c", code, name], capture_output=True, text=True)
    return done.stdout.strip() or None


def script(*words):
    return subprocess.run(
        ["/usr/bin/python3", engine_setup.__file__, *map(str, words)],
        capture_output=True, text=True,
    )  # fmt: skip


class TestInstall:
    def test_makes_an_environment_with_the_pinned_version(self, folder, requirements, feedback):
        python = install(folder, feedback, requirements=requirements)
        assert python == python_of(folder)
        assert installed(folder) == "1.0"
        assert feedback.percents[-1] == 100
        assert feedback.percents == sorted(feedback.percents)
        assert any("Making the environment" in text for text in feedback.infos)

    def test_twice_is_once(self, folder, requirements, recorder):
        install(folder, recorder(), requirements=requirements)
        stamp = (folder / STAMP).stat().st_mtime_ns
        feedback = recorder()
        install(folder, feedback, requirements=requirements)
        assert (folder / STAMP).stat().st_mtime_ns == stamp
        assert any("nothing to do" in text for text in feedback.infos)

    def test_changed_pins_are_followed(self, folder, requirements, feedback):
        install(folder, feedback, requirements=requirements)
        (requirements / "constraints.txt").write_text("tinypackage==2.0\n")
        assert not is_ready(Plan(folder, requirements))
        install(folder, feedback, requirements=requirements)
        assert installed(folder) == "2.0"

    def test_an_environment_made_by_hand_is_completed_not_remade(
        self, folder, requirements, feedback
    ):
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
        (folder / "mine.txt").write_text("")
        install(folder, feedback, requirements=requirements)
        assert (folder / "mine.txt").exists()
        assert installed(folder) == "1.0"

    def test_a_package_that_is_not_there_is_one_sentence_and_no_engine(
        self, folder, requirements, feedback, no_engine, monkeypatch
    ):
        monkeypatch.setattr(engine_lookup, "managed_folder", lambda: folder)
        install(folder, feedback, requirements=requirements)
        assert find_engine() == python_of(folder)
        with (requirements / "engine.txt").open("a") as file:
            file.write("missingpackage\n")
        with pytest.raises(LandslideError, match=r"packages can't be installed .*missingpackage"):
            install(folder, feedback, requirements=requirements)
        with pytest.raises(LandslideError, match="not set up"):
            find_engine()

    def test_an_install_that_was_killed_is_begun_anew(self, folder, requirements, feedback):
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
        (folder / engine_setup._STARTED).touch()
        (folder / "half.txt").write_text("")
        assert not is_ready(Plan(folder, requirements))
        install(folder, feedback, requirements=requirements)
        assert not (folder / "half.txt").exists()
        assert not (folder / engine_setup._STARTED).exists()
        assert installed(folder) == "1.0"

    def test_cancel_leaves_no_engine_and_no_process(self, folder, requirements, recorder):
        feedback = recorder(cancel_at="Making the environment")
        with pytest.raises(EngineCanceled):
            install(folder, feedback, requirements=requirements)
        assert "Making the environment" in feedback.infos[-1]
        assert not (folder / STAMP).exists()
        assert not [words for words in command_lines() if str(folder) in words]

    def test_what_must_be_compiled_but_cannot_is_a_warning(
        self, folder, requirements, feedback, monkeypatch, tmp_path
    ):
        (requirements / "native.txt").write_text("tinynative==1.0\n")
        monkeypatch.setenv("PATH", str(tmp_path))
        install(folder, feedback, requirements=requirements)
        assert "streams and TWI won't work" in feedback.warnings[0]
        assert is_ready(Plan(folder, requirements))


class TestScript:
    def test_dev_adds_the_tools_and_serves_without(self, folder, requirements):
        assert script(folder, "--requirements", requirements, "--dev").returncode == 0
        assert installed(folder, "tinytool") == "1.0"
        assert is_ready(Plan(folder, requirements))

    def test_without_dev_the_tools_are_not_there(self, folder, requirements):
        done = script(folder, "--requirements", requirements)
        assert done.returncode == 0
        assert "is ready" in done.stdout
        assert installed(folder, "tinytool") is None
        assert not is_ready(Plan(folder, requirements, dev=True))

    def test_an_unfit_python_is_told(self, folder, requirements, tmp_path):
        old = tmp_path / "python3.8"
        old.write_text("#!/bin/sh\necho 3.8.10\n")
        old.chmod(0o755)
        done = script(folder, "--requirements", requirements, "--python", old)
        assert done.returncode == 1
        assert "needs Python 3.11 to 3.12 with venv (Debian: python3-venv)" in done.stdout
        assert f"found: {old} (3.8.10)" in done.stdout
        assert not folder.exists()

    def test_a_folder_that_cannot_be_written_is_told(self, requirements):
        done = script("/proc/engine", "--requirements", requirements, "--json")
        event = json.loads(done.stdout.splitlines()[-1])
        assert event["type"] == "error"
        assert "Traceback" not in done.stderr

    def test_for_a_gpu_torch_alone_is_not_pinned(self, tmp_path):
        (tmp_path / "constraints.txt").write_text("torch==1\ntorchvision==1\nnumpy==1.26.4\n")
        assert Plan(tmp_path, tmp_path, gpu=True).constraints() == "numpy==1.26.4\n"
        assert "torch==1" in Plan(tmp_path, tmp_path).constraints()


class TestPins:
    def test_every_requirement_is_pinned(self):
        pins = (ROOT / "requirements" / "constraints.txt").read_text().lower().replace("_", "-")
        pinned = {line.partition("==")[0] for line in pins.splitlines() if "==" in line}
        for name in ("engine.txt", "dev.txt"):
            lines = (ROOT / "requirements" / name).read_text().splitlines()
            wanted = {line.partition("#")[0].strip().lower() for line in lines} - {""}
            assert wanted <= pinned, name


class TestAlgorithm:
    @pytest.fixture
    def run(self, provider, feedback):
        def run_it(**parameters):
            context = QgsProcessingContext()
            alg = SetupEngine().create()
            assert alg.canExecute()[0]
            assert alg.checkParameterValues(parameters, context)[0]
            return alg.run(parameters, context, feedback, {}, False)[0]

        return run_it

    def test_makes_the_managed_engine_and_reports_it(
        self, run, no_engine, folder, requirements, monkeypatch
    ):
        monkeypatch.setattr(setupengine, "managed_folder", lambda: folder)
        monkeypatch.setattr(
            setupengine, "install", lambda *a, **k: install(*a, **k, requirements=requirements)
        )
        asked = []

        def measured(command, parameters, feedback, python):
            asked.append((command, python))
            return {
                "device": "CPU, 2 threads",
                "python": "3.11.2",
                "packages": {"torch": "2.13.0"},
                "megapixels_per_second": 1.5,
            }

        monkeypatch.setattr(setupengine, "run_command", measured)
        assert run() == {
            "ENGINE": str(python_of(folder)),
            "PACKAGES": "torch 2.13.0",
            "DEVICE": "CPU, 2 threads",
            "MEGAPIXELS_PER_SECOND": 1.5,
        }
        assert asked == [("device", python_of(folder))]

    def test_an_engine_that_cannot_run_is_told_and_does_not_count(
        self, run, no_engine, folder, requirements, monkeypatch
    ):
        monkeypatch.setattr(setupengine, "managed_folder", lambda: folder)
        monkeypatch.setattr(engine_lookup, "managed_folder", lambda: folder)
        monkeypatch.setattr(
            setupengine, "install", lambda *a, **k: install(*a, **k, requirements=requirements)
        )
        # tinypackage is no torch
        with pytest.raises(QgsProcessingException, match=r"lacks the package .*Set up the engine"):
            run()
        with pytest.raises(LandslideError, match="not set up"):
            find_engine()

    def test_a_named_python_that_is_not_there_is_told(self, run, monkeypatch):
        monkeypatch.setenv("LANDSLIDE_PYTHON", "/nowhere/python")
        with pytest.raises(QgsProcessingException, match="/nowhere/python"):
            run()

    def test_the_true_engine_reports_itself(self, engine, feedback):
        found = measure(engine, feedback)
        assert "torch 2.13.0" in found["PACKAGES"]
        assert found["MEGAPIXELS_PER_SECOND"] > 0
        assert found["ENGINE"] == str(engine)


def command_lines():
    """Return the command lines of all running processes; some end while they are read."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found
