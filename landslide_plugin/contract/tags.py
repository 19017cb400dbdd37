"""Names of the metadata items that rasters and layers carry, as QGIS's side and the engine read."""

PREFIX = "LANDSLIDE_"

ALGORITHM, VERSION, PARAMETERS = PREFIX + "ALGORITHM", PREFIX + "VERSION", PREFIX + "PARAMETERS"
"""Of the run that made it: the algorithm's id, the plugin's version, what was asked, as JSON."""

MODEL = PREFIX + "MODEL"
"""Name of the model that was used."""

THRESHOLD = PREFIX + "THRESHOLD"
"""Probability from which a pixel is landslide."""

SCORE = PREFIX + "SCORE"
"""Least score of what was detected."""

PLAN = PREFIX + "PLAN"
"""What decided its pixels, as JSON: models, light, runtime, windows, versions."""

DATE = PREFIX + "DATE"
"""Day that the scene was taken on, year-month-day."""

FILE = PREFIX + "FILE"
"""Name of the file that a copy for the engine was made of: names tell sensors and units."""

ORIGIN = PREFIX + "ORIGIN"
"""Where data that were not observed are from."""
