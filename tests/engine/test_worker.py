"""The worker end to end: a process that reads a request and reports in JSON lines."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.answer import find_command
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / "landslide_plugin" / "worker.py"
PATIENCE = 120
"""Seconds after which a test gives up, also on a machine that has much else to do."""

STAND_INS = """
import ctypes, os, signal, subprocess, sys, threading, time
sys.path.insert(0, {root!r})
from landslide_plugin import worker
worker.register_package()
from landslide_mapper.landslide_plugin import answer

def prints(*, origin, progress):
    print("from Python", "\u2588")
    os.write(1, b"to descriptor 1")
    ctypes.CDLL(None).puts(b"from C")
    subprocess.run([sys.executable, "-c", "print('from a child')"])
    progress.update(0.5)
    return {{"done": True}}

def inherits(*, origin, progress):
    asked = [sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"]
    try:
        return {{"read": subprocess.check_output(asked, timeout=20, text=True).strip()}}
    except subprocess.TimeoutExpired:
        return {{"read": "nothing, it waits"}}

def astray(*, origin, progress):
    def send():
        time.sleep(0.5)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Thread(target=send).start()
    time.sleep(600)

def asks(*, pretrained=False, origin, progress):
    return {{"offline": os.environ.get("HF_HUB_OFFLINE")}}

def fails(*, origin, progress):
    raise ZeroDivisionError("of a bug")

def fills(*, origin, progress):
    raise MemoryError

def slow(*, output, stubborn=False, origin, progress):
    import numpy as np
    from rasterio.transform import from_origin
    from landslide_mapper.landslide_plugin.raster import Grid, RasterWriter
    grid = Grid(None, from_origin(0, 0, 1, 1), 512, 512)
    try:
        with RasterWriter(output, grid, ["a"]) as writer:
            for window in grid.row_blocks(256):
                writer.write(np.ones((256, 512), np.float32), window)
                progress.message("writing")
                time.sleep(600)
    finally:
        if stubborn:
            time.sleep(600)

def optimizes(*, output, origin, progress):
    import numpy as np
    from rasterio.transform import from_origin
    from rasterio.windows import Window
    from landslide_mapper.landslide_plugin.raster import Grid, RasterWriter
    grid = Grid(None, from_origin(0, 0, 1, 1), 4096, 4096)
    with RasterWriter(output, grid, ["a"], overviews="average") as writer:
        noise = np.random.default_rng(0).random((4096, 4096), np.float32)
        writer.write(noise, Window(0, 0, 4096, 4096))
        progress.message("writing")
        writer.finish(progress)

def swallows(*, forever=False, origin, progress):
    # in a callback from C an exception is ignored
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    pair = (ctypes.c_int * 2)(2, 1)
    progress.message("begun")
    while True:
        ctypes.CDLL(None).qsort(pair, 2, 4, kind(lambda one, other: time.sleep(0.3) or 0))
        if not forever:
            progress.update(0.5)

WORDS = "astray", "optimizes", "inherits", "asks", "swallows", "prints", "fails", "fills", "slow"
for name in WORDS:
    answer.COMMANDS[name] = "tests"
find = answer.find_command
answer.find_command = lambda name: globals()[name] if name in globals() else find(name)
sys.exit(worker.main())
"""


def start(request, stand_ins=False):
    script = ["-c", STAND_INS.format(root=str(ROOT))] if stand_ins else [str(WORKER)]
    process: Any = subprocess.Popen(
        [sys.executable, *script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    process.stdin.write(request if isinstance(request, str) else json.dumps(request))
    process.stdin.write("\n")
    process.stdin.flush()
    return process


def run(request, stand_ins=False):
    """Return the exit status, the events after the first, and what went to stderr."""
    process = start(request, stand_ins)
    out, err = process.communicate(timeout=PATIENCE)
    first, *events = [json.loads(line) for line in out.splitlines()]
    assert first == {"type": "started", "pid": process.pid}
    return process.returncode, events, err


def told(process):
    """Return the next line that a worker reports, but for the one of its start."""
    line = process.stdout.readline()
    return process.stdout.readline() if '"started"' in line else line


class TestReport:
    def test_a_command_reports_progress_and_its_result(self, make_raster, tmp_path):
        output = tmp_path / "factors.tif"
        dem = make_raster("dem.tif", np.random.default_rng(0).normal(size=(40, 40)))
        parameters = {"input": dem, "output": str(output), "factors": ["slope"]}
        status, events, _ = run({"command": "terrainfactors", "parameters": parameters})
        assert status == 0
        assert events[-1] == {"type": "result", "values": {"output": str(output)}}
        percents = [event["percent"] for event in events if event["type"] == "progress"]
        assert percents and percents == sorted(percents) and percents[-1] == 100
        assert output.exists()

    def test_the_user_can_mend_it(self, tmp_path):
        parameters = {"input": "none.tif", "output": str(tmp_path / "a.gpkg")}
        status, events, _ = run({"command": "streams", "parameters": parameters})
        assert status == 1
        text = "The DEM none.tif does not exist: check the path."
        assert events == [{"type": "error", "text": text}]  # and no traceback
        assert not list(tmp_path.iterdir())

    def test_a_bug_has_its_traceback_in_the_details_alone(self):
        status, events, _ = run({"command": "fails"}, stand_ins=True)
        assert status == 2
        [event] = events
        assert event["text"] == "Unexpected ZeroDivisionError: of a bug"
        assert "Traceback" in event["details"] and "Traceback" not in event["text"]

    def test_used_up_memory_is_a_sentence(self):
        status, events, _ = run({"command": "fills"}, stand_ins=True)
        assert status == 1 and "memory" in events[-1]["text"] and "details" not in events[-1]

    def test_what_libraries_print_does_not_reach_the_report(self):
        status, events, err = run({"command": "prints"}, stand_ins=True)
        assert status == 0
        assert [event["type"] for event in events] == ["progress", "result"]
        for text in ("from Python", "to descriptor 1", "from C", "from a child", "\u2588"):
            assert text in err

    def test_the_report_can_go_into_a_file(self, tmp_path):
        answer = tmp_path / "answer.jsonl"
        with answer.open("w") as file:
            subprocess.run(
                [sys.executable, WORKER], input=b'{"command": "none"}', stdout=file, stderr=-1
            )
        assert [json.loads(line)["type"] for line in answer.open()] == ["started", "error"]

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
    def test_nor_is_it_beyond_the_encoding_of_the_system(self, monkeypatch, encoding):
        monkeypatch.setenv("PYTHONIOENCODING", encoding)
        status, _, _ = run({"command": "prints"}, stand_ins=True)
        assert status == 0

    def test_a_request_is_utf_8_whatever_the_system_has(self, monkeypatch):
        monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
        request = {"command": "streams", "parameters": {"input": "Müre.tif", "output": "a.gpkg"}}
        _, events, _ = run(json.dumps(request, ensure_ascii=False))
        assert "Müre.tif does not exist" in events[-1]["text"]

    def test_programs_that_a_command_starts_do_not_wait_on_the_workers_stdin(self):
        """On Windows whoever asks what it is would wait with the thread that waits for its end."""
        process = start({"command": "inherits", "attached": True}, stand_ins=True)
        assert json.loads(told(process))["values"] == {"read": "''"}
        process.communicate(timeout=PATIENCE)


def test_the_internet_is_for_pretrained_weights_that_were_asked_for(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for parameters, offline in (
        ({}, "1"),
        ({"pretrained": "auto"}, "1"),
        ({"pretrained": "imagenet"}, None),
    ):
        _, events, _ = run({"command": "asks", "parameters": parameters}, stand_ins=True)
        assert events[-1]["values"] == {"offline": offline}


class TestBadRequests:
    def test_unknown_command(self):
        status, events, _ = run({"command": "paint"})
        assert status == 1
        assert "No command 'paint'" in events[0]["text"] and "streams" in events[0]["text"]

    def test_missing_and_unknown_parameters(self):
        status, events, _ = run({"command": "streams", "parameters": {"input": "a", "colour": 1}})
        assert status == 1
        text = events[0]["text"]
        assert "unknown parameters ['colour']" in text and "missing parameters ['output']" in text

    @pytest.mark.parametrize(
        "request_line",
        ["", "no JSON", "[1, 2]", '{"command": 3}', '{"command": []}', '{"parameters": 1}'],
    )
    def test_not_a_request(self, request_line):
        status, events, _ = run(request_line)
        assert status == 1 and events[0]["type"] == "error" and "details" not in events[0]

    def test_every_command_can_be_found_and_takes_origin_and_progress(self):
        import inspect

        for name in COMMANDS:
            parameters = inspect.signature(find_command(name)).parameters
            assert list(parameters)[-2:] == ["origin", "progress"], name
            kinds = {parameter.kind for parameter in parameters.values()}
            assert kinds == {inspect.Parameter.KEYWORD_ONLY}, name


@pytest.fixture
def writing(tmp_path):
    """Start the worker in the middle of writing over an old output."""
    processes = []
    output = tmp_path / "a.tif"
    output.write_bytes(b"old")

    def begin(**request):
        parameters = {"output": str(output), **request.pop("parameters", {})}
        process = start({"command": "slow", "parameters": parameters, **request}, stand_ins=True)
        processes.append(process)
        assert "writing" in told(process)
        assert len(list(tmp_path.iterdir())) == 3  # the old file, the partial folder and the lock
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


class TestEnding:
    def test_sigterm_leaves_the_old_output_and_nothing_else(self, writing, tmp_path):
        process = writing()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
        assert (tmp_path / "a.tif").read_bytes() == b"old"

    def test_a_wait_that_the_signal_does_not_reach_ends_too(self):
        """As one that begins just after it came: Python would wait for the end of both."""
        process = start({"command": "astray"}, stand_ins=True)
        process.communicate(timeout=PATIENCE / 2)
        assert process.returncode == 128 + signal.SIGTERM

    def test_so_it_does_while_gdal_arranges_a_large_map(self, writing, tmp_path):
        process = writing(command="optimizes")
        assert json.loads(told(process))["percent"] < 50
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + signal.SIGTERM and "Traceback" not in err
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
        assert (tmp_path / "a.tif").read_bytes() == b"old"

    def test_so_does_the_interrupt_of_a_terminal(self, writing, tmp_path):
        process = writing()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + signal.SIGINT and "Traceback" not in err
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]

    def test_an_attached_worker_ends_with_its_parent(self, writing, tmp_path):
        process = writing(attached=True)
        process.stdin.close()
        assert process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]

    def test_even_when_its_command_does_not_let_go(self, writing):
        process = writing(attached=True, parameters={"stubborn": True})
        process.stdin.close()
        assert process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM

    @pytest.mark.parametrize("forever", [False, True])
    def test_even_when_something_swallows_the_exception(self, forever):
        process = start({"command": "swallows", "parameters": {"forever": forever}}, True)
        assert "begun" in told(process)
        time.sleep(0.1)  # so that it is in the callback
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + signal.SIGTERM

    def test_a_worker_that_is_not_attached_outlives_its_stdin(self, writing):
        process = writing()
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)

    @pytest.mark.skipif(not hasattr(os, "WNOHANG"), reason="no SIGKILL on Windows")
    def test_kill_leaves_the_old_output(self, writing, tmp_path):
        process = writing()
        process.kill()
        process.wait(timeout=PATIENCE)
        assert (tmp_path / "a.tif").read_bytes() == b"old"
