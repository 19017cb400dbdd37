"""A process that is asked to end: what is registered for its end is done, all else is left."""

import subprocess
import sys
from pathlib import Path

WORKER = str(Path(__file__).resolve().parents[3] / "landslide_plugin" / "worker.py")
PROGRAM = """
import atexit, os, signal, sys
from runpy import run_path
run_path(sys.argv[1])["register_package"]()
from landslide_mapper.landslide_plugin.core.interruption import watch

class Large:
    def __del__(self):
        os.write(1, b"taken down ")

large = Large()
watch("SIGTERM")
atexit.register(os.write, 1, b"tidied ")
if len(sys.argv) > 2:
    signal.raise_signal(signal.SIGTERM)
"""


def ended(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, WORKER, *arguments], capture_output=True, check=False
    )
    return done.stdout.decode().split(), done.returncode


def test_a_cancel_does_what_is_registered_and_takes_no_module_down():
    assert ended("cancel") == (["tidied"], 143)


def test_an_end_of_its_own_is_python_s():
    assert ended() == (["tidied", "taken", "down"], 0)
