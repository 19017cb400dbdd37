"""Makes the engine's Python environment, in QGIS and in a terminal, by uv and with digests."""
