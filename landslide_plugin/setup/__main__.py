"""Sets the engine up from a terminal; run it with --help."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from ..contract.errors import LandslideError
from .home import home
from .install import set_up
from .machine import base_python, output_of
from .plan import TORCH, Plan
from .uv import pin


class Terminal:
    """Tells a person at a terminal."""

    def progress(self, percent: float) -> None:
        """Show how far it is, on one line of a terminal."""
        if sys.stderr.isatty():
            print(f"\r{percent:5.1f} %", end="", file=sys.stderr, flush=True)

    def message(self, text: str) -> None:
        """Print a sentence."""
        print(text, flush=True)

    def warning(self, text: str) -> None:
        """Print a sentence, marked."""
        print(f"Warning: {text}", flush=True)

    def log(self, line: str) -> None:
        """A terminal does without."""

    def canceled(self) -> bool:
        """Ctrl+C ends it."""
        return False


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="setup", description="Makes the engine's environment.")
    parser.add_argument("folder", type=Path, help="where the environment goes")
    parser.add_argument("--torch", choices=TORCH, default=TORCH[0], help="the build of PyTorch")
    parser.add_argument("--dev", action="store_true", help="with the tools of tests and checks")
    parser.add_argument("--python", default="", help="base Python; a suitable one is looked for")
    parser.add_argument("--wheelhouse", type=Path, help="folder of all wheels: no download")
    parser.add_argument("--pins", action="store_true", help="print what would be installed")
    given = parser.parse_args(words)
    links = () if given.wheelhouse else tuple(_find_links())
    wheelhouse = given.wheelhouse and given.wheelhouse.absolute()
    folder = Path(os.path.abspath(given.folder))
    plan = Plan(given.torch, given.dev, given.python, wheelhouse, links, fall_back=True)
    try:
        if given.pins:
            plan = plan.settled()
            wheel = plan.torch_wheel(base_python(plan.machine, plan.python)[1])
            print(f"{plan.pins(wheel)}\n{pin(plan)}")
        else:
            mirror = {"UV_DEFAULT_INDEX": os.environ.get("PIP_INDEX_URL", "")}
            set_up(plan, folder, Terminal(), home(), environment=mirror)
    except LandslideError as error:
        print(f"Error: {error}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("Canceled: the environment does not count as an engine.", flush=True)
        return 1
    return 0


def _find_links() -> list[Path]:
    """Return the folders of wheels that pip and uv are set to on this machine."""
    said = [_pips_find_links()]
    said += [os.environ.get(name, "") for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")]
    folders = [url2pathname(urlparse(word).path) for word in re.split(r"[\s,]+", " ".join(said))]
    return [Path(folder) for folder in dict.fromkeys(folders) if folder and Path(folder).is_dir()]


def _pips_find_links() -> str:
    return output_of([sys.executable, "-m", "pip", "config", "get", "global.find-links"])


if __name__ == "__main__":
    sys.exit(main())
