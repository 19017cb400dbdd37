"""Axes of charts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis

_INCHES_A_DECADE = 2.5


def number_logarithmic(axis: "Axis", low: float, high: float, inches: float) -> None:
    """Number a logarithmic axis in whole figures that do not run into each other.

    Args:
        axis: of a chart.
        low: where it begins, above 0.
        high: where it ends.
        inches: width of the chart.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    # Labels at 1, 2 and 5 would run into each other on less of the paper.
    marks = (1, 2, 5) if high / low < 10 ** (inches / _INCHES_A_DECADE) else (1,)
    axis.set_major_locator(LogLocator(subs=marks))
    axis.set_major_formatter("{x:,.0f}")
    axis.set_minor_locator(NullLocator())
