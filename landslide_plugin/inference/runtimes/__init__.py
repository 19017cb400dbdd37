"""Runtimes: what computes a semantic network, behind one interface."""

from .opening import NAMES, Wish, open_graph, open_network
from .runtime import Member, Runtime

__all__ = ["NAMES", "Member", "Runtime", "Wish", "open_graph", "open_network"]
