"""A worker without packages that does on request what a real one does on bad days."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "landslide_plugin" / "core"))
import owners

request = json.loads(sys.stdin.readline())
given = request["parameters"]


def send(kind, **content):
    print(json.dumps({"type": kind, **content}), flush=True)


def begin_output():
    """Begin an output as the engine's rooms do: in a hidden folder beside it."""
    output = Path(given["output"])
    partial = output.parent / f".partial-{owners.me()}-half"
    partial.mkdir()
    (partial / output.name).write_text("half")
    send("message", text="begun")


def talk():
    send("progress", percent=12.5)
    send("message", text="a message")
    send("warning", text="a warning")
    print("no JSON at all", flush=True)
    print("a log line", file=sys.stderr, flush=True)
    send("result", values={"request": request, "environment": dict(os.environ)})


def flood():
    """Fill both pipes beyond what they hold."""
    for _ in range(3000):
        print("x" * 100, file=sys.stderr)
        send("message", text="y" * 100)
    send("result", values={})


def user_error():
    send("error", text="The DEM has no CRS: assign its projection first.")
    sys.exit(1)


def bug():
    send("error", text="Unexpected KeyError: 'x'", details="Traceback (most recent call last): ...")
    sys.exit(2)


def hang():
    """Ignore SIGTERM, with a child that does so too, for much longer than anybody waits."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code])
    Path(given["pids"]).write_text(f"{os.getpid()} {child.pid}")
    begin_output()
    time.sleep(600)


def linger():
    """Go on for longer than anybody waits, unless it is ended."""
    Path(given["pids"]).write_text(str(os.getpid()))
    begin_output()
    time.sleep(600)


def killed():
    begin_output()
    os.kill(os.getpid(), signal.SIGKILL)


def vanish():
    print("the last words", file=sys.stderr, flush=True)
    sys.exit(3)


def leave_child():
    """End with a result while a child holds the pipes open."""
    code = "import time; time.sleep(600)"
    Path(given["pids"]).write_text(str(subprocess.Popen([sys.executable, "-c", code]).pid))
    send("result", values={"done": True})


send("started", pid=os.getpid())
globals()[request["command"]]()
