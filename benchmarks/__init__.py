"""Benchmarks, each run as `python -m benchmarks.<name>` from the project's root."""

from landslide_plugin.worker import register_package

register_package()
