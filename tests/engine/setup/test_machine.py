"""Systems that are not this one, by construction: refused, or what is made for them."""

import os
import platform
import shutil
import sys
from pathlib import Path, PureWindowsPath

import pytest
from landslide_mapper.landslide_plugin.core.system import LONGEST_PATH
from landslide_mapper.landslide_plugin.setup import machine as machine_module
from landslide_mapper.landslide_plugin.setup.home import check_length, home, python_of
from landslide_mapper.landslide_plugin.setup.install import set_up
from landslide_mapper.landslide_plugin.setup.listener import SetupError
from landslide_mapper.landslide_plugin.setup.machine import (
    Machine,
    base_python,
    this_machine,
    torch_for_gpu,
)
from landslide_mapper.landslide_plugin.setup.plan import Plan

from .conftest import PYTHON, Memory

WINDOWS, LINUX = Machine("Windows"), Machine("Linux")
MAC = Machine("Darwin", "aarch64", 14)


def fake(monkeypatch, system, processor, answers=()):
    """Let this machine be another one."""
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    answers = {"sw_vers": "14.5", **dict(answers)}
    monkeypatch.setattr(machine_module, "output_of", lambda words: answers.get(words[0], ""))


class TestMachine:
    @pytest.mark.parametrize(
        ("system", "processor", "translated", "expected"),
        [
            ("Windows", "AMD64", "", WINDOWS),
            ("Windows", "ARM64", "", WINDOWS),  # runs what is made for x86_64
            ("Linux", "aarch64", "", Machine("Linux", "aarch64")),
            ("Darwin", "arm64", "", MAC),
            ("Darwin", "x86_64", "1", MAC),  # a QGIS for Intel on Apple silicon
            ("Darwin", "x86_64", "0", Machine("Darwin", "x86_64", 14)),
        ],
    )
    def test_is_told_from_the_system(self, monkeypatch, system, processor, translated, expected):
        monkeypatch.delenv("SNAP", raising=False)
        fake(monkeypatch, system, processor, {"sysctl": translated})
        assert this_machine.__wrapped__() == expected

    def test_an_intel_mac_gets_a_clear_sentence_before_anything_is_done(self, index, tmp_path):
        plan = Plan(requirements=index.requirements, machine=Machine("Darwin", "x86_64", 14))
        with pytest.raises(SetupError, match="needs a Mac with Apple silicon"):
            set_up(plan, tmp_path / "engine", Memory())
        assert not (tmp_path / "engine").exists()

    def test_an_old_macos_and_an_unknown_processor_are_refused(self):
        assert "needs macOS 14 or newer" in Machine("Darwin", "aarch64", 13).refusal()
        assert "not made for the processor riscv64" in Machine("Linux", "riscv64").refusal()
        assert [machine.refusal() for machine in (WINDOWS, LINUX, MAC)] == ["", "", ""]


class TestPython:
    @pytest.mark.parametrize(
        ("machine", "expected"),
        [
            (WINDOWS, "cpython-3.12-windows-x86_64"),
            (MAC, "cpython-3.12-macos-aarch64"),
            (Machine("Linux", "aarch64", sandboxed=True), "cpython-3.12-linux-aarch64"),
        ],
    )
    def test_windows_macos_and_sandboxes_get_uvs_own(self, machine, expected):
        assert base_python(machine) == (expected, "3.12")

    @pytest.mark.parametrize(
        ("versions", "expected"),
        [
            ({"/usr/bin/python3": "3.13"}, "/usr/bin/python3"),
            ({"/usr/bin/python3": "3.9"}, "cpython-3.12-linux-x86_64"),
            ({"/usr/bin/python3": "3.15"}, "cpython-3.12-linux-x86_64"),
            ({"/usr/bin/python3": "3.14"}, "/usr/bin/python3"),
            ({"/usr/bin/python3": "3.14", "/opt/python3.13": "3.13"}, "/opt/python3.13"),
        ],
    )
    def test_linux_takes_the_systems_where_it_fits(self, monkeypatch, versions, expected):
        monkeypatch.setattr(machine_module, "version_of", lambda path: versions.get(str(path), ""))
        monkeypatch.setattr(
            shutil, "which", lambda name: "/opt/python3.13" if "13" in name else None
        )
        assert base_python(LINUX)[0] == expected

    def test_one_that_was_named_must_fit(self, tmp_path):
        assert base_python(WINDOWS, sys.executable) == (sys.executable, PYTHON)
        with pytest.raises(SetupError, match=r"needs Python 3\.11 to 3\.14; .* is none"):
            base_python(LINUX, str(tmp_path / "python"))

    def test_where_no_python_fits_uv_is_asked_for_its_own(self, index, tmp_path, running):
        sandbox = Machine("Linux", sandboxed=True)
        plan = Plan("pypi", requirements=index.requirements, machine=sandbox)
        variables = {"UV_PYTHON_INSTALL_MIRROR": (tmp_path / "none").as_uri()}
        with pytest.raises(SetupError, match=r"Python 3\.12 can't be downloaded"):
            set_up(plan, tmp_path / "engine", Memory(), environment=variables)
        assert "--managed-python" in running[-1].args


class TestGpu:
    @pytest.mark.parametrize(
        ("machine", "driver", "expected"),
        [
            (LINUX, "", "cpu"),
            (LINUX, "580.65.06\n580.65.06", "cu130"),
            (LINUX, "550.54.15", "cpu"),
            (WINDOWS, "581.15", "cu130"),
            (WINDOWS, "552.44", "cu126"),
            (WINDOWS, "470.0", "cpu"),
            (MAC, "", "cpu"),  # which is the build with MPS
        ],
    )
    def test_torch_is_chosen_by_the_driver(self, monkeypatch, machine, driver, expected):
        monkeypatch.setattr(machine_module, "output_of", lambda words: driver)
        assert torch_for_gpu(machine) == expected
        assert Plan("auto", machine=machine).settled().torch == expected

    def test_what_is_not_there_for_a_system_is_refused(self):
        with pytest.raises(SetupError, match="no torch for cu126 on Linux"):
            Plan("cu126", machine=LINUX).settled()
        with pytest.raises(SetupError, match="no torch for cu130 on Darwin: take cpu, which uses"):
            Plan("cu130", machine=MAC).settled()


class TestPlaces:
    @pytest.mark.parametrize(
        ("machine", "variables", "expected"),
        [
            (LINUX, {"XDG_DATA_HOME": "/x/share"}, "/x/share/landslide-mapper"),
            (
                LINUX,  # a Snap, which copies what lies in XDG_DATA_HOME at each refresh
                {"SNAP_USER_COMMON": "/a/snap/qgis/common", "XDG_DATA_HOME": "/a/snap/qgis/7"},
                "/a/snap/qgis/common/landslide-mapper",
            ),
            (LINUX, {"HOME": "/home/a"}, "/home/a/.local/share/landslide-mapper"),
            (MAC, {"HOME": "/Users/a"}, "/Users/a/Library/Application Support/landslide-mapper"),
            (WINDOWS, {"LOCALAPPDATA": "/C/Local"}, "/C/Local/landslide-mapper"),
            (WINDOWS, {"LANDSLIDE_HOME": "/short"}, "/short"),
            (LINUX, {"HOME": "/home/a", "LANDSLIDE_HOME": "~/engines"}, "/home/a/engines"),
        ],
    )
    @pytest.mark.skipif(os.name == "nt", reason="paths are written as elsewhere")
    def test_engines_live_where_the_system_keeps_such(
        self, monkeypatch, machine, variables, expected
    ):
        for name in ("SNAP_USER_COMMON", "XDG_DATA_HOME", "LOCALAPPDATA", "LANDSLIDE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert str(home(machine)) == expected

    def test_windows_has_its_python_elsewhere(self):
        assert python_of(Path("e"), WINDOWS) == Path("e/Scripts/python.exe")
        assert python_of(Path("e"), MAC) == Path("e/bin/python")

    def test_a_path_too_long_for_windows_is_refused_with_the_mend(self, index):
        plan = Plan(requirements=index.requirements, machine=WINDOWS)
        longest = LONGEST_PATH - 150 - len("\\Lib\\site-packages\\")
        check_length(plan, PureWindowsPath("C:\\" + "x" * (longest - 3)))
        with pytest.raises(SetupError, match=r"259 characters, .* 260: set .*LANDSLIDE_HOME"):
            check_length(plan, PureWindowsPath("C:\\" + "x" * (longest - 2)))
        check_length(Plan(requirements=index.requirements, machine=LINUX), Path("x" * 300))

    def test_the_usual_folder_of_a_long_windows_name_is_short_enough(self):
        plan = Plan(machine=WINDOWS)
        user = "C:\\Users\\" + "x" * 20  # the longest that Windows takes
        check_length(plan, PureWindowsPath(user, "AppData\\Local\\landslide-mapper", plan.digest()))
