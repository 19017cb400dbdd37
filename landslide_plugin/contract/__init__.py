"""What QGIS's Python and the engine's agree on: Python 3.9 and the standard library only."""
