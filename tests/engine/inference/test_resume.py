"""Runs of predict that are broken off at any moment, and those that go on from there."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from landslide_mapper.landslide_plugin.contract.errors import (
    InputError,
    LandslideError,
    OutputError,
)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.resume import identity, traces
from landslide_mapper.landslide_plugin.outputs.claims import sweep
from landslide_mapper.landslide_plugin.outputs.whole import KEPT_PREFIX
from landslide_mapper.landslide_plugin.raster import Source

from .noise import parameters_in

WORKER = Path(__file__).resolve().parents[3] / "landslide_plugin" / "worker.py"
TIMES = int(os.environ.get("LANDSLIDE_INTERRUPTIONS", "2"))
"""Interruptions of each kind; more for a thorough run."""
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def given(one_thread, tmp_path_factory):
    """Parameters of a run with a small network."""
    return parameters_in(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    """What a run that nobody disturbs writes."""
    folder = tmp_path_factory.mktemp("whole")
    predict(**given, **outputs(folder), progress=Progress())
    return contents(folder)


def outputs(folder):
    return {"probability": str(folder / "p.tif"), "mask": str(folder / "m.tif")}


def contents(folder):
    """Return what the folder's rasters hold, overviews included, and check that all is tidy."""
    assert sorted(path.name for path in folder.iterdir()) == ["m.tif", "p.tif"]
    result = []
    for name in ("p.tif", "m.tif"):
        for level in ({}, {"overview_level": 0}):
            with rasterio.open(folder / name, **level) as dataset:
                result.append(dataset.read(1))
    return result


def kept_units(folder):
    return len(list(folder.glob(f"{KEPT_PREFIX}*/*.f32")))


def assert_nothing_half_written(folder):
    """Nothing but hidden leftovers stands in the folder."""
    assert all(path.name.startswith(".") for path in folder.iterdir())


def start(given, folder):
    """Start a worker and wait until it computes."""
    request = {"command": "predict", "parameters": {**given, **outputs(folder)}}
    process: Any = subprocess.Popen(
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return process


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["cancel", "kill"])
def test_ended_at_random_moments_and_then_the_same_raster(given, whole, tmp_path, ending):
    """In a process of its own: SIGTERM raises SystemExit wherever the main thread is."""
    moments = random.Random(int(ending))  # noqa: S311
    units, events = [0], []
    for _ in range(TIMES):
        process, percent = start(given, tmp_path), moments.uniform(0, 90)
        for line in process.stdout:
            if json.loads(line).get("percent", -1) >= percent:
                break
        time.sleep(moments.uniform(0, 0.02))
        process.send_signal(ending)
        process.communicate()
        if process.returncode == 0:  # it was faster
            os.unlink(tmp_path / "p.tif")
            os.unlink(tmp_path / "m.tif")
        assert_nothing_half_written(tmp_path)
        units.append(kept_units(tmp_path))
    print("units kept after each end:", units)
    sweep(tmp_path)  # as whoever started the worker does
    predict(**given, **outputs(tmp_path), progress=Progress(events.append))
    going_on = any("Going on from row" in event.get("text", "") for event in events)
    assert going_on == (0 < units[-1] < 6)
    for ours, theirs in zip(contents(tmp_path), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_looking_mapping_and_arranging_are_told_and_the_last_can_be_broken_off_too(
    given, whole, tmp_path
):
    events = []

    def hear(event):
        events.append(event)
        if event.get("percent", 0) > 98:
            raise SystemExit

    with pytest.raises(SystemExit):
        predict(**given, **outputs(tmp_path), progress=Progress(hear))
    percents = [event["percent"] for event in events if "percent" in event]
    assert percents == sorted(percents) and sum(95 < percent < 100 for percent in percents) > 5
    laid_out = next(n for n, event in enumerate(events) if "windows of" in event.get("text", ""))
    assert any(event.get("percent", 0) > 0 for event in events[:laid_out])
    assert_nothing_half_written(tmp_path)
    assert kept_units(tmp_path) == 6
    predict(**given, **outputs(tmp_path), progress=Progress())
    for ours, theirs in zip(contents(tmp_path), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def broken(given, tmp_path):
    """A run that was broken off when some rows were finished."""

    def stop(event):
        if event.get("percent", 0) > 50:
            raise SystemExit

    with pytest.raises(SystemExit):
        predict(**given, **outputs(tmp_path), progress=Progress(stop))
    assert kept_units(tmp_path) > 0
    return tmp_path


def said(given, folder, **changes):
    events = []
    predict(**{**given, **outputs(folder), **changes}, progress=Progress(events.append))
    return [event.get("text", "") for event in events]


def test_another_threshold_goes_on_and_counts_for_all_rows(given, broken):
    assert any("Going on" in text for text in said(given, broken, threshold=0.3))
    with rasterio.open(broken / "p.tif") as p, rasterio.open(broken / "m.tif") as m:
        probability, mask = p.read(1), m.read(1)
    np.testing.assert_array_equal(mask == 1, probability >= 0.3)


def test_other_options_start_anew_and_clear_up(given, broken):
    assert not any("Going on" in text for text in said(given, broken, overlap=0.5))
    contents(broken)


def test_a_stack_that_has_changed_starts_anew(given, broken):
    os.utime(given["stack"])
    assert not any("Going on" in text for text in said(given, broken))


def test_a_stack_with_other_content_whose_time_is_set_back_starts_anew(given, tmp_path):
    stack = Path(shutil.copy(given["stack"], tmp_path / "stack.tif"))
    (tmp_path / "results").mkdir()
    changing = {**given, "stack": str(stack)}

    def stop(event):
        if event.get("percent", 0) > 50:
            raise SystemExit

    with pytest.raises(SystemExit):
        predict(**changing, **outputs(tmp_path / "results"), progress=Progress(stop))
    before = stack.stat()
    content = bytearray(stack.read_bytes())
    content[len(content) // 3] ^= 1  # in none of the pixels that tell one stack from another
    stack.write_bytes(content)
    os.utime(stack, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not any("Going on" in text for text in said(changing, tmp_path / "results"))


def test_rows_cut_off_by_a_full_disk_are_computed_again(given, whole, broken):
    kept = sorted(broken.glob(f"{KEPT_PREFIX}*/*.f32"))
    kept[-1].write_bytes(kept[-1].read_bytes()[:-4])
    predict(**given, **outputs(broken), progress=Progress())
    for ours, theirs in zip(contents(broken), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_rows_that_are_not_as_they_were_written_are_computed_again(given, whole, broken):
    kept = sorted(broken.glob(f"{KEPT_PREFIX}*/*.f32"))
    content = bytearray(kept[-1].read_bytes())
    content[1000] ^= 1
    kept[-1].write_bytes(content)
    predict(**given, **outputs(broken), progress=Progress())
    for ours, theirs in zip(contents(broken), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "error",
    [
        OutputError("The disk is full"),
        InputError("the file is damaged"),
        OSError(errno.ESTALE, "lost drive"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_breaks_a_run_off_keeps_what_is_finished(given, whole, tmp_path, error):
    def fail(event):
        if event.get("percent", 0) > 50:
            raise error

    with pytest.raises(LandslideError):
        predict(**given, **outputs(tmp_path), progress=Progress(fail))
    assert kept_units(tmp_path) > 0
    assert any("Going on" in text for text in said(given, tmp_path))
    for ours, theirs in zip(contents(tmp_path), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_stack_that_changes_meanwhile_gives_no_map_of_both(given, tmp_path):
    stack = Path(shutil.copy(given["stack"], tmp_path / "stack.tif"))
    (tmp_path / "results").mkdir()

    def change(event):
        if event.get("percent", 0) > 50:
            os.utime(stack)

    with pytest.raises(InputError, match="was changed while it was mapped"):
        changing = {**given, "stack": str(stack)}
        predict(**changing, **outputs(tmp_path / "results"), progress=Progress(change))
    assert_nothing_half_written(tmp_path / "results")


class TestIdentity:
    @pytest.fixture
    def raster(self, make_raster):
        return Path(make_raster("a.tif", np.arange(16.0).reshape(4, 4)))

    def identity_of(self, path):
        with Source.open(path) as source:
            return identity(source)

    def traces_of(self, path):
        with Source.open(path) as source:
            return traces(source)

    def test_statistics_that_qgis_notes_beside_it_change_nothing(self, raster):
        before = self.identity_of(raster)
        note = raster.with_name("a.tif.aux.xml")
        band = '<PAMRasterBand band="1">{}<Metadata>{}</Metadata></PAMRasterBand>'
        statistics = '<MDI key="STATISTICS_MEAN">7.5</MDI>'
        histogram = "<Histograms><HistItem><HistMin>0</HistMin></HistItem></Histograms>"
        note.write_text(f"<PAMDataset>{band.format(histogram, statistics)}</PAMDataset>")
        assert self.identity_of(raster) == before

    def test_all_else_that_is_noted_beside_it_counts(self, raster):
        before = self.identity_of(raster)
        note = raster.with_name("a.tif.aux.xml")
        note.write_text("<PAMDataset><SRS>EPSG:32633</SRS></PAMDataset>")
        assert self.identity_of(raster) != before

    def test_overviews_count(self, raster):
        before = self.identity_of(raster)
        shutil.copy(raster, raster.with_name("a.tif.ovr"))
        assert self.identity_of(raster) != before

    @pytest.mark.parametrize(
        ("said", "counts"),
        [
            ('<Metadata><MDI key="STATISTICS_MEAN">7.5</MDI></Metadata>', False),
            ("<NoDataValue>7</NoDataValue>", True),
        ],
    )
    def test_what_a_vrt_says_counts_but_for_statistics(self, raster, said, counts):
        virtual = raster.with_name("a.vrt")
        rasterio.shutil.copy(raster, virtual, driver="VRT")
        before = self.traces_of(virtual)
        virtual.write_text(virtual.read_text().replace("<ColorInterp>", f"{said}<ColorInterp>"))
        assert (self.traces_of(virtual) != before) == counts

    def test_which_of_its_files_a_vrt_has_opened_does_not_count(self, raster):
        virtual = raster.with_name("a.vrt")
        rasterio.shutil.copy(raster, virtual, driver="VRT")
        with Source.open(virtual) as source:
            before = traces(source)
            source.read()
            assert traces(source) == before

    def test_what_a_vrt_of_vrts_reads_counts(self, raster):
        for name, source in (("inner", "a.tif"), ("outer", "inner.vrt")):
            rasterio.shutil.copy(
                raster.with_name(source), raster.with_name(f"{name}.vrt"), driver="VRT"
            )
        outer = raster.with_name("outer.vrt")
        before = self.identity_of(outer)
        os.utime(raster)
        assert self.identity_of(outer) != before


def test_a_run_that_goes_on_marks_from_the_threshold_that_it_is_given_now(given, tmp_path):
    class Enough(Exception):
        pass

    def stop(event):
        if event.get("percent", 0) > 70:
            raise Enough

    def tags():
        for path in outputs(tmp_path).values():
            with rasterio.open(path) as raster:
                yield raster.tags()["LANDSLIDE_THRESHOLD"]

    with pytest.raises(Enough):
        predict(**given, **outputs(tmp_path), threshold=0.45, progress=Progress(stop))
    events = []
    predict(**given, **outputs(tmp_path), threshold=0.55, progress=Progress(events.append))
    assert any("Going on from row" in event.get("text", "") for event in events)
    assert list(tags()) == ["0.55", "0.55"]
    probability, mask = (rasterio.open(path) for path in outputs(tmp_path).values())
    with probability, mask:
        known = mask.read(1) != 255
        assert np.array_equal(mask.read(1) == 1, (probability.read(1) >= np.float32(0.55)) & known)
