"""Gets uv, which installs: the system's, or its wheel, checked by its digest."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from ..core.system import replace
from .causes import explain
from .listener import Fetch, Listener, SetupCanceled, SetupError
from .machine import output_of
from .plan import Plan

_BLOCK = 2**18


def download(url: str, target: Path, listener: Listener) -> None:
    """Download a file by Python's own means, with the proxy that the environment names.

    Raises:
        OSError: it can't be had.
        SetupCanceled: the user canceled.
    """
    with urllib.request.urlopen(url, timeout=60) as source, target.open("wb") as file:  # noqa: S310  # nosec B310
        while block := source.read(_BLOCK):
            if listener.canceled():
                raise SetupCanceled
            file.write(block)


def find(plan: Plan, home: Path, listener: Listener, fetch: Fetch) -> Path:
    """Return uv: from the PATH if new enough, else the one kept here, else its wheel's.

    Raises:
        SetupError: it can't be had, or is not the file that was checked.
        SetupCanceled: the user canceled.
    """
    facts = plan.facts("uv")
    name = "uv.exe" if plan.machine.system == "Windows" else "uv"
    kept = home / "uv" / str(facts["version"]) / name
    for candidate in (kept, shutil.which("uv")):
        if candidate and _version(Path(candidate)) >= _numbers(facts["oldest"]):
            return Path(candidate)
    wheel = facts["wheels"].get(f"{plan.machine.system}-{plan.machine.processor}")
    if wheel is None:
        raise SetupError(f"uv is not made for this system: install uv {facts['oldest']} or newer.")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix="uv-") as folder:
        file = Path(folder) / wheel["name"]
        _get(plan, wheel, file, listener, fetch)
        if f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" != wheel["digest"]:
            raise SetupError(
                f"{wheel['name']} is not the file that was checked: nothing of it is used; try "
                "again from another network."
            )
        with zipfile.ZipFile(file) as archive:
            member = f"uv-{facts['version']}.data/scripts/{name}"
            unpacked = Path(archive.extract(member, folder))
        unpacked.chmod(0o755)
        kept.parent.mkdir(parents=True, exist_ok=True)
        replace(unpacked, kept)
    return kept


def pin(plan: Plan) -> str:
    """Return the pin of the uv that is locked, with its digests."""
    facts = plan.facts("uv")
    digests = [f"--hash={wheel['digest']}" for wheel in facts["wheels"].values()]
    return " ".join([f"uv=={facts['version']}", *digests])


def _get(plan: Plan, wheel: dict[str, str], file: Path, listener: Listener, fetch: Fetch) -> None:
    """Put uv's wheel into a file: out of the wheelhouse, over the network, by pip."""
    if at_hand := plan.at_hand(wheel["name"]):
        shutil.copyfile(at_hand, file)
        return
    listener.message("Downloading uv, which installs the packages.")
    try:
        fetch(wheel["url"], file, listener)
    except (OSError, SetupError) as error:
        version = wheel["name"].split("-")[1]
        words = [sys.executable, "-m", "pip", "download", "--no-deps", f"uv=={version}"]
        if Path(sys.executable).name.startswith("python"):
            output_of([*words, "--only-binary", ":all:", "--dest", str(file.parent)], 600)
        if not file.is_file():
            cause = explain([wheel["url"], str(error)])
            raise SetupError(f"uv, which installs, can't be downloaded: {cause}") from None


def _version(uv: Path) -> tuple[int, ...]:
    match = re.match(r"uv (\d+(?:\.\d+)*)", output_of([str(uv), "--version"]))
    return _numbers(match[1]) if match else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
