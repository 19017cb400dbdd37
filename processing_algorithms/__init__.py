"""The algorithms of the Processing provider, one a file; a file that is here is found."""

from pkgutil import iter_modules

from .algorithm import EngineAlgorithm

for _file in iter_modules(__path__):
    if not _file.ispkg:
        # Not import_module: of an updated plugin QGIS forgets what came by __import__ alone.
        __import__(f"{__name__}.{_file.name}")

ALGORITHMS = tuple(sorted(EngineAlgorithm.__subclasses__(), key=lambda kind: kind.ID))
"""All of them, by their ids."""
