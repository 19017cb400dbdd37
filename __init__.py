"""Landslide Mapper: a QGIS Processing provider from scene and DEM to landslide inventory."""

from typing import Any


def classFactory(iface: Any) -> Any:
    """Return the plugin; QGIS calls this when the plugin is loaded."""
    from .landslide_plugin.plugin import LandslideMapperPlugin

    return LandslideMapperPlugin(iface)
