"""No command moves or removes a file that it still has open, which Windows does not allow."""

import errno
import json
import os
from io import StringIO
from pathlib import Path

import pytest
import torch
from landslide_mapper.landslide_plugin import answer as answering
from landslide_mapper.landslide_plugin.training.loop import checkpoint
from landslide_mapper.models.model_file import load_model

from .jobs import make_jobs

ROOT = Path(__file__).resolve().parents[2]
MOVES = ("replace", "rename", "unlink", "remove", "rmdir")


@pytest.fixture
def strict(monkeypatch, tmp_path):
    """Have files that this process has open or mapped refused, as on Windows; list the refusals."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("no /proc here, which says what is open")
    refused = []

    def refusing(name, move):
        def moved(*paths, **options):
            folder = options.get("dir_fd")
            place = Path(os.readlink(f"/proc/self/fd/{folder}")) if folder else Path()
            for path in paths[: 2 if name in ("replace", "rename") else 1]:
                full = os.path.abspath(place / path)
                if held := [file for file in open_files() if is_within(file, full)]:
                    refused.append(f"{name} {full}: {held}")
                    raise PermissionError(errno.EACCES, "open in a program", str(full))
            return move(*paths, **options)

        return moved

    monkeypatch.setattr(answering, "WITHOUT_FRAMES", ())  # which is for a process of one command
    for name in MOVES:
        monkeypatch.setattr(os, name, refusing(name, getattr(os, name)))
    return refused


def open_files():
    """Return the paths of the files that this process has open or mapped."""
    result = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if os.path.isfile(path):
            result.add(path)
    for line in Path("/proc/self/maps").read_text().splitlines():
        result.add(line.split(None, 5)[-1] if "/" in line else "")
    return result


def is_within(file, path):
    return file == path or file.startswith(path + os.sep)


def run(command, parameters):
    """Run a command of the worker in this process; return its last event."""
    events = []
    lines = StringIO(json.dumps({"command": command, "parameters": parameters}) + "\n")
    answering.answer(lines, events.append)
    return events[-1]


def test_every_kind_of_command(strict, tmp_path):
    """Each in the place of an earlier output, but for those that make a folder."""
    jobs = make_jobs(tmp_path, run)
    out = tmp_path / "out"
    out.mkdir()
    for job in jobs:
        for name in job.outputs.values():
            if job.old is not None:
                (out / name).write_bytes(b"earlier")
        event = run(job.command, job.parameters(out, job.new))
        assert event["type"] == "result", (job.name, event)
    assert strict == []
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_what_is_open_is_seen(strict, tmp_path):
    """That the first test can fail."""
    file = tmp_path / "a"
    with file.open("w"), pytest.raises(PermissionError):
        os.replace(file, tmp_path / "b")
    os.replace(file, tmp_path / "b")
    assert len(strict) == 1


def test_a_checkpoint_that_was_read_can_be_replaced_set_aside_and_removed(strict, tmp_path):
    """While what was read is used, as by a training that goes on."""
    model = tmp_path / "model.safetensors"
    path = Path(f"{model}{checkpoint.SUFFIX}")
    saved = checkpoint.Saved({"digest": "0" * 8}, {"weights": torch.arange(1 << 16)})
    checkpoint.write(path, saved)
    read = checkpoint.read(path)
    assert read is not None
    checkpoint.write(path, read)
    again = checkpoint.read(path)
    assert again is not None
    os.replace(checkpoint.set_aside(path, again), path)
    checkpoint.remove(model)
    assert strict == []
    assert torch.equal(read.tensors["weights"], again.tensors["weights"])


def test_a_model_that_was_read_is_closed():
    path = sorted((ROOT / "models" / "weights").glob("*.safetensors"))[0]
    loaded = load_model(path)
    assert str(path) not in open_files() and loaded.network is not None
