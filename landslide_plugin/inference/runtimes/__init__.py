"""Runtimes: what computes a semantic network, behind one interface."""

from .opening import NAMES, open_runtime
from .runtime import Runtime

__all__ = ["NAMES", "Runtime", "open_runtime"]
