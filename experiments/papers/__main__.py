"""Runs what is missing of a table, and prints it in Markdown.

Each run is a process of its own whose result is one JSON file; what is there already is not run
again, so that a table can be stopped and gone on with at any time.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.timing import describe_machine, run

from .markdown import render
from .tables import TABLES, Row, Table


def main() -> None:
    """Run a table."""
    arguments = _arguments()
    table = TABLES[arguments.table]
    name = f"{arguments.table}-quick" if arguments.quick else arguments.table
    out = Path(arguments.out or Path("build/papers") / name)
    out.mkdir(parents=True, exist_ok=True)
    results, failed = [], []
    for number, seed in enumerate(arguments.seeds):  # a part of the table has all rows
        for row in table.rows:
            if number >= row.seeds or arguments.only not in row.name:
                continue
            samples = _samples(out, row, arguments.quick)
            result = _result(out, table, row, samples, seed, arguments.quick)
            if result is None:
                failed.append(f"{row.name}, seed {seed}")
            else:
                results.append(result)
    text = render(table, results, failed, quick=arguments.quick)
    (out / "table.md").write_text(text, encoding="utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.papers", description=__doc__)
    parser.add_argument("table", choices=TABLES, help="which table")
    parser.add_argument("--quick", action="store_true", help="tiny: only to see that all works")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one run for each")
    parser.add_argument("--only", default="", help="rows whose name holds this; all when empty")
    parser.add_argument("--out", default="", help="folder of the results")
    return parser.parse_args()


def _samples(out: Path, row: Row, quick: bool) -> Path:
    """Return the folder of samples of a row; it is made once."""
    folder = out / f"samples-{row.data.name}"
    if not (folder / "manifest.json").is_file():
        request = {
            "data": os.environ.get("LANDSLIDE_DATA", "../shared/data"),
            "folder": str(folder),
            "name": row.data.name,
            "options": row.data.options(quick),
        }
        _say(f"samples of {row.data.name}")
        run([sys.executable, "-m", "experiments.papers.data"], json.dumps(request))
    return folder


def _result(
    out: Path, table: Table, row: Row, samples: Path, seed: int, quick: bool
) -> dict[str, Any] | None:
    """Return a run's result, from its file if it is there; None where it failed."""
    settings = table.settings(row, seed, quick)
    path = out / f"{row.slug}-seed{seed}.json"
    if path.is_file():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known["settings"] == settings:
            return known
    part = path.with_suffix(".part")
    request = {"samples": str(samples), "settings": settings, "result": str(part)}
    _say(f"{row.name}, seed {seed}")
    try:
        usage = run([sys.executable, "-m", "experiments.papers.run"], json.dumps(request))
    except SystemExit as error:
        _say(f"{row.name}, seed {seed}: {error}")
        return None
    result: dict[str, Any] = {
        "row": row.name,
        "data": row.data.name,
        "seed": seed,
        "settings": settings,
        "machine": describe_machine(),
        "usage": asdict(usage),
        **json.loads(part.read_text(encoding="utf-8")),
    }
    part.write_text(json.dumps(result, indent=1), encoding="utf-8")
    part.replace(path)
    _say(f"{row.name}, seed {seed}: IoU {result['test']['iou_landslide']}, {usage.seconds:.0f} s")
    return result


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
