"""The engine's rooms and the QGIS side's registration."""

__version__ = "0.1.0"
