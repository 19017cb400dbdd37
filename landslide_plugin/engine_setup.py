"""Makes the engine's Python environment: packages pinned, twice is once, whole or not counted.

As a script, `python3 engine_setup.py .venv --dev`, it needs nothing beyond Python 3.9; QGIS runs
it with `--json` in a process of its own. The environment counts as an engine once its stamp
stands, which is written last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess  # nosec B404
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAMP = "landslide-engine.json"
"""File in the environment that says what was installed; without it the engine is not there."""

OLDEST, NEWEST = (3, 11), (3, 12)
"""The Python versions for which the pinned packages have wheels."""

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"

_STARTED = "landslide-engine.started"
_GPU_PACKAGES = ("torch", "torchvision")
_ASK_VERSION = "import ensurepip, sys, venv; print('%d.%d.%d' % sys.version_info[:3])"


class SetupError(Exception):
    """The environment can't be made; one sentence for the user."""


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        folder: the environment.
        requirements: folder with `engine.txt`, `constraints.txt` and, where wanted, `native.txt`
            (what is compiled here) and `dev.txt`.
        dev: whether the developers' tools are wanted too.
        gpu: whether torch is left unpinned, so that pip takes the build for a GPU.
    """

    folder: Path
    requirements: Path = REQUIREMENTS
    dev: bool = False
    gpu: bool = False

    def constraints(self) -> str:
        """Return the pins that hold."""
        lines = _text(self.requirements / "constraints.txt").splitlines()
        if self.gpu:
            lines = [line for line in lines if line.split("==")[0] not in _GPU_PACKAGES]
        return "\n".join(lines) + "\n"

    def digest(self, *names: str) -> str:
        """Return the hash of the pins and of requirement files."""
        texts = [self.constraints(), *(_text(self.requirements / name) for name in names)]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()


class Report:
    """Tells what goes on, as text or as the JSON lines of the worker's protocol.

    Args:
        as_json: whether in JSON lines.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def send(self, kind: str, **content: Any) -> None:
        """Report a "progress" (percent), "message", "warning", "error" (text) or "result"."""
        if self._as_json:
            print(json.dumps({"type": kind, **content}), flush=True)
        elif "text" in content:
            prefix = f"{kind.capitalize()}: " if kind in ("warning", "error") else ""
            print(prefix + content["text"], flush=True)

    def log(self, line: str) -> None:
        """Pass a line of pip's on to the Processing log; a terminal does without."""
        if self._as_json:
            print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Makes the engine's Python environment.")
    parser.add_argument("folder", type=Path, help="where the environment goes")
    parser.add_argument("--python", default="", help="base Python; a suitable one is looked for")
    parser.add_argument("--requirements", type=Path, default=REQUIREMENTS)
    parser.add_argument("--dev", action="store_true", help="with the tools of tests and checks")
    parser.add_argument("--gpu", action="store_true", help="leave torch unpinned, for a GPU")
    parser.add_argument("--json", action="store_true", help="report in JSON lines")
    given = parser.parse_args(words)
    report = Report(given.json)
    plan = Plan(given.folder.absolute(), given.requirements.absolute(), given.dev, given.gpu)
    try:
        values = set_up(plan, report, given.python)
    except SetupError as error:
        report.send("error", text=str(error))
        return 1
    except OSError as error:
        report.send("error", text=f"The engine can't be set up in {plan.folder}: {error}.")
        return 1
    report.send("result", values=values)
    return 0


def set_up(plan: Plan, report: Report, python: str = "") -> dict[str, Any]:
    """Make or complete the environment.

    Args:
        plan: what is to be made.
        report: where progress goes.
        python: the base Python; a suitable one is looked for when empty.

    Returns:
        "python": the environment's interpreter; "changed": whether anything was done.

    Raises:
        SetupError: no suitable Python, or pip failed.
    """
    if is_ready(plan):
        report.send("message", text=f"The environment {plan.folder} is ready: nothing to do.")
        return {"python": str(python_of(plan.folder)), "changed": False}
    base = suitable_python([python] if python else base_pythons())
    (plan.folder / STAMP).unlink(missing_ok=True)
    _make_environment(plan.folder, base, report)
    started = plan.folder / _STARTED
    started.touch()  # stays if we are killed: the next run then begins anew
    try:
        _install(plan, report)
        native = _build_native(plan, report)
    finally:
        started.unlink()
    stamp = {**_wanted(plan), "native": native, "python": _version(python_of(plan.folder))}
    partial = plan.folder / f"{STAMP}.partial"
    partial.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(partial, plan.folder / STAMP)
    report.send("progress", percent=100)
    report.send("message", text=f"The environment {plan.folder} is ready.")
    return {"python": str(python_of(plan.folder)), "changed": True}


def is_ready(plan: Plan) -> bool:
    """Return whether the environment stands as planned, so that nothing is to do."""
    try:
        stamp = json.loads((plan.folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not python_of(plan.folder).is_file():
        return False
    compiled = bool(stamp.get("native")) or not _natives(plan) or not _compiler()
    return compiled and all(stamp.get(key) == value for key, value in _wanted(plan).items())


def python_of(folder: Path) -> Path:
    """Return where the interpreter of an environment is."""
    if os.name == "nt":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def base_pythons() -> Iterator[str]:
    """Yield the Pythons of this machine that an environment may be made from, best first."""
    if os.name == "nt":
        yield str(Path(sys.exec_prefix) / "python.exe")
    yield "/usr/bin/python3"
    for name in ("python3.12", "python3.11", "python3"):
        yield shutil.which(name) or ""
    yield sys.executable


def suitable_python(candidates: Iterable[str]) -> Path:
    """Return the first Python that the packages are made for.

    Raises:
        SetupError: there is none; the message lists what was found.
    """
    found = []
    for candidate in candidates:
        if not candidate or not Path(candidate).is_file():
            found.append(f"{candidate} (not there)" if candidate else "")
            continue
        version = _version(Path(candidate))
        if version and OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST:
            return Path(candidate)
        found.append(f"{candidate} ({version or 'without venv'})")
    raise SetupError(
        f"The engine needs Python {_dotted(OLDEST)} to {_dotted(NEWEST)} with venv (Debian: "
        f"python3-venv); found: {', '.join(dict.fromkeys(filter(None, found))) or 'none'}. Install "
        "one and name it."
    )


def _wanted(plan: Plan) -> dict[str, str]:
    wanted = {"engine": plan.digest("engine.txt", "native.txt")}
    if plan.dev:
        wanted["dev"] = plan.digest("dev.txt")
    return wanted


def _make_environment(folder: Path, base: Path, report: Report) -> None:
    python = python_of(folder)
    broken = (folder / _STARTED).exists()
    if python.is_file() and not broken and _fits(python):
        report.send("message", text=f"Completing the environment {folder}.")
        return
    report.send("message", text=f"Making the environment {folder} from {base}.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([str(base), "-m", "venv", "--clear", str(folder)], "The environment can't be made")
    report.send("progress", percent=3)


def _install(plan: Plan, report: Report) -> None:
    """Install with pip, telling what it does and how far it is by counting packages."""
    constraints = plan.folder / "constraints.txt"
    constraints.write_text(plan.constraints(), encoding="utf-8")
    files = ["engine.txt", "dev.txt"] if plan.dev else ["engine.txt"]
    words = [word for name in files for word in ("-r", str(plan.requirements / name))]
    command = [*_pip(plan), "-c", str(constraints), *words]
    total = max(2 * len(plan.constraints().split()), 1)
    seen = 0
    for line in _lines(command, "The packages can't be installed"):
        if line.startswith(("Collecting ", "Requirement already satisfied", "  Downloading ")):
            seen += 1
            report.send("progress", percent=round(min(3 + 82 * seen / total, 85), 1))
        if line.startswith(("Collecting ", "Installing collected", "Successfully installed")):
            report.send("message", text=line)
        else:
            report.log(line)


def _build_native(plan: Plan, report: Report) -> bool:
    """Compile what has no wheel; return whether it is there. Without it the rest still works."""
    for requirement in _natives(plan):
        if _is_installed(plan, requirement):
            continue
        without = f"{requirement} is not there: streams and TWI won't work, all else does"
        if not _compiler():
            report.send("warning", text=f"{without}; install a C++ compiler and set up again.")
            return False
        report.send("message", text=f"Compiling {requirement}: one to two minutes.")
        try:
            _compile(plan, requirement)
        except SetupError as error:
            report.send("warning", text=f"{without}; compiling it failed: {error}")
            return False
    return True


def _compile(plan: Plan, requirement: str) -> None:
    """Build with the environment's own pybind11: the one that richdem brings is too old."""
    python = str(python_of(plan.folder))
    constraints = str(plan.folder / "constraints.txt")
    _run([*_pip(plan), "-c", constraints, "setuptools", "wheel", "pybind11"], "No build tools")
    includes = _run([python, "-m", "pybind11", "--includes"], "pybind11 fails")[-1]
    flags = {"CXXFLAGS": includes, "CFLAGS": includes}
    build = [*_pip(plan), "--no-deps", "--no-build-isolation", requirement]
    _run(build, f"{requirement} can't be compiled", flags)


def _natives(plan: Plan) -> list[str]:
    lines = _text(plan.requirements / "native.txt").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _is_installed(plan: Plan, requirement: str) -> bool:
    name, _, version = requirement.partition("==")
    code = "import importlib.metadata as m, sys; sys.exit(m.version(sys.argv[1]) != sys.argv[2])"
    done = subprocess.run(  # noqa: S603 - our own environment's Python  # nosec B603
        [str(python_of(plan.folder)), "-c", code, name, version],
        env=_environment(),
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def _compiler() -> bool:
    return os.name != "nt" and bool(shutil.which("c++") or shutil.which("g++"))


def _pip(plan: Plan) -> list[str]:
    options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    return [str(python_of(plan.folder)), "-m", "pip", "install", *options]


def _fits(python: Path) -> bool:
    version = _version(python)
    return bool(version) and OLDEST <= tuple(int(n) for n in version.split(".")[:2]) <= NEWEST


def _version(python: Path) -> str:
    """Return a Python's version; empty when it does not run or can't make environments."""
    try:
        done = subprocess.run(  # noqa: S603 - asked by the user, or found on the path  # nosec B603
            [str(python), "-c", _ASK_VERSION],
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.fullmatch(r"\d+\.\d+\.\d+", done.stdout.strip())
    return found.group() if found else ""


def _run(words: list[str], failure: str, extra: dict[str, str] | None = None) -> list[str]:
    return list(_lines(words, failure, extra))


def _lines(words: list[str], failure: str, extra: dict[str, str] | None = None) -> Iterator[str]:
    """Yield the output of a program line by line.

    Raises:
        SetupError: it failed; the message holds its own last error.
    """
    last: deque[str] = deque(maxlen=30)
    with subprocess.Popen(  # noqa: S603 - our own list, no shell  # nosec B603
        words,
        env={**_environment(), **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            yield line.rstrip()
    if process.returncode:
        errors = [line for line in last if "error" in line.lower()] or list(last) or ["no output"]
        raise SetupError(
            f"{failure} ({errors[-1].strip()}): check the internet connection and the free disk "
            "space, then run it again."
        )


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


if __name__ == "__main__":
    sys.exit(main())
