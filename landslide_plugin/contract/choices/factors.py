"""Parameters of the Toolbox's group "Factor layers"."""

from __future__ import annotations

from ..kinds import Choice, Flag, Number, Numbers, OptionalNumber, Several, Text, Texts, Whole
from . import shared


class TerrainFactors:
    """Of `terrainfactors`."""

    FACTORS = Several(
        "Factors",
        {
            "elevation": "Elevation",
            "slope": "Slope",
            "aspect": "Aspect",
            "aspect_class": "Aspect in nine classes",
            "northness": "Northness",
            "eastness": "Eastness",
            "plan_curvature": "Plan curvature",
            "profile_curvature": "Profile curvature",
            "curvature": "Total curvature",
            "tpi": "Topographic position (TPI)",
            "tri": "Terrain ruggedness (TRI)",
            "roughness": "Roughness",
            "hillshade": "Hillshade",
            "twi": "Topographic wetness (TWI)",
        },
        ("elevation", "slope", "aspect", "plan_curvature", "profile_curvature"),
        needs_one=True,
    )
    """Each word is a function's in `factors/terrain.py`."""

    RADII = Numbers("Radii", above=0.0, unit="m")
    """Of the factors in `factors/scales.py`."""

    SMOOTHING = Number("Smoothing", low=0.0, unit="m")
    Z_UNIT = shared.Z_UNIT
    FILL = shared.FILL


class SpectralIndices:
    """Of `spectralindices`."""

    INDICES = Several(
        "Indices",
        {
            "ndvi": "NDVI, vegetation",
            "mndwi": "MNDWI, water by short-wave infrared",
            "ndwi": "NDWI, water by near infrared",
            "ndbi": "NDBI, built-up land",
            "bsi": "BSI, bare soil",
            "savi": "SAVI, vegetation less the soil's light",
            "nbr": "NBR, burnt land",
            "brightness": "Brightness",
        },
        ("ndvi", "mndwi"),
        needs_one=True,
    )
    SENSOR = shared.SENSOR
    BLUE = Whole("Band blue", low=0)
    GREEN = Whole("Band green", low=0)
    RED = Whole("Band red", low=0)
    NIR = Whole("Band nir", low=0)
    SWIR1 = Whole("Band swir1", low=0)
    SWIR2 = Whole("Band swir2", low=0)
    SCALE = shared.SCALE
    OFFSET = shared.OFFSET
    EARLIER_SCALE = OptionalNumber("Scale to reflectance of the earlier image", above=0.0)
    EARLIER_OFFSET = OptionalNumber("Offset to reflectance of the earlier image")
    FILL = shared.FILL


class Streams:
    """Of `streams`."""

    MIN_AREA = Number("Smallest drained area", above=0.0, unit="km2", default=1.0)
    Z_UNIT = shared.Z_UNIT
    FILL = shared.FILL


class Distance:
    """Of `distance`."""

    NAME = Text("Band name", "river_distance")
    MAX_DISTANCE = Number("Largest distance", low=0.0, unit="m")
    LEVELS = Choice(
        "Levels",
        {"none": "None, or those of the breaks", "yang2022": "Six (Yang, R. et al. 2022)"},
        "none",
    )
    BREAKS = Numbers("Breaks between levels", above=0.0, unit="m")


class Classes:
    """Of `classes`."""

    NAME = Text("Band name", "lithology")
    ONE_HOT = Flag("One band a class")


class Stack:
    """Of `stack`."""

    RESAMPLING = Choice(
        "Resampling",
        {
            "nearest": "Nearest neighbour",
            "bilinear": "Bilinear",
            "cubic": "Cubic",
            "average": "Average",
        },
        "bilinear",
    )
    SENSOR = shared.SENSOR
    FILL = shared.FILL
    SCALE = shared.SCALE
    OFFSET = shared.OFFSET


class Mosaic:
    """Of `mosaic`."""

    ASSETS = Texts("Assets of STAC items")
    ORDER = Choice(
        "Where files overlap",
        {"first": "The first valid pixel counts", "newest": "The newest valid pixel counts"},
        "first",
    )
    MISSING = Choice(
        "Missing and damaged files",
        {"refused": "Are refused", "nodata": "Are nodata, the rest goes on"},
        "refused",
    )


class FactorAnalysis:
    """Of `factoranalysis`."""

    CLASSES = Whole("Intervals of each factor", low=2, high=20, default=5)
    SEED = shared.SEED
    FILL = shared.FILL
