"""The commands: which file runs each, and what it writes."""

from pathlib import Path

ENGINE = Path(__file__).resolve().parents[1]

COMMANDS = {
    file.stem.removesuffix("_command"): ".".join(file.relative_to(ENGINE).with_suffix("").parts)
    for file in sorted(ENGINE.rglob("*_command.py"))
}
"""Command to the module, within `landslide_plugin`, whose function of that name runs it."""

OUTPUTS = {
    "samples": ("output",),
    "train": ("model", "html"),
    "trainweak": ("model", "html"),
    "predict": ("probability", "mask", "uncertainty"),
    "detect": ("output", "mask"),
    "evaluate": ("html", "json", "csv"),
    "map": ("inventory", "probability", "html"),
    "factoranalysis": ("html", "table"),
    "demoarea": ("folder",),
    "recipe": (),  # each of its steps claims its own
    "device": (),
}
"""Command to the parameters that name its outputs, where that is not `output` alone."""
