"""Prints a table and all that is needed to judge it."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from .tables import Row, Table

Result = dict[str, Any]
METRICS = {
    "f1": "F1", "iou_landslide": "IoU", "miou": "mIoU", "precision": "precision",
    "recall": "recall", "oa": "OA",
}  # fmt: skip


def render(table: Table, results: Sequence[Result], failed: Sequence[str], quick: bool) -> str:
    """Return the table in Markdown.

    Args:
        table: which.
        results: of all runs that are there.
        failed: names of those that are not.
        quick: whether the runs only show that all works.
    """
    rows = [(row, [r for r in results if r["row"] == row.name]) for row in table.rows]
    rows = [(row, runs) for row, runs in rows if runs]
    lines = [f"### {table.title}", "", table.about]
    if quick:
        lines += ["", "**Quick run: it shows that all works; the figures mean nothing.**"]
    if rows:
        lines += ["", *_figures(rows), "", *_baselines(rows), "", *_facts(table, rows)]
    if failed:
        lines += ["", f"Failed or not to be had: {'; '.join(failed)}."]
    return "\n".join(lines) + "\n"


def _figures(rows: Sequence[tuple[Row, list[Result]]]) -> list[str]:
    papers = sorted({key for row, _ in rows for key in row.paper})
    compared = any(row.base for row, _ in rows)
    header = ["", *METRICS.values(), "AP"]
    header += ["IoU against base, seed by seed"] if compared else []
    header += [f"{METRICS[key]} in the source" for key in papers]
    header += ["seeds", "parameters (M)", "peak memory (MB)", "processor seconds a run"]
    by_name = {row.name: runs for row, runs in rows}
    body = []
    for row, runs in rows:
        cells = [row.name, *(_spread([r["test"][key] for r in runs]) for key in METRICS)]
        cells.append(_spread([r["average_precision"] for r in runs]))
        if compared:
            cells.append(_difference(runs, by_name.get(row.base, [])) if row.base else "base")
        cells += [f"{row.paper[key]:.4f}" if key in row.paper else "" for key in papers]
        cells.append(str(len(runs)))
        cells.append(f"{runs[0]['parameters'] / 1e6:.2f}")
        cells.append(f"{mean(r['usage']['peak'] for r in runs):.0f}")
        cells.append(f"{mean(r['usage']['cpu'] for r in runs):.0f}")
        body.append(cells)
    return _table(header, body)


def _baselines(rows: Sequence[tuple[Row, list[Result]]]) -> list[str]:
    """Return what needs no network, on the same test pixels, for each data set."""
    first = {row.data.name: runs[0] for row, runs in reversed(rows)}
    body = []
    for data, result in reversed(first.items()):
        for name, metrics in result["baselines"].items():
            body.append([f"{data}: {name}", *(_spread([metrics[key]]) for key in METRICS)])
    return _table(["Without a network", *METRICS.values()], body)


def _facts(table: Table, rows: Sequence[tuple[Row, list[Result]]]) -> list[str]:
    results = [result for _, runs in rows for result in runs]
    lines = [
        "Mean ± standard deviation (n - 1) over the training seeds "
        f"{', '.join(map(str, sorted({r['seed'] for r in results})))}; the split is the same for "
        "all. Epoch and threshold were chosen on validation patches, the figures are pixels of "
        "the test patches.",
        "",
    ]
    seen: dict[str, Row] = {}
    for row, runs in rows:
        if row.data.name not in seen:
            seen[row.data.name] = row
            lines.append(f"- {_data(row, runs[0])}")
    common = ", ".join(f"{key} {value}" for key, value in _common(results).items())
    lines.append(f"- Same for all runs: {common}.")
    seconds = sum(r["usage"]["seconds"] for r in results)
    cpu = sum(r["usage"]["cpu"] for r in results)
    lines.append(
        f"- {len(results)} runs, {seconds / 60:.0f} min, {cpu / 60:.0f} min of processor time."
    )
    devices = "; ".join(sorted({r["device"] for r in results}))
    lines.append(f"- {devices}: {results[0]['machine']}")
    if not table.of_source:
        return lines
    if not any(row.paper for row in table.rows):
        lines.append("- The source's own figures are left out: they could not be verified here.")
    elif not all(row.paper for row in table.rows):
        lines.append("- The source's figure stands only where its abstract repeats it.")
    return lines


def _data(row: Row, result: Result) -> str:
    counts = ", ".join(
        f"{result['patches'].get(name, 0)} {name} ({result['landslide_patches'].get(name, 0)} with "
        "landslide)"
        for name in ("train", "validation", "test")
    )
    warning = " (optimistic)" if result["split"].startswith("random") else ""
    return (
        f"{row.data.about}; patches: {counts}; landslide share of the training pixels "
        f"{result['landslide_share']:.3f}; split: {result['split']}{warning}."
    )


def _common(results: Sequence[Result]) -> dict[str, Any]:
    first = results[0]["settings"]
    return {
        key: value
        for key, value in first.items()
        if key != "seed" and all(r["settings"].get(key) == value for r in results)
    }


def _difference(runs: Sequence[Result], base: Sequence[Result]) -> str:
    of_seed = {result["seed"]: result["test"]["iou_landslide"] or 0.0 for result in base}
    pairs = [
        (r["test"]["iou_landslide"] or 0.0) - of_seed[r["seed"]]
        for r in runs
        if r["seed"] in of_seed
    ]
    return _spread(pairs, "+.3f") if pairs else ""


def _spread(values: Sequence[float | None], form: str = ".3f") -> str:
    defined = [value for value in values if value is not None]
    if not defined:
        return "undefined"
    text = format(mean(defined), form)
    return f"{text} ± {stdev(defined):.3f}" if len(defined) > 1 else text


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return [f"| {' | '.join(cells)} |" for cells in lines]
