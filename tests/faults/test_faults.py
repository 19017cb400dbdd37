"""A few faults at every kind of command; `make faults` throws a thousand.

Nothing is damaged, mixed, lost or left over, and no success is told that is none.
"""

import os
import subprocess
import sys

import pytest

from .__main__ import ROOT

COUNT = 33
"""Three faults a job, other kinds each."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.slow
def test_whatever_happens_outputs_are_whole_and_of_one_run():
    command = [sys.executable, "-m", "tests.faults", str(COUNT), "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "| kill |" in done.stdout
