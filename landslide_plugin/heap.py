"""Giving memory back that is not used any more."""

import ctypes
import sys


def give_back() -> None:
    """Hand the memory of freed arrays back to the system, where the C library keeps it (glibc).

    What large arrays of many sizes leave is kept in pieces that the next ones don't fit in: the
    peak of a long run would grow with its length.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
