"""Memory of freed arrays goes back to the system."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import numpy as np
from landslide_plugin.core.memory import give_back

def held():
    pages = open("/proc/self/statm").read().split()[1]
    return int(pages) * 4096 / 1e6

arrays = [np.ones(10_000) for _ in range(2000)]
last = arrays[-1]
del arrays  # below the last one, which is at the heap's end
before = held()
give_back()
print(before - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps it")
def test_freed_arrays_are_given_back():
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100
