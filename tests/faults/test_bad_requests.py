"""Whatever is given, the answer is a result or one sentence: never a traceback, never silence.

`LANDSLIDE_BAD_REQUESTS=all` tries all requests, which takes minutes; a number tries so many.
"""

import os
import random
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from .bad_requests import Ground, ask

COUNT = os.environ.get("LANDSLIDE_BAD_REQUESTS", "100")
SECONDS = 30
"""Of computing, and five times as long on the clock, as others may compute beside."""
CLASS = re.compile(r"\b[A-Z]\w+(Error|Exception)\b|Traceback|\bobject at 0x")


class Silence(BaseException):
    """No answer in time."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return Ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def patience():
    def give_up(number, frame):
        raise Silence

    before = {one: signal.signal(one, give_up) for one in (signal.SIGALRM, signal.SIGPROF)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def state(folder: Path):
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def _give(seconds):
    """Have a request given up after some time; 0 = never."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 5 * seconds)


def judged(request, out):
    """Return what is wrong with the answer to a request; "" where nothing is."""
    before = state(out)
    _give(SECONDS)
    try:
        status, told = ask(request.command, request.parameters)
    except Silence:
        return "no answer"
    finally:
        _give(0)
    if status == 0:
        return ""
    if status == 2:
        return told
    if not told.endswith(".") or "\n" in told or CLASS.search(told) or len(told) > 12_000:
        return f"no sentence: {told}"
    return "" if state(out) == before else "an output was left"


def test_every_bad_value_gets_a_sentence_or_a_result(ground, patience, monkeypatch):
    monkeypatch.chdir(ground.folder)  # some outputs are names alone
    everything = list(ground.bad_requests())
    count = len(everything) if COUNT == "all" else int(COUNT)
    chosen = random.Random(0).sample(everything, min(count, len(everything)))  # noqa: S311
    assert len({(r.command, r.key, repr(r.value)) for r in everything}) > 600
    wrong, counts = [], Counter()
    for request in chosen:
        problem = judged(request, ground.out)
        counts[request.command] += 1
        if problem:
            wrong.append(f"{request}: {problem}")
        shutil.rmtree(ground.out)
        ground.out.mkdir()
    print(f"{len(chosen)} of {len(everything)} bad requests, {len(wrong)} wrong; {dict(counts)}")
    assert not wrong, "\n\n".join(wrong)
