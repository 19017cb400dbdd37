"""Maps whose units are computed by workers of Dask: the pixels of one process, whatever dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import geopandas as gpd
import numpy as np
import psutil
import pytest
import rasterio
import shapely
import torch
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import crew, unit_work
from landslide_mapper.landslide_plugin.inference.obey import obey
from landslide_mapper.landslide_plugin.inference.order import NAME, Order
from landslide_mapper.landslide_plugin.inference.plan import Plan, versions_of
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.reproduce_command import reproduce
from landslide_mapper.landslide_plugin.inference.resume import Journal
from landslide_mapper.landslide_plugin.outputs.whole import KEPT_PREFIX

from .noise import parameters_in, write_model

WORKER = Path(__file__).resolve().parents[3] / "landslide_plugin" / "worker.py"
pytestmark = pytest.mark.usefixtures("one_thread")
UNITS = 6
OUTPUTS = "probability", "mask", "uncertainty"


@pytest.fixture(scope="module")
def given(one_thread, tmp_path_factory):
    """Parameters of a run with two small networks."""
    folder = tmp_path_factory.mktemp("given")
    other = write_model(folder / "other.safetensors", seed=1)
    return {**parameters_in(folder), "more_models": [other]}


@pytest.fixture(scope="module")
def cluster(one_thread):
    """Two workers for all tests of this file: each takes seconds to import PyTorch."""
    with crew._embedded(2) as cluster:
        yield cluster


@pytest.fixture
def map_by(given, tmp_path):
    """Return a function that predicts, and returns what the rasters hold and what was said."""

    def mapped(name, hear=lambda event: None, **parameters):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        paths = {key: str(folder / f"{key}.tif") for key in OUTPUTS}
        said = []

        def told(event):
            said.append(event.get("text", ""))
            hear(event)

        predict(**{**given, **paths, **parameters}, progress=Progress(told))
        assert {path.name for path in folder.iterdir()} == {Path(p).name for p in paths.values()}
        return [rasterio.open(path).read() for path in paths.values()], said

    return mapped


@pytest.fixture
def whole(map_by):
    """The map of one process."""
    return map_by("whole")[0]


def same(maps, others):
    return all(np.array_equal(*pair) for pair in zip(maps, others, strict=True))


def after(percent, error):
    """Return what breaks a run off."""

    def hear(event):
        if event.get("percent", 0) > percent:
            raise error

    return hear


def kept(folder):
    return {path.name: path.stat().st_ino for path in folder.glob(f"{KEPT_PREFIX}*/*.f32")}


@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_the_pixels_are_those_of_one_process(map_by, cluster, overlap):
    here, _ = map_by("here", overlap=overlap)
    there, said = map_by("there", overlap=overlap, scheduler=cluster.scheduler_address)
    assert same(there, here)
    assert any("Units for the workers of tcp://" in text for text in said)
    assert (here[0] == -9999).any() and here[0].max() > here[0][here[0] >= 0].min()


def test_processes_of_its_own_are_started_and_ended(map_by, whole):
    assert same(map_by("own", workers=1)[0], whole)


def test_nobody_waits_for_them_to_be_started():
    before = set(psutil.Process().children())
    with crew.hired("", 1) as hired:
        assert hired and not hired._infos()
    left = [each for each in psutil.Process().children() if each not in before]
    assert not psutil.wait_procs([each for each in left if "spawn_main" in str(each.cmdline())], 5)[
        1
    ]


def test_each_decompresses_by_one_thread(cluster):
    with crew._client(cluster, "here") as client:
        threads = client.run(os.environ.get, "GDAL_NUM_THREADS")
    assert set(threads.values()) == {"1"}


def test_each_seldom_looks_at_its_loops(cluster):
    with crew._client(cluster, "here") as client:
        seconds = client.run(dask.config.get, "distributed.admin.tick.interval")
    assert set(seconds.values()) == {"500ms"}


def test_what_is_made_again_by_workers_is_the_same(map_by, cluster, tmp_path):
    map_by("map")
    said = []
    made = reproduce(
        raster=str(tmp_path / "map" / "probability.tif"), output=str(tmp_path / "again.tif"),
        scheduler=cluster.scheduler_address, progress=Progress(said.append),
    )  # fmt: skip
    assert made["differing"] == 0
    assert any("Units for the workers of tcp://" in event.get("text", "") for event in said)


def test_an_area_is_the_drivers_to_read(map_by, cluster, tmp_path):
    area = str(tmp_path / "area.gpkg")
    box = shapely.box(500_100, 4_990_000, 500_700, 4_996_000)
    gpd.GeoDataFrame(geometry=[box], crs=32632).to_file(area)
    here, _ = map_by("here", area=area)
    there, _ = map_by("there", area=area, scheduler=cluster.scheduler_address)
    assert same(there, here) and (here[0] == -9999).mean() > 0.5


@pytest.mark.parametrize(("first", "percent"), [("here", 50), ("there", 10)])
def test_a_run_that_broke_off_goes_on_by_the_other_way(map_by, cluster, whole, first, percent):
    """Workers have begun four of the six units when the first one is told."""
    ways = {"here": {}, "there": {"scheduler": cluster.scheduler_address}}
    with pytest.raises(SystemExit):
        map_by("map", after(percent, SystemExit()), **ways.pop(first))
    maps, said = map_by("map", **ways.popitem()[1])
    assert same(maps, whole)
    assert any("Going on from row" in text for text in said)


def test_a_worker_that_is_killed_costs_its_unit_alone(map_by, cluster, tmp_path):
    """Of units that take long enough: each window is asked eight times."""
    seen, killed = {}, []

    def hear(event):
        for name, file in kept(tmp_path / "map").items():
            assert seen.setdefault(name, file) == file, "a finished unit was computed again"
        busy = [one for one in cluster.scheduler.workers.values() if one.processing]
        if event.get("percent", 0) > 10 and busy and not killed:
            killed.append(busy[0].address)
            os.kill(cluster.workers[busy[0].name].pid, signal.SIGKILL)

    maps, _ = map_by("map", hear, tta=True, scheduler=cluster.scheduler_address)
    assert killed and same(maps, map_by("whole", tta=True)[0])


def test_a_worker_that_nothing_starts_again_is_replaced(map_by, whole):
    """Dask gives up one that is away for long; here for a moment."""
    killed = []

    def hear(event):
        for child in psutil.Process().children(recursive=True):
            if event.get("percent", 0) > 10 and not killed and "spawn_main" in str(child.cmdline()):
                killed.append(child.kill())

    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}):
        maps, _ = map_by("map", hear, workers=1)
    assert killed and same(maps, whole)


def test_broken_off_the_order_is_withdrawn_and_finished_units_stay(map_by, cluster, tmp_path):
    with pytest.raises(SystemExit):
        map_by("map", after(30, SystemExit()), scheduler=cluster.scheduler_address)
    assert kept(tmp_path / "map")
    assert not list((tmp_path / "map").glob(f"{KEPT_PREFIX}*/{NAME}"))
    assert all(path.name.startswith(".") for path in (tmp_path / "map").iterdir())


class Here:
    """A crew that does something with the order in this process."""

    def __init__(self, work):
        self._work = work

    def compute(self, order, journal, units, noticed, progress):
        with order.given(journal.folder):
            self._work(journal.folder)


@pytest.fixture
def in_this_process(map_by, monkeypatch):
    """Return a function that has a folder with an order worked on instead of by workers."""

    def worked(work):
        monkeypatch.setattr(
            f"{crew.__package__}.predict_command.hired", lambda *_: nullcontext(Here(work))
        )
        map_by("map")

    return worked


def test_a_unit_ends_soon_after_its_order_was_withdrawn(in_this_process, monkeypatch, tmp_path):
    def work(folder, reader=unit_work._reader):
        def withdrawn(*arguments):
            (folder / NAME).unlink()
            return reader(*arguments)

        monkeypatch.setattr(unit_work, "_reader", withdrawn)
        unit_work.compute(str(folder), 0)

    with pytest.raises(InputError, match="is not wanted any more"):
        in_this_process(work)
    assert not kept(tmp_path / "map")


def test_a_unit_that_is_kept_is_not_computed_again(in_this_process, tmp_path):
    """As where a worker was lost between the unit and its answer."""

    class Enough(Exception):
        pass

    def work(folder):
        for _ in range(2):
            unit_work.compute(str(folder), 0)
            seen.append(kept(tmp_path / "map"))
        raise Enough

    seen = []
    with pytest.raises(Enough):
        in_this_process(work)
    assert len(seen[0]) == 1 and seen[0] == seen[1]


@pytest.mark.skipif(os.name == "nt", reason="groups of processes are not Windows'")
def test_a_cancel_ends_the_workers_too(given, whole, map_by, tmp_path):
    (tmp_path / "map").mkdir()
    outputs = {key: str(tmp_path / "map" / f"{key}.tif") for key in OUTPUTS}
    request = {"command": "predict", "parameters": {**given, **outputs, "workers": 2}}
    process = subprocess.Popen(
        [sys.executable, str(WORKER)], text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        if json.loads(line).get("percent", 0) > 0:
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    for _ in range(600):  # seconds enough for any machine, and less than for ever
        if not is_running(process.pid):
            break
        time.sleep(0.05)
    assert not is_running(process.pid)
    assert all(path.name.startswith(".") for path in (tmp_path / "map").iterdir())
    units = len(kept(tmp_path / "map"))
    maps, said = map_by("map")
    assert same(maps, whole)
    assert any("Going on from row" in text for text in said) == (0 < units < UNITS)


def is_running(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def refusal(map_by, scheduler, **parameters):
    with pytest.raises(InputError) as caught:
        map_by("refused", scheduler=scheduler, **parameters)
    return str(caught.value)


def test_a_worker_of_another_version_refuses(map_by, cluster, monkeypatch):
    other = {**versions_of(["torch float32"]), "torch": "1.0"}
    monkeypatch.setattr(f"{crew.__package__}.decide.versions_of", lambda _: other)
    said = refusal(map_by, cluster.scheduler_address)
    assert "The worker tcp://127.0.0.1:" in said and "refuses: The plan is of torch 1.0" in said


def test_a_worker_that_does_not_see_a_file_tells_which(map_by, cluster, monkeypatch):
    of = Order.of

    def elsewhere(*arguments):
        return replace(of(*arguments), paths=["/nowhere/stack.tif"])

    monkeypatch.setattr(Order, "of", elsewhere)
    said = refusal(map_by, cluster.scheduler_address)
    assert "refuses: /nowhere/stack.tif is not to be seen there: mount" in said
    with pytest.raises(InputError, match=r"/nowhere/order\.json is not to be seen there"):
        unit_work.compute("/nowhere", 0)


def test_a_folder_that_is_another_one_for_workers_is_told(map_by, cluster, monkeypatch):
    monkeypatch.setattr(crew, "FILE_SECONDS", 0.0)
    monkeypatch.setattr(Journal, "holds", lambda *_: False)
    said = refusal(map_by, cluster.scheduler_address)
    assert "must be the same one for all workers" in said


def test_a_worker_that_sees_another_stack_by_that_name_refuses(
    map_by, cluster, given, tmp_path, monkeypatch
):
    other = tmp_path / "other.tif"
    with rasterio.open(given["stack"]) as source:
        with rasterio.open(other, "w", **source.profile) as dataset:
            dataset.write(source.read() + 1)
            dataset.descriptions = source.descriptions
    of = Order.of

    def elsewhere(plan, *arguments):
        return of(replace(plan, path=str(other)), *arguments)

    monkeypatch.setattr(Order, "of", elsewhere)
    said = refusal(map_by, cluster.scheduler_address)
    assert "refuses: The stack" in said and "another one than the plan's" in said


class TestScheduler:
    def test_that_is_lost_is_one_sentence_and_the_run_goes_on_without_it(self, map_by, whole):
        with pytest.raises(SystemExit):
            map_by("map", after(50, SystemExit()))
        with crew._embedded(0) as lonely:

            def hear(event):
                if "has no worker yet: waiting" in event.get("text", ""):
                    threading.Thread(target=lonely.close).start()

            with pytest.raises(InputError, match="was lost: finished units are kept"):
                map_by("map", hear, scheduler=lonely.scheduler_address)
        maps, said = map_by("map")
        assert same(maps, whole) and any("Going on from row" in text for text in said)

    def test_so_is_one_of_which_the_client_knows_nothing_any_more(self):
        client = SimpleNamespace(scheduler_info=lambda n_workers: {})
        with pytest.raises(InputError, match="tcp://one:1 was lost"):
            crew.Crew(client, "tcp://one:1").require_fit()

    def test_that_does_not_answer_is_told(self, map_by, monkeypatch):
        monkeypatch.setattr(crew, "_CONNECT_SECONDS", 0.5)
        assert "tcp://127.0.0.1:9 does not answer" in refusal(map_by, "tcp://127.0.0.1:9")

    def test_of_another_version_of_dask_is_refused(self, map_by, cluster, monkeypatch):
        """Its workers and it are asked; here this process is another than they are."""
        from distributed import Client

        told = Client.get_versions

        def older(client, **options):
            versions: Any = told(client, **options)
            versions["client"]["packages"]["distributed"] = "2020.1.0"
            return versions

        monkeypatch.setattr(Client, "get_versions", older)
        said = refusal(map_by, cluster.scheduler_address)
        assert "has distributed" in said and "(here 2020.1.0): start it by an engine" in said

    def test_that_knows_no_engine_is_told_how_to(self, map_by, cluster, monkeypatch):
        monkeypatch.setattr(crew, "_ENGINE", "landslide_nowhere:__version__")
        said = refusal(map_by, cluster.scheduler_address)
        assert "can't import the engine (No module named" in said and "PYTHONPATH" in said

    def test_of_another_version_of_the_engine_is_refused(self, map_by, cluster, monkeypatch):
        monkeypatch.setattr(crew, "__version__", "9.9")
        said = refusal(map_by, cluster.scheduler_address)
        assert "has landslide_mapper" in said and "(here 9.9)" in said

    def test_of_an_address_that_is_none_or_is_not_allowed_is_refused(self, given, monkeypatch):
        request = {**given, "probability": "p.tif", "scheduler": "node1:8786"}
        with pytest.raises(InputError, match="begins with tcp:// or tls://"):
            run_command("predict", request, Progress())
        monkeypatch.setenv("LANDSLIDE_PROTOCOLS", "")
        request["scheduler"] = "tcp://node1:8786"
        with pytest.raises(InputError, match="uses tcp, which is not allowed here"):
            run_command("predict", request, Progress())


def test_workers_that_end_while_they_are_started_are_told_of(map_by, monkeypatch):
    monkeypatch.setattr(crew, "_PRELOAD", "raise MemoryError()  # as text with blanks, it is run")
    with pytest.raises(InputError, match=r"The 2 workers can't be started .*choose fewer, or 0"):
        map_by("p", workers=2)


def test_dask_is_imported_where_workers_are_asked_for(map_by, monkeypatch, whole):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert same(map_by("here")[0], whole)
    with pytest.raises(ModuleNotFoundError, match="distributed"):
        map_by("there", workers=1)


def test_the_plan_tells_the_threads_and_they_are_obeyed(map_by, cluster, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 2)
        map_by("map", scheduler=cluster.scheduler_address)
    with rasterio.open(tmp_path / "map" / "probability.tif") as raster:
        plan = Plan.of_tags(raster.tags(), "")
    assert plan.threads == 1
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    obey(replace(plan, threads=3), Progress())
    assert asked == [3]
