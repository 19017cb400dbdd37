"""The fields of an inventory: types, units, names. Imports nothing, for QGIS reads it too."""

from typing import NamedTuple


class Field(NamedTuple):
    """A field.

    Attributes:
        kind: pandas type.
        alias: what tables and forms show, with the unit.
        meaning: what it holds.
        short: its name in a Shapefile, where the name is longer than that allows; else empty.
    """

    kind: str
    alias: str
    meaning: str
    short: str = ""


FIELDS = {
    "id": Field("int32", "Polygon", "number from 1 within the layer"),
    "area_m2": Field("float64", "Area (m²)", "geodesic area without holes"),
    "perimeter_m": Field(
        "float64", "Perimeter (m)", "geodesic length of the outer ring", "perim_m"
    ),
    "length_m": Field(
        "float64",
        "Length down the slope (m)",
        "extent of the box along the mean slope direction (aspect_mean); without one, the longer "
        "side of the smallest box",
    ),
    "width_m": Field("float64", "Width (m)", "extent of the same box across that direction"),
    "prob_mean": Field("float64", "Mean probability (0 to 1)", "of its pixels"),
    "prob_max": Field("float64", "Highest probability (0 to 1)", "of its pixels"),
    "score": Field("float64", "Score (0 to 1)", "of the network that detected it"),
    "confidence": Field(
        "Int16",
        "Confidence (USGS 1, 2, 3, 5, 8)",
        "1 possible, 2 probable, 3 likely, 5 confident, 8 high confidence; from prob_mean",
    ),
    "elev_min": Field("float64", "Lowest elevation (m)", "of its pixels, in the DEM's unit"),
    "elev_max": Field("float64", "Highest elevation (m)", "of its pixels, in the DEM's unit"),
    "relief_m": Field("float64", "Relief (m)", "elev_max - elev_min"),
    "slope_mean": Field("float64", "Mean slope (degrees)", "of its pixels"),
    "aspect_mean": Field(
        "float64",
        "Mean aspect (degrees from north)",
        "circular mean of its pixels' directions of descent, clockwise",
        "aspect_deg",
    ),
    "river_m": Field(
        "float64", "Distance to a river (m)", "of its nearest pixel; of all or none known"
    ),
    "slide_id": Field("int32", "Landslide", "number shared by the parts of one landslide"),
    "part": Field("object", "Part", "source or runout, where landslides were parted"),
    "kind": Field(
        "object", "Kind of landslide", "name of the class, where the raster tells several apart"
    ),
    "model": Field("object", "Model", "name of the model"),
    "date": Field("object", "Date of the scene", "year-month-day"),
}
"""Every field of an inventory. What is not known is NULL."""

CONFIDENCE = {0.9: 8, 0.75: 5, 0.6: 3, 0.4: 2, 0.0: 1}
"""Least mean probability of the pixels of a landslide to its step of confidence.

The steps are those of the USGS national inventory (Belair et al. 2022, doi 10.5066/P9FZUX6N), which
experts give by eye. Where the probability is calibrated, its mean is the share of the polygon's
pixels that can be expected to be landslide: from 9 of 10 on the confidence in its extent is high
(8), from 3 of 4 on it is confident (5), from 3 of 5 likely (3), from 2 of 5 probable (2), else
possible (1). Without a probability there is no step.
"""
