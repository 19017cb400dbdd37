"""The algorithm `landslide:mosaic`."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterCrs,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, asked, later, rasters


class Mosaic(EngineAlgorithm):
    """Declares the image of many files."""

    ID = "mosaic"
    NAME = "Many files as one image"
    GROUP = "Factor layers"
    STYLES = {"OUTPUT": "factors"}
    TAGS = ("mosaic", "merge", "tiles", "vrt", "virtual raster", "folder")
    HELP = """
        Makes one image of a folder, list or index of tiles: a virtual raster, which every
        algorithm, QGIS and GDAL read as one file.

        When: first of all, where a scene or a DEM comes in several files. Mapped file by file,
        each would get its own light, and landslides at the borders would be cut.

        Method: nothing is copied or resampled. The files need the same CRS, size and position of
        pixels, bands, types, units and classes, and may be of any size; what differs is named.
        Tiles of several CRSs, such as UTM zones, are one image for each, by ZONE; Landslide
        inventory from raster makes one inventory of their maps. Where files overlap, a band's first
        or newest valid pixel counts; between them is nodata. Bands keep names, units and classes,
        which GDAL's own Build virtual raster does not hand on. The image tells what all files tell
        alike, such as their date.

        Files in the folder of the virtual raster, or in one within that, may be moved with it.

        Source: GDAL's virtual raster format (VRT).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            later(
                QgsProcessingParameterFile(
                    "INPUT", "Folder or list of files", fileFilter="Folders and lists (*)"
                )
            ),
            "A folder, typed or pasted as the button shows files alone, whose rasters are taken by "
            "name, those in folders within it not; a text "
            "file with a path in each line; a tile index, whose field location names the files; a "
            "STAC item, items or collection; GeoParquet of either; or the address of STAC or of "
            "its search, https://...",
        )
        yield (
            rasters("TILES", "Files"),
            "Rasters, beside or instead of that, in the order that counts.",
        )
        yield (
            advanced(asked(choices.Mosaic.ASSETS)),
            "Of STAC items, the keys of those that make the image, each its bands in this order, "
            "separated by commas, such as blue, green, red; empty where there is one only.",
        )
        yield (
            later(
                advanced(
                    QgsProcessingParameterCrs("ZONE", "CRS of the files to take", optional=True)
                )
            ),
            "Of files of several CRSs, such as UTM zones, take those of this one; empty takes all, "
            "which have to be of one.",
        )
        yield (
            asked(choices.Mosaic.ORDER),
            "The newest by the scene's date in STAC, else in the metadata, else in the name.",
        )
        yield (
            asked(choices.Mosaic.MISSING),
            "To leave them out, each file is read once. The log names those that were.",
        )
        yield _VirtualDestination("OUTPUT", "Image"), "A virtual raster (.vrt)."

    def numbers(self) -> dict[str, str]:
        """Return the keys of number outputs with their descriptions."""
        return {"COUNT": "Files"}


class _VirtualDestination(QgsProcessingParameterRasterDestination):
    """A raster to be made that is a VRT."""

    def clone(self) -> _VirtualDestination:
        """Return a copy, as dialogs and models make them."""
        return _VirtualDestination(self.name(), self.description())

    def defaultFileExtension(self) -> str:
        """Return the ending of temporary files."""
        return "vrt"

    def createFileFilter(self) -> str:
        """Return what a file dialog offers."""
        return "Virtual raster (*.vrt)"

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """Return the endings of what is made."""
        return ["vrt"]

    def isSupportedOutputValue(self, value: Any, context: QgsProcessingContext) -> tuple[bool, str]:
        """Take any: the engine says what is no VRT; Processing lists none among its rasters."""
        return True, ""
