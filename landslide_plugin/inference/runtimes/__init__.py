"""Runtimes: what computes a semantic network, behind one interface."""

from .opening import Wish, open_graph, open_network
from .runtime import Member, Runtime

__all__ = ["Member", "Runtime", "Wish", "open_graph", "open_network"]
