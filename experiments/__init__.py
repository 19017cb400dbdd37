"""The sources' tables trained anew, and the models that ship: trained, measured, described."""

from landslide_plugin.worker import register_package

register_package()
