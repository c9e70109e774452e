"""Names and tick labels of figures lie apart from each other and from the curves."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from radscale_lib.report.figures.forest import draw_forest
from radscale_lib.report.figures.scaling import LABEL_SIZE, draw_scaling
from radscale_lib.report.style import wide


@pytest.mark.parametrize("inches", [3.35, 7.0])
def test_names_of_arms_lie_on_no_curve_and_on_no_other_name(example, inches):
    with wide(inches):
        drawings = list(draw_scaling(example.study, example.all_tables()))
    shown = 0
    for drawing in drawings:
        drawing.figure.canvas.draw()
        for axes in drawing.figure.axes:
            names = [text for text in axes.texts if text.get_fontsize() == LABEL_SIZE]
            boxes = [text.get_window_extent() for text in names]
            shown += len(names)
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
            panel = axes.get_window_extent()
            assert all(box.x0 > panel.x0 and box.x1 < panel.x1 for box in boxes)
            for line in axes.lines:
                points = line.get_transform().transform(line.get_xydata())
                for (x0, y0), (x1, y1) in pairwise(points):
                    steps = np.linspace(0, 1, 50)
                    on = np.column_stack([x0 + steps * (x1 - x0), y0 + steps * (y1 - y0)])
                    assert not any(box.contains(*point) for box in boxes for point in on)
    assert shown == 2 * 3 * len(example.study.scaling.metrics)


@pytest.mark.parametrize("inches", [3.35, 7.0])
def test_tick_labels_of_the_forest_lie_apart(example, inches):
    with wide(inches):
        (drawing,) = draw_forest(example.study, example.all_tables())
    drawing.figure.canvas.draw()
    boxes = []
    for axes in drawing.figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        assert len(ticks) >= 2
        boxes += [tick.label1.get_window_extent() for tick in ticks]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
