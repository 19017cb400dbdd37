"""Setting up the engine: whole or not counted, twice is once, checked, and with the true causes."""

import gc
import json
import os
import platform
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.contract.errors import LandslideError
from landslide_mapper.landslide_plugin.outputs.locks import locked
from landslide_mapper.landslide_plugin.setup import install
from landslide_mapper.landslide_plugin.setup.home import STAMP, find, is_ready, python_of
from landslide_mapper.landslide_plugin.setup.install import set_up
from landslide_mapper.landslide_plugin.setup.listener import SetupCanceled, SetupError
from landslide_mapper.landslide_plugin.setup.machine import Machine
from landslide_mapper.landslide_plugin.setup.plan import Plan

from ...wheels import write_wheel
from .conftest import PYTHON, TORCH, Memory, digest

ROOT = Path(__file__).resolve().parents[3]


def names_in(folder):
    """Return the packages that an environment's Python finds."""
    code = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))"
    done = subprocess.run([python_of(folder), "-c", code], capture_output=True, text=True)
    return done.stdout.split()


def made(index, folder, memory=None, **options):
    """Set an engine up from the tiny index."""
    mirror = {"UV_DEFAULT_INDEX": index.url}
    return set_up(index.plan(**options), folder, memory or Memory(), environment=mirror)


class TestWhole:
    def test_makes_an_environment_with_what_is_locked(self, index, tmp_path):
        python = made(index, tmp_path / "engine")
        assert python == python_of(tmp_path / "engine")
        assert names_in(tmp_path / "engine") == ["tinypackage", "torch"]

    def test_the_folder_may_have_spaces_and_letters_of_any_language(self, index, tmp_path):
        folder = tmp_path / "Jürgen Ağaoğlu 山崩" / "my engine"
        made(index, folder)
        assert names_in(folder) == ["tinypackage", "torch"]

    def test_twice_is_once(self, index, tmp_path):
        folder, memory = tmp_path / "engine", Memory()
        made(index, folder)
        stamp = (folder / STAMP).stat().st_mtime_ns
        made(index, folder, memory)
        assert (folder / STAMP).stat().st_mtime_ns == stamp
        assert memory.messages == [f"The engine {folder} is ready: nothing to do."]

    def test_the_tools_complete_an_engine_and_do_not_make_it_another(self, index, tmp_path):
        folder = tmp_path / "engine"
        made(index, folder)
        assert not is_ready(index.plan(dev=True), folder)
        made(index, folder, dev=True)
        assert names_in(folder) == ["tinypackage", "tinytool", "torch"]
        assert is_ready(index.plan(), folder)

    def test_a_changed_lock_completes_it_and_what_is_not_wanted_any_more_goes(
        self, index, tmp_path
    ):
        folder = tmp_path / "engine"
        made(index, folder)
        index.lock("engine", "torch", "another")
        assert not is_ready(index.plan(), folder)
        made(index, folder)
        assert names_in(folder) == ["another", "torch"]

    def test_the_sizes_are_told_before_anything_is_downloaded(self, index, tmp_path):
        memory = Memory()
        made(index, tmp_path / "engine", memory)
        assert "2 MB to download" in memory.messages[0]
        assert "4 MB on the disk" in memory.messages[0]

    def test_a_disk_without_room_is_told_before_the_download(self, index, tmp_path):
        sizes = json.loads((index.requirements / "sizes.json").read_text())
        for parts in sizes.values():
            if isinstance(parts, dict):
                parts[PYTHON]["engine"] = {"download": 1, "disk": 10**18}
        index.write("sizes", sizes)
        with pytest.raises(SetupError, match=r"takes 1000000000\.0 GB, .* free some space"):
            made(index, tmp_path / "engine")
        assert not (tmp_path / "engine").exists()


class TestChecked:
    def test_a_changed_wheel_is_refused_by_name(self, index, tmp_path):
        write_wheel(index.wheels, "tinypackage", code="import os")
        with pytest.raises(SetupError, match=r"tinypackage.* is not the file that was checked"):
            made(index, tmp_path / "engine")
        assert not (tmp_path / "engine" / STAMP).exists()
        assert find(tmp_path, index.plan()) is None

    def test_a_changed_torch_of_pytorchs_index_is_refused(self, index, tmp_path):
        write_wheel(index.torch.parent, "torch", "1.0+cpu", "import os", TORCH)
        with pytest.raises(SetupError, match=r"torch.* is not the file that was checked"):
            made(index, tmp_path / "engine")

    def test_an_engine_that_was_whole_does_not_count_while_it_is_changed(self, index, tmp_path):
        folder = tmp_path / "engine"
        made(index, folder)
        index.lock("engine", "torch", "another")
        write_wheel(index.wheels, "another", code="import os")
        with pytest.raises(SetupError):
            made(index, folder)
        assert find(tmp_path, index.plan()) is None


class TestNetwork:
    def test_the_proxy_that_was_set_is_used(self, index, tmp_path, serve):
        proxy = serve(index.wheels)
        variables = {"UV_DEFAULT_INDEX": "http://index.invalid/simple", "HTTP_PROXY": proxy.url}
        set_up(index.plan(), tmp_path / "engine", Memory(), environment=variables)
        assert "http://index.invalid/simple/tinypackage/" in proxy.asked

    @pytest.mark.parametrize(
        ("status", "sentence"),
        [
            (407, "the proxy wants a name and a password"),
            (403, r"the proxy does not let index\.invalid through"),
        ],
    )
    def test_a_proxy_that_refuses_is_told_of(self, index, tmp_path, serve, status, sentence):
        proxy = serve(index.wheels, status=status)
        variables = {"UV_DEFAULT_INDEX": "https://index.invalid/simple", "HTTPS_PROXY": proxy.url}
        variables["UV_HTTP_RETRIES"] = "0"
        with pytest.raises(SetupError, match=sentence):
            set_up(index.plan(), tmp_path / "engine", Memory(), environment=variables)
        assert proxy.asked[0] == "index.invalid:443"

    def test_no_connection_names_the_host(self, index, tmp_path):
        variables = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
        with pytest.raises(SetupError, match=r"127\.0\.0\.1 does not answer"):
            set_up(index.plan(), tmp_path / "engine", Memory(), environment=variables)

    def test_a_wheelhouse_serves_without_any_network(self, index, tmp_path):
        (index.wheels / TORCH).write_bytes(index.torch.read_bytes())
        index.torch.unlink()
        memory = Memory()
        made(index, tmp_path / "engine", memory, wheelhouse=index.wheels)
        assert names_in(tmp_path / "engine") == ["tinypackage", "torch"]
        assert "2 MB to unpack, 4 MB on the disk" in memory.messages[0]

    def test_what_a_wheelhouse_lacks_is_named(self, index, tmp_path):
        with pytest.raises(SetupError, match=rf"lacks {TORCH.replace('+', '.')}: put it there"):
            made(index, tmp_path / "engine", wheelhouse=index.wheels)
        (index.wheels / TORCH).write_bytes(index.torch.read_bytes())
        (index.wheels / "tinypackage-1.0-py3-none-any.whl").unlink()
        with pytest.raises(SetupError, match="wheelhouse lacks tinypackage: put its wheel there"):
            made(index, tmp_path / "engine", wheelhouse=index.wheels)
        with pytest.raises(SetupError, match="is not a folder: name one"):
            made(index, tmp_path / "engine", wheelhouse=tmp_path / "nowhere")

    def test_where_pytorchs_index_does_not_answer_pypis_torch_is_taken_if_that_is_allowed(
        self, index, tmp_path
    ):
        index.torch.unlink()
        memory = Memory()
        made(index, tmp_path / "engine", memory, fall_back=True)
        assert names_in(tmp_path / "engine") == ["tinycuda", "tinypackage", "torch"]
        said = "PyTorch's index can't be reached: PyPI's torch is taken, 3 MB in all."
        assert memory.warnings[-1] == said  # Python 3.14 has another
        assert is_ready(index.plan(), tmp_path / "engine")  # and is not asked for again

    @pytest.mark.parametrize(
        ("machine", "python", "said"),
        [
            (Machine("Linux"), "3.13", []),
            (Machine("Linux"), "3.14", ["Python 3.14"]),
            (Machine("Linux", "aarch64"), "3.12", ["Linux on ARM"]),
            (Machine("Darwin", "aarch64", 15), "3.12", []),
        ],
    )
    def test_where_richdem_has_no_wheel_that_is_told(self, machine, python, said):
        memory = Memory()
        install._torch(Plan("pypi", machine=machine), python, memory)
        assert [text.split(" has no richdem2")[0] for text in memory.warnings] == said


class TestProgress:
    def test_moves_while_a_large_wheel_comes_and_never_goes_back(
        self, index, tmp_path, serve, monkeypatch
    ):
        index.lock("engine", "torch", "tinypackage", code="#" * 4_000_000)
        server = serve(index.wheels, rate=200_000)
        memory = Memory()
        variables = {"UV_DEFAULT_INDEX": f"{server.url}/simple"}
        set_up(index.plan(), tmp_path / "engine", memory, environment=variables)
        assert memory.percents == sorted(memory.percents)
        assert len({percent for percent in memory.percents if 0 < percent < 95}) >= 4
        assert memory.percents[-1] == 100

    def test_does_not_go_back_after_uv_itself_was_downloaded(self, index, tmp_path, monkeypatch):
        wheel = tmp_path / "uv-0.13.9-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.write(Path(sys.executable).with_name("uv"), "uv-0.13.9.data/scripts/uv")
        facts = json.loads((index.requirements / "uv.json").read_text())
        fact = {"name": wheel.name, "digest": digest(wheel), "url": "https://index.invalid/uv"}
        key = f"{platform.system()}-{platform.machine()}"
        index.write("uv", {**facts, "wheels": {key: fact}})
        monkeypatch.setenv("PATH", "/usr/bin:/bin")

        def fetch(url, target, listener):
            listener.progress(100)
            wheel.rename(target)

        memory, mirror = Memory(), {"UV_DEFAULT_INDEX": index.url}
        set_up(index.plan(), tmp_path / "engine", memory, fetch=fetch, environment=mirror)
        assert memory.percents == sorted(memory.percents)
        assert 0 < memory.percents[0] < 10


class TestEnding:
    def test_cancel_ends_uv_and_leaves_nothing_that_counts(self, index, tmp_path, serve, running):
        index.lock("engine", "torch", "tinypackage", code="#" * 10_000_000)
        server = serve(index.wheels, rate=20_000)
        variables = {"UV_DEFAULT_INDEX": f"{server.url}/simple"}
        memory = Memory(cancel_at="Downloading tinypackage")
        with pytest.raises(SetupCanceled):
            set_up(index.plan(), tmp_path / "engine", memory, environment=variables)
        assert [process.poll() is None for process in running] == [False] * len(running)
        assert find(tmp_path, index.plan()) is None

    def test_a_killed_set_up_goes_on_with_what_was_downloaded(self, index, tmp_path, serve):
        index.lock("engine", "torch", "tinypackage")
        write_wheel(index.wheels, "large", code="#" * 10_000_000)
        server = serve(index.wheels, rate=20_000)
        with (index.requirements / "engine.lock").open("a") as file:
            file.write((index.requirements / "dev.lock").read_text())
        index.lock("dev", "large", code="#" * 10_000_000)
        code = (
            "import sys; from pathlib import Path; from tests.engine.setup.conftest import Memory;"
            "from landslide_mapper.landslide_plugin.setup.install import set_up;"
            "from landslide_mapper.landslide_plugin.setup.plan import Plan;"
            "plan = Plan(dev=True, python=sys.executable, requirements=Path(sys.argv[1]));"
            "mirror = {'UV_DEFAULT_INDEX': sys.argv[3]};"
            "set_up(plan, Path(sys.argv[2]), Memory(), environment=mirror)"
        )
        url, folder = f"{server.url}/simple", tmp_path / "engine"
        words = [sys.executable, "-c", code, str(index.requirements), str(folder), url]
        path = os.pathsep.join([str(ROOT / "build" / "plugins"), str(ROOT)])
        process = subprocess.Popen(
            words, env={**os.environ, "PYTHONPATH": path}, start_new_session=True
        )
        cache = tmp_path / "cache"

        def downloads_the_last():
            asked = any("/large-" in path for path in server.asked)
            return asked and len(list(cache.glob("archive-v0/*"))) >= 3 and any(cache.glob(".tmp*"))

        while not downloads_the_last():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not is_ready(index.plan(dev=True), folder)
        assert list(cache.glob(".tmp*"))
        server.asked.clear()
        server.rate = None
        plan = index.plan(dev=True)
        set_up(plan, folder, Memory(), environment={"UV_DEFAULT_INDEX": url})
        assert [asked for asked in server.asked if "/files/" in asked] == [
            "/files/large-1.0-py3-none-any.whl"
        ]
        assert names_in(folder) == ["large", "tinypackage", "tinytool", "torch"]
        assert not list(cache.glob(".tmp*"))

    def test_nothing_is_left_open(self, index, tmp_path):
        """QGIS's Python tells of files that nobody closes, in the middle of the log."""
        gc.collect()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            made(index, tmp_path / "engine")
            gc.collect()
        assert [str(warning.message) for warning in told] == []

    def test_two_at_once_is_one_sentence(self, index, tmp_path):
        (tmp_path / "cache").mkdir()
        with (
            locked(tmp_path / "cache"),
            pytest.raises(LandslideError, match=r"written by another run \(process \d+ on"),
        ):
            made(index, tmp_path / "engine")

    def test_a_folder_that_is_not_ours_is_told(self, index, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(SetupError, match="can't be set up in"):
            made(index, tmp_path / "file" / "engine")
