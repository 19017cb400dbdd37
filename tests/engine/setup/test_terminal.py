"""The set-up from a terminal, and the locks that it installs."""

import os
import re
import sys
from functools import partial

import pytest
from landslide_mapper.landslide_plugin.setup import __main__ as terminal
from landslide_mapper.landslide_plugin.setup.home import is_ready
from landslide_mapper.landslide_plugin.setup.machine import Machine
from landslide_mapper.landslide_plugin.setup.plan import REQUIREMENTS, Plan

from .conftest import TORCH


@pytest.fixture
def setup(index, tmp_path, monkeypatch):
    """Return a function that runs the command on the tiny locks; folders of wheels are none."""
    monkeypatch.setenv("LANDSLIDE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setattr(terminal, "_pips_find_links", lambda: "")

    monkeypatch.setattr(terminal, "Plan", partial(Plan, requirements=index.requirements))
    return lambda *words: terminal.main(
        [str(tmp_path / "engine"), "--python", sys.executable, *words]
    )


class TestCommand:
    def test_makes_an_engine_from_pips_index_and_says_so(self, index, setup, tmp_path, capsys):
        assert setup() == 0
        said = capsys.readouterr().out
        assert "2 MB to download" in said
        assert said.endswith(f"The engine {tmp_path / 'engine'} is ready.\n")
        assert is_ready(index.plan(), tmp_path / "engine")
        assert (tmp_path / "home" / "cache").is_dir()

    def test_a_torch_in_pips_folder_of_wheels_is_taken(self, index, setup, monkeypatch, tmp_path):
        (tmp_path / "at hand").mkdir()
        index.torch.rename(tmp_path / "at hand" / TORCH)  # PyTorch's index has none any more
        monkeypatch.setattr(terminal, "_pips_find_links", lambda: "")
        monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "at hand").as_uri())
        assert setup() == 0
        assert is_ready(index.plan(), tmp_path / "engine")

    def test_pypis_is_taken_where_pytorchs_index_does_not_answer(self, index, setup, capsys):
        index.torch.unlink()
        assert setup() == 0
        assert "Warning: PyTorch's index can't be reached: PyPI's torch" in capsys.readouterr().out

    def test_prints_what_it_would_install(self, index, setup, tmp_path, capsys):
        assert setup("--pins") == 0
        said = capsys.readouterr().out
        assert f"torch @ {index.torch.as_uri()}" in said
        assert "tinypackage==1.0 --hash=sha256:" in said
        assert "uv==0.13.9" in said
        assert not (tmp_path / "engine").exists()

    def test_an_error_is_one_sentence(self, index, setup, capsys):
        assert setup("--python", os.devnull) == 1
        said = capsys.readouterr().out
        assert said.startswith("Error: The engine needs Python 3.11 to 3.14;")
        assert said.count("\n") == 1


def pins(name):
    """Return the pins of a lock with what follows them."""
    text = (REQUIREMENTS / f"{name}.lock").read_text()
    return re.findall(r"^[^\s#].*(?:\n .*)*", text, re.MULTILINE)


class TestLocks:
    @pytest.mark.parametrize("name", ["engine", "cuda", "dev", "qgis-tests"])
    def test_every_pin_has_a_version_and_digests(self, name):
        for pin in pins(name):
            assert re.match(r"[\w.-]+==[\w.]+ ", pin)
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin)

    @pytest.mark.parametrize("name", ["engine", "dev"])
    def test_everything_that_is_wanted_is_locked(self, name):
        locked = {pin.split("==")[0] for pin in pins("engine") + pins("dev")}
        lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
        wanted = {re.split(r"[^\w-]", line)[0] for line in lines if not line.startswith("#")}
        assert wanted <= locked

    def test_the_engine_has_no_part_of_cuda_and_no_package_twice_on_one_python(self):
        names = [pin.split("==")[0] for pin in pins("engine")]
        assert not [name for name in names if re.match("nvidia|cuda|triton", name)]
        assert {name for name in names if names.count(name) > 1} == {"numpy"}  # 3.11 and newer

    @pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
    @pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
    def test_torch_for_the_cpu_has_its_digest_on_each_python_of_linux(self, python, processor):
        plan = Plan(machine=Machine("Linux", processor))
        wheel = plan.torch_wheel(python)
        assert wheel is not None
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", wheel.digest)
        assert f"torch @ {wheel.url} --hash={wheel.digest}" in plan.pins(wheel).splitlines()
        assert "\ntorch==" not in plan.pins(wheel)

    @pytest.mark.parametrize("torch", ["cu126", "cu130"])
    def test_torch_for_a_gpu_has_its_digest_on_windows(self, torch):
        plan = Plan(torch, machine=Machine("Windows"))
        wheel = plan.torch_wheel("3.12")
        assert wheel is not None and f"+{torch}-cp312-cp312-win_amd64.whl" in wheel.name
        assert plan.locks() == ["engine"]

    @pytest.mark.parametrize(
        ("machine", "torch", "gigabytes"),
        [
            (Machine("Linux"), "cpu", (0.5, 0.7)),
            (Machine("Linux"), "pypi", (2.5, 3.5)),
            (Machine("Linux", "aarch64"), "cpu", (0.4, 0.6)),
            (Machine("Windows"), "cpu", (0.3, 0.6)),
            (Machine("Windows"), "cu130", (2.0, 2.6)),
            (Machine("Darwin", "aarch64", 14), "cpu", (0.3, 0.6)),
        ],
    )
    def test_the_sizes_are_known_before(self, machine, torch, gigabytes):
        sizes = Plan(torch, machine=machine).sizes()
        least, most = gigabytes
        assert least * 1e9 < sizes["download"] < most * 1e9
        assert sizes["download"] * 1.5 < sizes["disk"]
