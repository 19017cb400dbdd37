"""The course of the learning rate, a function of the share of the steps that are done."""

import math
from collections.abc import Callable

from ...contract.choices import Train

RISE = 0.2
"""Share of the steps in which the rate rises (Smith and Topin 2019, one cycle)."""
FIRST = 0.04
"""The first rate of one cycle as share of the highest."""


def one_cycle(done: float) -> float:
    """Return the share of the highest rate: up in a cosine, then down to nought in one."""
    if done < RISE:
        return FIRST + (1 - FIRST) * _half_wave(1 - done / RISE)
    return _half_wave((done - RISE) / (1 - RISE))


def cosine(done: float) -> float:
    """Fall in a cosine from the highest rate to nought (Loshchilov and Hutter 2017)."""
    return _half_wave(done)


def constant(done: float) -> float:
    """Stay."""
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    name: globals()[name] for name in Train.SCHEDULE.words
}
"""Each schedule by its name."""


def _half_wave(fraction: float) -> float:
    """Fall from 1 to 0 as share goes from 0 to 1."""
    return (1 + math.cos(math.pi * fraction)) / 2
