"""Runs the provider's algorithms by qgis_process, as a user without a screen does."""

import json
import os
import subprocess  # nosec B404
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


class Headless:
    """QGIS without a screen, with this checkout as its plugin and a profile of its own."""

    def __init__(self) -> None:
        plugins = BUILD / "plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        link = plugins / "landslide_mapper"
        if not link.exists():
            link.symlink_to(ROOT)
        self._environment = {
            **os.environ,
            "QGIS_PLUGINPATH": str(plugins),
            "QGIS_CUSTOM_CONFIG_PATH": str(BUILD / "profile"),
            "QT_QPA_PLATFORM": "offscreen",
            "LANDSLIDE_PYTHON": sys.executable,
        }
        self._qgis("plugins", "enable", "landslide_mapper")

    def run(self, algorithm: str, **parameters: Any) -> dict[str, Any]:
        """Run an algorithm and return its results.

        Args:
            algorithm: an id such as "landslide:stack", or the path of a graphical model.
            **parameters: by key; a list repeats the key.

        Raises:
            SystemExit: it failed; the message is the algorithm's own.
        """
        words = []
        for key, value in parameters.items():
            for item in value if isinstance(value, list) else [value]:
                words.append(f"{key}={item}")
        print(f"\n$ qgis_process.bin run {algorithm} -- {' '.join(words)}", flush=True)
        started = time.perf_counter()
        output = self._qgis("run", algorithm, "--json", "--", *words)
        print(f"  {time.perf_counter() - started:.1f} s", flush=True)
        report: dict[str, Any] = json.loads(output[output.index("{") :])
        return dict(report["results"])

    def output(self, algorithm: str, **parameters: Any) -> str:
        """Run an algorithm and return its OUTPUT; see `run`."""
        return str(self.run(algorithm, **parameters)["OUTPUT"])

    def _qgis(self, *words: str) -> str:
        done = subprocess.run(  # nosec B603
            ["/usr/bin/qgis_process.bin", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and "already enabled" not in done.stderr:
            sys.exit(f"qgis_process {' '.join(words[:2])} failed:\n{done.stderr.strip()}")
        return done.stdout
