"""The page that a dialog's Help button opens: made on the spot, so that it works offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
)
from qgis.PyQt.QtCore import QUrl

_STYLE = (
    "body { font-family: sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em; } "
    "dt { font-weight: bold; margin-top: 1em; } code { color: #666; font-weight: normal; }"
)


def help_page(algorithm: QgsProcessingAlgorithm, paragraphs: Sequence[str]) -> str:
    """Write an algorithm's page into QGIS's temporary folder; return its address.

    Args:
        algorithm: its parameters' helps and outputs are listed.
        paragraphs: what it does, as plain text.
    """
    path = Path(QgsProcessingUtils.tempFolder()) / f"landslide-{algorithm.name()}.html"
    path.write_text("\n".join(_lines(algorithm, paragraphs)), encoding="utf-8")
    return bytes(QUrl.fromLocalFile(str(path)).toEncoded()).decode()


def _lines(algorithm: QgsProcessingAlgorithm, paragraphs: Sequence[str]) -> Iterator[str]:
    title = escape(algorithm.displayName())
    yield f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
    for paragraph in paragraphs:
        yield f"<p>{escape(paragraph)}</p>"
    yield "<h2>Parameters</h2><dl>"
    for parameter in algorithm.parameterDefinitions():
        yield _entry(parameter.description(), parameter.name(), parameter.help())
        yield from _notes(parameter)
    yield "</dl>"
    if algorithm.outputDefinitions():
        yield "<h2>Results</h2><dl>"
        for output in algorithm.outputDefinitions():
            yield _entry(output.description(), output.name(), "")
        yield "</dl>"
    yield f"<p>In qgis_process and scripts: <code>{escape(algorithm.id())}</code></p></body></html>"


def _entry(description: str, name: str, text: str) -> str:
    return f"<dt>{escape(description)} <code>{escape(name)}</code></dt><dd>{escape(text)}</dd>"


def _notes(parameter: QgsProcessingParameterDefinition) -> Iterator[str]:
    """Yield whether it may be left out, and what it is then."""
    default = parameter.defaultValue()
    if default not in (None, "", []):
        yield f"<dd>Default: {escape(str(default))}</dd>"
    elif parameter.flags() & QgsProcessingParameterDefinition.Flag.FlagOptional:
        yield "<dd>May be left out.</dd>"
