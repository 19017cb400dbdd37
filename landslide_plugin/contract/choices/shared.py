"""Parameters that several commands take."""

from __future__ import annotations

from ..kinds import Choice, Number, OptionalNumber, Text, Texts, Whole

DEVICE = Choice(
    "Device",
    {
        "auto": "Automatic",
        "cpu": "CPU",
        "cuda": "NVIDIA or AMD GPU (CUDA, ROCm)",
        "mps": "Apple GPU (MPS)",
    },
    "auto",
)
SEED = Whole("Random seed", low=0, high=2**32 - 1)
"""Of all random generators that are used, scikit-learn's takes the fewest."""

FILL = Choice(
    "Undeclared fill", {"auto": "Taken for nodata", "keep": "Kept as values"}, default="auto"
)
Z_UNIT = Choice(
    "Unit of the DEM's heights",
    {
        "auto": "As the file says",
        "metre": "Metre",
        "foot": "International foot",
        "us_survey_foot": "US survey foot",
    },
    "auto",
)
SENSORS = {
    "sentinel2": "Sentinel-2",
    "landsat89": "Landsat 8 and 9",
    "landsat57": "Landsat 4 to 7",
    "planet4": "PlanetScope, four bands",
}
SENSOR = Choice(
    "Sensor", {"auto": "Told by the bands' names", **SENSORS, "custom": "Another"}, "auto"
)
SCALE = OptionalNumber("Scale to reflectance", above=0.0)
OFFSET = OptionalNumber("Offset to reflectance")

THRESHOLD = OptionalNumber("Threshold", low=0.0, high=1.0)
LANDSLIDE_FRACTION = OptionalNumber("Landslide fraction of the scene", low=1e-6, high=0.999)
MIN_AREA = Number("Smallest landslide", low=0.0, unit="m2")
MIN_SLOPE = Number("Least slope of the ground", low=0.0, high=90.0, unit="degrees")
TILE_SIZE = Whole("Tile size", low=0, high=8192, unit="pixels")
SCHEDULER = Text("Scheduler of Dask (address)", begins=("tcp://", "tls://"))
WORKERS = Whole("Workers on this machine", low=0, high=1024)
BANDS = Texts("Bands")
