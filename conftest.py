"""Registers the checkout as the package `landslide_mapper`, whatever its folder is called."""

from landslide_plugin.worker import register_package

register_package()
