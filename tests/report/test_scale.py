"""Figures at the scale of a whole paper: 40 labels, three seeds, six or ten sizes."""

from typing import Any

import pytest
from matplotlib.text import Text

from radscale_lib.report.figures import figures
from radscale_lib.report.style import house_style, wide
from tests.report import conftest

pytestmark = pytest.mark.long

SIZES = {
    6: [50, 100, 200, 400, 800, 1200],
    10: [50, 80, 100, 150, 200, 300, 400, 600, 800, 1200],
}
ARCHIVE = ("dicom", "reports", "labels", "tubes")


def paper_values(count: int) -> dict[str, Any]:
    """The example's study with 36 findings and 4 tubes, three seeds and `count` sizes."""
    values = conftest.study_values()
    values["subsets"]["sizes"] = SIZES[count]
    known = values["labels"]["findings"]
    values["labels"]["findings"] = known + [f"rare_finding_{i:02}" for i in range(36 - len(known))]
    for archive in ("institution", "public"):  # a phantom only has its own labels
        values[archive] = {name: f"hospital/{archive}/{name}" for name in ARCHIVE}
    for arm in values["arms"].values():
        arm["seeds"] = [0, 1, 2]
    return values


@pytest.fixture(scope="module", params=SIZES)
def paper(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    return conftest.build(folder, paper_values(request.param), missing=frozenset()).fit()


@pytest.mark.parametrize("inches", [3.35, 7.1])
def test_everything_fits_and_can_be_read(paper, inches):
    """At 85 and 180 mm: texts of 6 points or more, inside the figure, and no page is too tall."""
    with wide(inches), house_style():
        for kind in figures().values():
            for drawing in kind.draw(paper.study, paper.all_tables()):
                figure = drawing.figure
                figure.draw_without_rendering()
                drawn = figure.get_tightbbox()
                assert drawn.x0 > -0.08 and drawn.x1 < inches + 0.08, (drawing.name, drawn)
                assert drawn.y0 > -0.08 and drawn.y1 < figure.get_figheight() + 0.08, drawing.name
                small = [t for t in figure.findobj(Text) if t.get_text() and t.get_fontsize() < 6]
                assert not small, (drawing.name, small)
                if inches > 5:
                    assert figure.get_figheight() < 11, (drawing.name, figure.get_figheight())


def test_the_report_holds_its_figures_or_shows_them_from_their_folder(paper):
    page = paper.draw().report().html
    assert len(page.encode()) < 4_000_000
    assert page.count("<figure") > 10
