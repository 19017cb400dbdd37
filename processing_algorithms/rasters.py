"""Raster layers as QGIS shows them: the file where it says the same, else a small VRT over it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from xml.etree import ElementTree  # nosec B405 - reads what GDAL wrote

from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsRaster,
    QgsRasterDataProvider,
    QgsRasterLayer,
)

from ..landslide_plugin.contract.tags import FILE

_NO_FILES = {"memory", "WMS", "WMTS", "WCS", "OGCAPI", "PostGISRaster", "EEDAI", "PLMOSAIC"}
"""Drivers of GDAL whose rasters are no files, but for the first."""


def raster_problem(layer: QgsRasterLayer) -> str:
    """Return a sentence on why the engine can't read a layer as it is shown; empty if it can."""
    provider = layer.dataProvider()
    if provider is None or provider.name() != "gdal":
        kind = provider.name() if provider else "unknown"
        return f"{layer.name()} is not a file but {kind}: export it as a GeoTIFF first."
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    if "authcfg=" in layer.source() or parts.get("credentialOptions"):
        return f"{layer.name()} takes a password that the engine has not: download it first."
    driver = gdal.IdentifyDriver(_name(layer))
    kind = "memory" if "/vsimem/" in layer.source() else driver.ShortName if driver else ""
    if kind in _NO_FILES:
        return f"{layer.name()} is not a file but {kind}: export it as a GeoTIFF first."
    for band in _bands(provider):
        for given in provider.userNoDataValues(band):
            if given.min() != given.max():
                return (
                    f"{layer.name()} has a range of no-data values ({given.min():g} to "
                    f"{given.max():g}), which the engine can't read: give single values."
                )
    missing = _missing(provider).values()
    if _missing_set(provider) and any(missing) and not all(missing) and _masked(layer):
        return f"{layer.name()} has a mask, and no-data values in some bands only: give all some."
    return ""


def raster_file(layer: QgsRasterLayer) -> str:
    """Return what the engine opens: the file, or a VRT with what was set on the layer.

    That is its CRS, its additional no-data values, whether the file's own ones count, and the
    options that the file is opened with. Style has no say.

    Raises:
        QgsProcessingException: the engine can't read it, see `raster_problem`.
    """
    problem = raster_problem(layer)
    if problem:
        raise QgsProcessingException(problem)
    provider = layer.dataProvider()
    ours = _missing_set(provider)
    if layer.crs() == provider.crs() and not ours and not _options(layer):
        return _name(layer)
    missing = _missing(provider)
    path = _view(layer, missing)
    # A band has one no-data value. Each further value is turned into it by a VRT over the VRT,
    # and first of all what a mask hides, for a mask keeps GDAL from looking at values.
    if ours and all(missing.values()) and _masked(layer):
        path = _without(path, dict.fromkeys(missing, "mask"))
    for number in range(1, max(map(len, missing.values()), default=0)):
        further = {band: values[number] for band, values in missing.items() if values[number:]}
        path = _without(path, further)
    return path


def _name(layer: QgsRasterLayer) -> str:
    """Return the file's path, or GDAL's name of what lies within a file."""
    name = str(layer.source()).split("|option:")[0]
    return os.path.abspath(name) if os.path.exists(name) else name


def _options(layer: QgsRasterLayer) -> list[str]:
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    return [str(option) for option in parts.get("openOptions") or []]


def _open(layer: QgsRasterLayer) -> gdal.Dataset:
    return gdal.OpenEx(_name(layer), gdal.OF_RASTER, open_options=_options(layer))


def _masked(layer: QgsRasterLayer) -> bool:
    """Return whether the file has a mask beside its values, other than an alpha band."""
    dataset = _open(layer)
    flags = dataset.GetRasterBand(1).GetMaskFlags()
    return bool(flags & gdal.GMF_PER_DATASET and not flags & gdal.GMF_ALPHA)


def _bands(provider: QgsRasterDataProvider) -> list[int]:
    """Return the numbers of the bands, without an alpha band, as which QGIS shows a mask too."""
    return [
        band
        for band in range(1, provider.bandCount() + 1)
        if provider.colorInterpretation(band) != QgsRaster.ColorInterpretation.AlphaBand
    ]


def _missing_set(provider: QgsRasterDataProvider) -> bool:
    """Return whether other values are no data than the file says."""
    return any(
        provider.userNoDataValues(band)
        or (provider.sourceHasNoDataValue(band) and not provider.useSourceNoDataValue(band))
        for band in _bands(provider)
    )


def _missing(provider: QgsRasterDataProvider) -> dict[int, list[float]]:
    """Return the values of each band that are no data, the file's own one first."""
    missing = {}
    for band in _bands(provider):
        values = [given.min() for given in provider.userNoDataValues(band)]
        if provider.sourceHasNoDataValue(band) and provider.useSourceNoDataValue(band):
            values.insert(0, provider.sourceNoDataValue(band))
        missing[band] = values
    return missing


def _view(layer: QgsRasterLayer, missing: dict[int, list[float]]) -> str:
    """Write a VRT of a layer with its CRS and each band's first no-data value, or none."""
    # Bands without a name are called after the file.
    stem = os.path.splitext(os.path.basename(_name(layer).replace(":", "/")))[0]
    path: str = QgsProcessingUtils.generateTempFilename(f"{stem}.vrt")
    dataset = _open(layer)
    copy = gdal.GetDriverByName("VRT").CreateCopy(path, dataset)
    copy.SetMetadata(dataset.GetMetadata("IMAGERY") or {}, "IMAGERY")  # when it was taken
    copy.SetMetadataItem(FILE, _name(layer))
    del copy  # which writes it
    tree = ElementTree.parse(path)  # noqa: S314 - GDAL wrote it  # nosec B314
    root = tree.getroot()
    if layer.crs() != layer.dataProvider().crs():
        _set_crs(root, layer.crs())
    for number, band in enumerate(root.findall("VRTRasterBand"), start=1):
        for item in band.findall("NoDataValue"):
            band.remove(item)
        for value in missing.get(number, [])[:1]:
            item = ElementTree.Element("NoDataValue")
            item.text = repr(value)
            band.insert(0, item)
        for metadata in band.findall("Metadata"):  # statistics of other pixels
            for item in metadata.findall("MDI"):
                if item.get("key", "").startswith("STATISTICS_"):
                    metadata.remove(item)
    tree.write(path, encoding="utf-8")
    return path


def _set_crs(root: ElementTree.Element, crs: QgsCoordinateReferenceSystem) -> None:
    for item in root.findall("SRS"):
        root.remove(item)
    if not crs.isValid():
        return
    wkt = crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED)
    reference = osr.SpatialReference()
    reference.ImportFromWkt(wkt)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    axes = ",".join(str(axis) for axis in reference.GetDataAxisToSRSAxisMapping())
    item = ElementTree.Element("SRS", {"dataAxisToSRSAxisMapping": axes})
    item.text = wkt
    root.insert(0, item)


def _without(path: str, values: Mapping[int, float | str]) -> str:
    """Write a VRT of a VRT without the pixels of a value a band, or without those masked."""
    tree = ElementTree.parse(path)  # noqa: S314 - written by `_view`  # nosec B314
    for item in tree.getroot().findall("MaskBand"):
        tree.getroot().remove(item)
    for number, band in enumerate(tree.getroot().findall("VRTRasterBand"), start=1):
        for kind in ("SimpleSource", "ComplexSource"):
            for item in band.findall(kind):
                band.remove(item)
        source = ElementTree.SubElement(band, "ComplexSource")
        ElementTree.SubElement(source, "SourceFilename", {"relativeToVRT": "0"}).text = path
        ElementTree.SubElement(source, "SourceBand").text = str(number)
        value = values.get(number)
        if value == "mask":
            ElementTree.SubElement(source, "UseMaskBand").text = "true"
        elif value is not None:
            ElementTree.SubElement(source, "NODATA").text = repr(value)
    written: str = QgsProcessingUtils.generateTempFilename(os.path.basename(path))
    tree.write(written, encoding="utf-8")
    return written
