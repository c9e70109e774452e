"""The figures of a finished study."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from radscale_lib.api.results import StudyResults
from radscale_lib.report.figures import figures
from radscale_lib.report.finished import tables_of
from radscale_lib.report.style import house_style


def draw_figure(study: StudyResults, name: str) -> Mapping[str, Figure]:
    """Draw a figure of a study as in its report.

    Args:
        study: of `open_study`, finished up to its fits.
        name: kind of figure, as `radscale figures --only` takes it.

    Returns:
        Figures by name: a kind may draw several, such as one per task.

    Raises:
        KeyError: for an unknown kind.
        StudyError: if a table from which figures are drawn is missing.

    Example:
        >>> import radscale_lib
        >>> study = radscale_lib.open_study("study.yaml")
        >>> drawn = radscale_lib.draw_figure(study, "scaling")
        >>> sorted(drawn)
        ['scaling', 'scaling-findings', 'scaling-segmentation']
        >>> drawn["scaling"].savefig("scaling.png")
    """
    known = figures()
    if name not in known:
        raise KeyError(f"{name}: not a kind of figure: use one of {', '.join(known)}")
    tables = tables_of(study.folder)
    with house_style():
        return {
            drawing.name: drawing.figure for drawing in known[name].draw(study.settings, tables)
        }
