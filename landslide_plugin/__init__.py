"""The engine's rooms and the QGIS side's registration."""

from configparser import ConfigParser
from pathlib import Path


def _version() -> str:
    """Return the version in metadata.txt, which is what QGIS reads."""
    metadata = ConfigParser()
    metadata.read(Path(__file__).resolve().parent.parent / "metadata.txt", encoding="utf-8")
    return metadata.get("general", "version")


__version__ = _version()
