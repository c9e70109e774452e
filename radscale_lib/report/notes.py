"""Notes that must be read with a figure."""

import polars as pl

from radscale_lib.report.words import listed, missing_runs, task_title
from radscale_lib.scaling.tables import NO_TREND
from radscale_lib.study import Study


def figure_notes(study: Study, series: dict[str, pl.DataFrame], fits: pl.DataFrame) -> list[str]:
    """Notes on a figure: its runs, and the arms without an identified trend."""
    runs: dict[str, list[str]] = {}
    flat: dict[str, list[str]] = {}
    unfitted: dict[str, list[str]] = {}
    for task, table in series.items():
        title = task_title(study, task)
        keys = table.filter(pl.col("kind") == "run").select("arm", "size", "seed").iter_rows()
        present = [(arm, int(size), seed) for arm, size, seed in keys]
        runs.setdefault(missing_runs(present, study.pretraining_runs), []).append(title)
        rows = fits.filter(pl.col("task") == task)
        for arm in study.arms:
            trends = rows.filter((pl.col("arm") == arm) & pl.col("chosen"))["trend"].to_list()
            if not trends:
                unfitted.setdefault(arm, []).append(title)
            elif trends == [NO_TREND]:
                flat.setdefault(arm, []).append(title)
    lines = [
        f"{text}." if len(runs) == 1 else f"{listed(titles)}: {text}."
        for text, titles in runs.items()
    ]
    for label, arms in (("No trend identified", flat), ("Not fitted", unfitted)):
        if arms:
            items = [
                arm if len(series) == 1 else f"{arm} ({listed(map(str.lower, titles))})"
                for arm, titles in arms.items()
            ]
            lines.append(f"{label}: {'; '.join(items)}.")
    level = f"{study.scaling.confidence:.0%}"
    return [
        f"Bars: {level} intervals over test patients. Bands: {level} intervals of the fit.",
        *lines,
    ]
