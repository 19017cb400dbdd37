"""Charts' axes can be read."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.evaluation.figures import draw_area_frequency


@pytest.mark.parametrize("largest", [6e3, 4e4, 9e4, 4e5, 9e7])
def test_areas_are_whole_figures_that_do_not_run_into_each_other(largest):
    areas = SimpleNamespace(area=np.geomspace(4e3, largest, 9))
    comparison: Any = SimpleNamespace(reference=areas, results=[])
    figure = draw_area_frequency(comparison, [])
    figure.canvas.draw()
    axis = figure.axes[0].xaxis
    labels = [*axis.get_majorticklabels(), *axis.get_minorticklabels()]
    low, high = figure.axes[0].get_xlim()
    shown = [one for one in labels if one.get_text() and low <= one.get_position()[0] <= high]
    assert len(shown) >= 2
    assert all(one.get_text().replace(",", "").isdigit() for one in shown)
    boxes = sorted((one.get_window_extent() for one in shown), key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
