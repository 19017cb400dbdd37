"""Throws faults at runs and judges what is left."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from .faults import KINDS, Fault, count_events
from .files import fingerprint
from .jobs import Job, make_jobs

CANCEL_SECONDS = 5.0
DISK_MEGABYTES = 64
TOLD_EVERY = 50
REPORT_BYTES = 1 << 20
"""What a pipe holds until its writer has ended."""
VERDICTS = ("damaged", "mixed", "lost", "false success", "traceback", "too slow", "left over",
            "other at the next run", "input changed")  # fmt: skip
"""What may not be: a file that can't be read or is of neither run; outputs of two runs that open
beside each other; one that stood and is gone after the next run; success without the outputs; an
error that is no sentence; a cancel that takes longer than `CANCEL_SECONDS`; hidden files after the
next run; other outputs of that; a change of what is only read."""
SIDECARS = (".shx", ".dbf", ".prj", ".cpg", ".aux.xml", ".ovr")


@dataclass
class Result:
    """Counts over all faults.

    Attributes:
        runs: by kind of fault.
        ended: how they ended, by kind and words.
        verdicts: what was found, by kind and verdict.
        findings: a line for each.
    """

    runs: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Return the counts as a Markdown table, a row a kind."""
        endings = ("done", "sentence", "traceback", "ended")
        heads = ["fault", "runs", *endings, *VERDICTS]
        rows = [heads, ["---"] * len(heads)]
        for kind in KINDS:
            if self.runs[kind]:
                rows.append(
                    [kind, str(self.runs[kind])]
                    + [str(self.ended[kind, ending]) for ending in endings]
                    + [str(self.verdicts[kind, verdict]) for verdict in VERDICTS]
                )
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


class Campaign:
    """Faults over all jobs, in a folder of its own.

    Args:
        folder: an empty one; outputs go to a small disk in it where one can be mounted.
        seed: of the faults.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self._folder = folder
        self._random = Random(seed)  # noqa: S311
        self._mounted = False
        self.result = Result()
        self.out = folder / "out"

    @contextmanager
    def disk(self) -> Iterator[None]:
        """Have the outputs on a small disk of their own meanwhile, where that may be mounted."""
        self.out.mkdir()
        size = f"size={DISK_MEGABYTES}m"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.out)]
        self._mounted = subprocess.run(mount, capture_output=True).returncode == 0
        try:
            yield
        finally:
            if self._mounted:
                subprocess.run(["umount", "-l", str(self.out)], check=True)

    def prepare(self, names: list[str] | None = None) -> None:
        """Make the inputs, and what each job writes undisturbed."""
        inputs = self._folder / "inputs"
        inputs.mkdir()
        jobs = make_jobs(inputs, lambda command, given: self._must(command, given))
        self._jobs = [self._prepared(job) for job in jobs if not names or job.name in names]
        self._inputs = {path: fingerprint(path) for path in inputs.iterdir()}

    def run(self, count: int) -> Result:
        """Throw faults, each job and kind in turn."""
        kinds = [kind for kind in KINDS if self._mounted or kind != "full disk"]
        for number in range(count):
            job = self._jobs[number % len(self._jobs)]
            kind = kinds[(number // len(self._jobs) + number) % len(kinds)]
            self._one(job, Fault.draw(self._random, kind))
            if (number + 1) % TOLD_EVERY == 0:
                result = len(self.result.findings)
                print(f"{number + 1} of {count} faults, {result} findings", file=sys.stderr)
        for path, before in self._inputs.items():
            if fingerprint(path) != before:
                self._find("kill", "input changed", f"{path}")
        return self.result

    def _one(self, job: "_Prepared", fault: Fault) -> None:
        self._clear()
        job.lay_out(self.out)
        cut = self._cut(job.job, fault) if fault.kind == "input cut off" else None
        if fault.kind == "full disk":
            self._fill(int(fault.share * 2 * job.size))
        parameters = job.job.parameters(self.out, job.job.new)
        try:
            status, events, seconds = self._child(job.job.command, parameters, fault, job)
        finally:
            if cut:
                shutil.move(cut[1], cut[0])
        (self.out / "filler").unlink(missing_ok=True)
        where = f"{job.job.name}: {fault.describe()}: "
        ending = _ending(status)
        self.result.runs[fault.kind] += 1
        self.result.ended[fault.kind, ending] += 1
        if ending == "traceback":
            self._find(fault.kind, "traceback", where + str(events[-1:])[:1500])
        if fault.kind == "cancel" and seconds > fault.share * job.seconds + CANCEL_SECONDS:
            self._find(fault.kind, "too slow", where + f"{seconds:.1f} s")
        self._judge(job, fault, where, ending)
        self._again(job, fault, where)

    def _judge(self, job: "_Prepared", fault: Fault, where: str, ending: str) -> None:
        """Look at what the fault has left."""
        result = {}
        for key, path in job.outputs(self.out).items():
            if path.exists():
                digest = fingerprint(path)
                known = {job.new[key]: "new", job.old.get(key): "old"}
                result[key] = known.get(digest, f"damaged ({digest[:300]})")
        for key, state in result.items():
            if state.startswith("damaged"):
                self._find(fault.kind, "damaged", where + f"{key} {state}")
        if {"old", "new"} <= set(result.values()):
            self._find(fault.kind, "mixed", where + str(result))
        if ending == "done" and set(result.values()) | {"new"} != {"new"}:
            self._find(fault.kind, "false success", where + str(result))
        if ending == "done" and len(result) < len(job.new):
            self._find(fault.kind, "false success", where + str(result))
        if ending == "sentence" and job.old and set(result.values()) != {"old"}:
            self._find(fault.kind, "lost", where + str(result))

    def _again(self, job: "_Prepared", fault: Fault, where: str) -> None:
        """Run it once more, undisturbed: all is new then, and nothing is left over."""
        outputs = job.outputs(self.out)
        for path in outputs.values():
            if path.is_dir():  # a sample folder is never replaced
                shutil.rmtree(path)
        parameters = job.job.parameters(self.out, job.job.new)
        status, events, _ = self._child(job.job.command, parameters)
        if status != 0:
            self._find(fault.kind, "other at the next run", where + str(events[-1:])[:1500])
            return
        for key, path in outputs.items():
            if not path.exists() or fingerprint(path) != job.new[key]:
                self._find(fault.kind, "other at the next run", where + key)
        known = {path.name for path in outputs.values()}
        stems = {path.stem for path in outputs.values()}
        for path in self.out.iterdir():
            part = path.name.endswith(SIDECARS) and path.name.split(".")[0] in stems
            if path.name not in known and not part:
                self._find(fault.kind, "left over", where + path.name)

    def _prepared(self, job: Job) -> "_Prepared":
        folders = {}
        for name, more in (("old", job.old), ("new", job.new)):
            self._clear()
            if more is not None:
                began = time.monotonic()
                self._must(job.command, job.parameters(self.out, more))
                seconds = time.monotonic() - began
                folders[name] = self._folder / "kept" / job.name / name
                shutil.copytree(self.out, folders[name])
        digests = {
            name: {key: fingerprint(folder / file) for key, file in job.outputs.items()}
            for name, folder in folders.items()
        }
        unreadable = [text for each in digests.values() for text in each.values() if " " in text]
        if unreadable:
            raise ValueError(f"{job.name}: {unreadable}")
        sizes = [path.stat().st_size for path in folders["new"].rglob("*") if path.is_file()]
        events = int((self._folder / "events").read_text())
        return _Prepared(
            job=job,
            kept=folders.get("old"),
            old=digests.get("old", {}),
            new=digests["new"],
            seconds=seconds,
            size=max(sizes),
            events=events,
        )

    def _must(self, command: str, parameters: dict[str, Any]) -> None:
        status, events, _ = self._child(command, parameters)
        if status != 0:
            raise RuntimeError(f"{command} undisturbed: {events[-1:]}")

    def _child(
        self,
        command: str,
        parameters: dict[str, Any],
        fault: Fault | None = None,
        job: "_Prepared | None" = None,
    ) -> tuple[int, list[dict[str, Any]], float]:
        """Run the worker's main in a process forked from this one; return status and events."""
        from landslide_mapper.landslide_plugin import worker

        request = self._folder / "request.json"
        request.write_text(json.dumps({"command": command, "parameters": parameters}) + "\n")
        report, written = os.pipe()  # no limit of a file's size holds for it
        fcntl.fcntl(written, fcntl.F_SETPIPE_SZ, REPORT_BYTES)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            status = 70
            try:
                _redirect(request, written)
                if fault and job:
                    fault.arm(self.out, job.seconds, job.size, job.events)
                    status = worker.main()
                else:
                    counted = count_events(self.out)
                    status = worker.main()
                    (self._folder / "events").write_text(str(counted()))
            except SystemExit as ended:
                status = int(ended.code or 0)
            finally:
                os._exit(status)
        os.close(written)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seconds = time.monotonic() - began
        with os.fdopen(report, encoding="utf-8", errors="replace") as told:
            lines = told.read().splitlines()
        return status, [_event(line) for line in lines], seconds

    def _cut(self, job: Job, fault: Fault) -> tuple[Path, Path]:
        """Cut an input off; return it and where it is kept whole."""
        path = Path(job.inputs[fault.number % len(job.inputs)])
        kept = self._folder / "whole"
        shutil.move(path, kept)
        path.write_bytes(kept.read_bytes()[: int(fault.share * kept.stat().st_size)])
        return path, kept

    def _fill(self, left: int) -> None:
        free = os.statvfs(self.out)
        size = max(0, free.f_bavail * free.f_frsize - left)
        (self.out / "filler").write_bytes(bytes(size))

    def _clear(self) -> None:
        for path in self.out.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _find(self, kind: str, verdict: str, line: str) -> None:
        self.result.verdicts[kind, verdict] += 1
        self.result.findings.append(f"{verdict}: {line}")


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A job, and what it writes undisturbed: digests by parameter, and how long it takes."""

    job: Job
    kept: Path | None
    old: dict[str, str]
    new: dict[str, str]
    seconds: float
    size: int
    events: int

    def lay_out(self, folder: Path) -> None:
        """Have the old outputs stand in a folder."""
        if self.kept:
            shutil.copytree(self.kept, folder, dirs_exist_ok=True)

    def outputs(self, folder: Path) -> dict[str, Path]:
        """Return the outputs in a folder."""
        return {key: folder / name for key, name in self.job.outputs.items()}


def _redirect(request: Path, report: int) -> None:
    """Give a child its request and take its report."""
    os.dup2(os.open(request, os.O_RDONLY), 0)
    os.dup2(report, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stdin = os.fdopen(0)


def _event(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {"type": "unreadable", "text": line}


def _ending(status: int) -> str:
    if status == 0:
        return "done"
    if status == 1:
        return "sentence"
    return "ended" if status in (128 + signal.SIGTERM, -signal.SIGKILL) else "traceback"
