"""A tiny index with a torch, a server that can be slow, a proxy, and a listener that remembers."""

import hashlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.setup import install
from landslide_mapper.landslide_plugin.setup.plan import Plan

from ...wheels import write_wheel

PYTHON = "{}.{}".format(*sys.version_info)
TAG = f"cp{PYTHON.replace('.', '')}"
TORCH = f"torch-1.0+cpu-{TAG}-{TAG}-manylinux_2_28_{platform.machine()}.whl"


def digest(file):
    """Return a file's digest as locks write it."""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


class Index:
    """Packages at hand, with the locks of them."""

    url = ""

    def __init__(self, folder):
        self.wheels, self.requirements = folder / "wheels", folder / "requirements"
        self.wheels.mkdir(parents=True)
        self.requirements.mkdir()
        self.lock("engine", "torch", "tinypackage")
        self.lock("cuda", "tinycuda")
        self.lock("dev", "tinytool")
        (folder / "pytorch" / "cpu").mkdir(parents=True)
        self.torch = write_wheel(folder / "pytorch" / "cpu", "torch", "1.0+cpu", file=TORCH)
        self.write(
            "pytorch",
            {
                "index": f"{(folder / 'pytorch').as_uri()}/",
                "wheels": {TORCH: {"digest": digest(self.torch)}},
            },
        )
        key = f"{platform.system()}-{platform.machine()}"
        self.write("uv", {"version": "0.13.9", "oldest": "0.8.0", "wheels": {}})
        part = {"download": 10**6, "disk": 2 * 10**6}
        parts = dict.fromkeys(("engine", "cuda", "dev", "torch-cpu", "torch-pypi"), part)
        self.write("sizes", {"longest_path": 150, key: {PYTHON: parts, "3.12": parts}})

    def lock(self, name, *packages, **options):
        """Write a lock of packages of one module."""
        written = {package: write_wheel(self.wheels, package, **options) for package in packages}
        lines = [f"{package}==1.0 --hash={digest(file)}" for package, file in written.items()]
        (self.requirements / f"{name}.lock").write_text("\n".join(lines) + "\n")

    def write(self, name, content):
        """Write one of the facts beside the locks."""
        (self.requirements / f"{name}.json").write_text(json.dumps(content))

    def plan(self, **options):
        """Return a plan of these locks."""
        return Plan(requirements=self.requirements, python=sys.executable, **options)


class Memory:
    """Remembers what it is told; cancels when a word comes."""

    def __init__(self, cancel_at=None):
        self.percents, self.messages, self.warnings, self.lines = [], [], [], []
        self._cancel_at = cancel_at

    def progress(self, percent):
        self.percents.append(percent)

    def message(self, text):
        self.messages.append(text)

    def warning(self, text):
        self.warnings.append(text)

    def log(self, line):
        self.lines.append(line)

    def canceled(self):
        return any(self._cancel_at in text for text in self.messages) if self._cancel_at else False


class Server(ThreadingHTTPServer):
    """Serves a folder of wheels as an index; as a proxy, too, for any host."""

    def __init__(self, folder, rate=None, status=200):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.rate, self.status, self.asked = folder, rate, status, []  # bytes a step
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *words):
        pass

    def do_CONNECT(self):
        self.server.asked.append(self.path)
        self.send_error(self.server.status)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        *_, name, end = self.path.split("/")
        if end:
            content = (self.server.folder / end).read_bytes()
        else:
            links = [file.name for file in self.server.folder.glob(f"{name}-*")]
            content = "".join(f'<a href="/files/{link}">{link}</a>' for link in links).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "text/html" if not end else "application/octet-stream")
        self.end_headers()
        rate = self.server.rate if end else None
        for start in range(0, len(content), rate or len(content)):
            self.wfile.write(content[start : start + (rate or len(content))])
            time.sleep(0.05 if rate else 0)


@pytest.fixture
def index(tmp_path, serve):
    """A tiny index and its locks."""
    index = Index(tmp_path / "index")
    index.url = f"{serve(index.wheels).url}/simple"
    return index


@pytest.fixture
def serve():
    """Return a function that starts a server, which ends with the test."""
    servers = []

    def start(folder, **options):
        servers.append(Server(folder, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def own_uv(monkeypatch):
    """The uv of the developers' tools on an environment without proxies and other settings."""
    uv = Path(sys.executable).with_name("uv")
    assert uv.exists(), "the developers' environment has no uv: run make setup-tests"
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("UV_", "PIP_", "LANDSLIDE_HOME")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(install, "A_LOOK", 0.02)


@pytest.fixture
def running(monkeypatch):
    """The processes that a set-up started."""
    started, popen = [], subprocess.Popen

    def start(*words, **options):
        started.append(popen(*words, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return started
