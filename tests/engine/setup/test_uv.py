"""Getting uv: what is at hand and new enough, else its wheel, checked by its digest."""

import platform
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.setup import uv as uv_module
from landslide_mapper.landslide_plugin.setup.listener import SetupError
from landslide_mapper.landslide_plugin.setup.machine import output_of
from landslide_mapper.landslide_plugin.setup.plan import Plan
from landslide_mapper.landslide_plugin.setup.uv import find

from .conftest import Memory, digest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the uv here is a shell script")


def write_uv(file, version):
    """Write a program that says which uv it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'#!/bin/sh\necho "uv {version}"\n')
    file.chmod(0o755)


@pytest.fixture
def wheel(index, tmp_path, monkeypatch):
    """A wheel of uv 9.0.0, which the requirements want; the PATH has none."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", "/not/python")
    wheel = tmp_path / "uv-9.0.0-py3-none-any.whl"
    write_uv(tmp_path / "script", "9.0.0")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "script", "uv-9.0.0.data/scripts/uv")
    key = f"{platform.system()}-{platform.machine()}"
    fact = {"name": wheel.name, "digest": digest(wheel), "url": "https://index.invalid/uv"}
    index.write("uv", {"version": "9.0.0", "oldest": "8.0.0", "wheels": {key: fact}})
    return wheel


def refuse(url, target, listener):
    """Fetch nothing."""
    raise OSError("no route to host")


def test_the_paths_is_taken_if_new_enough(index, wheel, tmp_path):
    write_uv(tmp_path / "path" / "uv", "8.1.0")
    assert find(index.plan(), tmp_path / "home", Memory(), refuse) == tmp_path / "path" / "uv"


def test_the_wheel_is_fetched_once_where_the_path_has_an_old_one(index, wheel, tmp_path):
    write_uv(tmp_path / "path" / "uv", "7.9.9")
    asked = []

    def fetch(url, target, listener):
        asked.append(url)
        shutil.copyfile(wheel, target)

    expected = tmp_path / "home" / "uv" / "9.0.0" / "uv"
    for _ in range(2):
        assert find(index.plan(), tmp_path / "home", Memory(), fetch) == expected
    assert asked == ["https://index.invalid/uv"]
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["uv"]


def test_a_changed_wheel_is_refused(index, wheel, tmp_path):
    def fetch(url, target, listener):
        target.write_bytes(wheel.read_bytes() + b" ")

    with pytest.raises(SetupError, match=r"uv-9\.0\.0.*whl is not the file that was checked"):
        find(index.plan(), tmp_path / "home", Memory(), fetch)
    assert not (tmp_path / "home" / "uv").exists()


def test_a_wheelhouse_may_hold_it(index, wheel, tmp_path):
    plan = index.plan(wheelhouse=tmp_path)
    assert find(plan, tmp_path / "home", Memory(), refuse).is_file()
    with pytest.raises(SetupError, match=r"wheelhouse .* lacks uv-9\.0\.0"):
        find(index.plan(wheelhouse=index.wheels), tmp_path / "other", Memory(), refuse)


def test_pip_helps_where_the_network_can_not_be_reached_otherwise(
    index, wheel, tmp_path, monkeypatch
):
    def pip(words, *seconds):
        if "pip" not in words:
            return output_of(words)
        shutil.copy(wheel, words[-1])
        return ""

    monkeypatch.setattr(sys, "executable", "/somewhere/python3")
    monkeypatch.setattr(uv_module, "output_of", pip)
    assert find(index.plan(), tmp_path / "home", Memory(), refuse).is_file()


def test_without_any_the_reason_is_told(index, wheel, tmp_path):
    with pytest.raises(SetupError, match=r"downloaded: index\.invalid does not answer"):
        find(index.plan(), tmp_path / "home", Memory(), refuse)


def test_the_locked_uv_has_a_wheel_for_each_system():
    facts = Plan().facts("uv")
    assert set(facts["wheels"]) == {
        "Linux-x86_64",
        "Linux-aarch64",
        "Windows-x86_64",
        "Darwin-aarch64",
    }
    lock = (Path(__file__).parents[3] / "requirements" / "dev.lock").read_text()
    assert f"uv=={facts['version']} " in lock
    assert all(wheel["digest"] in lock for wheel in facts["wheels"].values())
