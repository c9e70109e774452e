"""The report: a self-contained HTML file."""

import base64
from collections.abc import Container, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from radscale_lib.archive.near import near_text
from radscale_lib.metrics import metrics
from radscale_lib.report import sentences
from radscale_lib.report.answers import answers
from radscale_lib.report.cells import apart, merged, told
from radscale_lib.report.checklists import checklist_rows
from radscale_lib.report.compared import difference_tasks, subgroup_tasks
from radscale_lib.report.costs import cost_rows
from radscale_lib.report.elsewhere import replicated
from radscale_lib.report.figures.base import SECTIONS
from radscale_lib.report.flow import flow_diagram
from radscale_lib.report.inline import inline_svg
from radscale_lib.report.labels import labels_section
from radscale_lib.report.listing import Listed, listed_figures
from radscale_lib.report.series import NO_FITS, SCORED, task_series
from radscale_lib.report.sources import figure_sources, packages, sources
from radscale_lib.report.subsets import split_rows, subset_rows
from radscale_lib.report.words import (
    bare_title,
    format_count,
    interval,
    listed,
    metric_name,
    number,
    p_value,
    percent,
    task_title,
)
from radscale_lib.scaling.diagnostics import METHOD
from radscale_lib.scaling.heads import of_head
from radscale_lib.scaling.stated import CONTINUING, LABELS, statements
from radscale_lib.study import Run, Study
from radscale_lib.study.model import NO_ENCODER
from radscale_lib.tasks.predictions import NO_PREDICTIONS
from radscale_lib.texts import plain

Card = Mapping[str, Any]


def write_report(
    study: Study,
    scores: pl.DataFrame,
    fits: pl.DataFrame,
    crossovers: pl.DataFrame,
    comparisons: pl.DataFrame,
    verdicts: pl.DataFrame,
    ledgers: Mapping[str, pl.DataFrame],
    cards: Sequence[Card],
    figures: Path,
    subsets: pl.DataFrame | None = None,
    joins: Mapping[str, pl.DataFrame] | None = None,
    texts: Mapping[str, pl.DataFrame] | None = None,
    labels: Mapping[str, pl.DataFrame] | None = None,
    elsewhere: Mapping[str, Mapping[str, pl.DataFrame]] = MappingProxyType({}),
    splits: pl.DataFrame | None = None,
    differences: pl.DataFrame | None = None,
    subgroups: pl.DataFrame | None = None,
    examples: Sequence[pl.DataFrame] = (),
) -> str:
    """The report as HTML.

    Args:
        study: the study.
        scores: the scores table.
        fits: the fits table.
        crossovers: the crossovers table.
        comparisons: the comparisons table.
        verdicts: the verdicts table.
        ledgers: the ledger of each archive.
        cards: the run cards (`encoder.json`).
        figures: folder of the drawn figures; missing ones are left out.
        subsets: the card of the subsets.
        joins: the audit of each archive's joins.
        texts: counts of what the rules for report texts did in each archive.
        labels: labels read from reports, and their agreement (`labels.labels_section`).
        elsewhere: the tables of each test archive (`elsewhere.read_elsewhere`).
        splits: counts of each split.
        differences: the differences table.
        subgroups: the subgroups table.
        examples: generated reports of test images (`report.examples.texts`), a table per task.
    """
    drawn = listed_figures(figures)
    shown = _figures(study, figures, drawn)
    held = {figure["name"] for of_section in shown.values() for figure in of_section}
    texts_shown = [examples_of(study, table) for table in examples if len(table)]
    series = {
        task: task_series(study, scores, fits, task)
        for task in study.scaling.metrics
        if len(scores.filter(pl.col("task") == task))
    }
    environment = Environment(
        loader=PackageLoader("radscale_lib.report"),
        autoescape=select_autoescape(["j2"], default=True),
        undefined=StrictUndefined,
        finalize=lambda value: plain(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=study.report.title,
        name=study.name,
        phantom=study.institution.phantom is not None,
        confidence=f"{study.scaling.confidence:.0%}",
        horizon=f"{study.scaling.horizon:g}",
        patients=study.institution.phantom is None
        and bool(texts_shown or any(figure["shows_patients"] for figure in drawn)),
        studied=sentences.studied(study, scores, cards),
        answers=answers(study, verdicts),
        overview=sentences.overview(verdicts) if len(verdicts.filter(kind="rises")) else "",
        results=[
            {
                "task": task,
                "title": f"{task_title(study, task)}, {metric_name(study, task)}",
                "sentences": sentences.task_results(study, table, fits, crossovers, task),
            }
            for task, table in series.items()
        ],
        stated=_stated(study, verdicts, held),
        families=_families(verdicts),
        decided=_decided(study, verdicts, held) if verdicts["adjusted"].count() else [],
        allowed=f"{1 - study.scaling.confidence:.0%}",
        figures=shown,
        linked=any(
            figure["source"] and not figure["source"].startswith("data:")
            for section in shown.values()
            for figure in section
        ),
        arms={arm: place for place, arm in enumerate(study.arms)},
        shown_tasks={task: task_title(study, task) for task in series},
        metric_tasks=_metric_tasks(study, scores),
        examples=texts_shown,
        costs=cost_rows(study, cards),
        cost_unit="GPU-hours" if study.compute.device == "cuda" else "device-hours",
        watts=study.compute.watts,
        checklists=_checklists(study),
        script=files("radscale_lib.report").joinpath("templates/report.js").read_text("utf-8"),
        score_sizes=[format_count(size) for size in study.subsets.sizes if study.arms],
        score_tasks=[_score_rows(study, task, table) for task, table in series.items()],
        test_archives=[
            _test_archive(study, elsewhere.get(name, {}), name) for name in study.test_archives
        ],
        replicated=replicated(study, verdicts, elsewhere),
        level=f"{study.evaluation.confidence:.0%}",
        difference_tasks=[] if differences is None else difference_tasks(study, differences),
        subgroup_tasks=[] if subgroups is None else subgroup_tasks(study, subgroups),
        law_tasks=_law_tasks(study, fits, crossovers),
        method=METHOD,
        comparison_sizes=[
            format_count(size)
            for size in sorted(comparisons.filter(pl.col("studied"))["size"].unique())
        ],
        comparison_tasks=_comparison_tasks(study, comparisons),
        splits=split_rows(splits) if splits is not None else None,
        subsets=subset_rows(subsets) if subsets is not None else [],
        archives=[
            _archive(name, ledger, study.smallest_cell(name)) for name, ledger in ledgers.items()
        ],
        joins=[
            _joins(name, table, study.smallest_cell(name))
            for name, table in (joins or {}).items()
            if len(table)
        ],
        texts=[
            _texts(name, table, study.smallest_cell(name))
            for name, table in (texts or {}).items()
            if len(table)
        ],
        labels=labels_section(study, labels or {}),
        smallest_cell=max(study.smallest_cell(name) for name in study.archives),
        runs=[_run_row(card) for card in _ordered(study, cards)],
        gaps=_gaps(study, scores, cards),
        settings=yaml.safe_dump(_settings(study), sort_keys=False, allow_unicode=True),
        sources=sources(figures.parent),
        figure_sources=figure_sources(
            figures.parent, [figure for figure in drawn if figure["name"] in held]
        ),
        versions=_versions(cards),
        packages=packages(figures.parent),
    )


def _verdict_row(row: Mapping[str, Any]) -> dict[str, str]:
    """A verdict as text; for a pair of arms, it says which arm it favours."""
    return {
        "claim": row["claim"],
        "verdict": SIDES.get(row["kind"], {}).get(row["verdict"], row["verdict"]),
        "value": interval(row["value"], row["lower"], row["upper"], sign=True),
        "probability": "–" if row["probability"] is None else percent(row["probability"]),
        "adjusted": p_value(row["adjusted"]),
        "text": row["text"],
    }


def _stated(study: Study, verdicts: pl.DataFrame, drawn: Container[str]) -> list[dict[str, Any]]:
    """The claims stated in advance, each with its test and the figures that show it."""
    tests = {
        statement.name: "some arm on some task, Simes"
        if statement.some
        else "mean elasticity, two-sided"
        if statement.what == "slope"
        else "mean difference, two-sided"
        for statement in statements(study)
    }
    return [
        _verdict_row(row)
        | {
            "test": "–" if row["verdict"] == "not testable" else tests.get(row["claim"], "–"),
            "figures": _links(
                study, drawn, (row["task"] or "").split(", "), row["claim"] in (CONTINUING, LABELS)
            ),
        }
        for row in verdicts.filter(kind="stated").iter_rows(named=True)
    ]


def _links(
    study: Study, drawn: Container[str], tasks: Sequence[str], forest: bool
) -> list[dict[str, str]]:
    """Figures that show a claim on tasks: the forest, if it has a row there, and the curves."""
    links = [{"name": "forest", "title": "Differences"}] if forest and "forest" in drawn else []
    return links + [
        {"name": f"scaling-{task}", "title": task_title(study, task)}
        for task in tasks
        if f"scaling-{task}" in drawn
    ]


FAMILIES = {
    "rises": "the metric rises with the number of images",
    "gains": "more images would help",
    "overtakes": "the arm is ahead of the open weights at its largest size",
    "ahead": "one arm is ahead of another, at a size",
    "slope": "one arm scales better than another",
}


SIDES = {
    "ahead": {"supported": "first ahead", "contradicted": "second ahead"},
    "slope": {"supported": "first better", "contradicted": "second better"},
}
"""Verdicts on pairs of arms, whose order is only that of the study, in words."""


def _families(verdicts: pl.DataFrame) -> list[dict[str, Any]]:
    """Number of decided claims in each family, and of those that chance alone would decide."""
    rows = []
    for kind, words in FAMILIES.items():
        for target in ("", ", labels"):
            of = verdicts.filter(pl.col("family") == f"{kind}{target}").drop_nulls("adjusted")
            if len(of):
                sides = SIDES.get(kind, {})
                counts = {
                    verdict: f"{len(of.filter(verdict=verdict))} {sides.get(verdict, '')}".strip()
                    for verdict in ("supported", "contradicted", "undecided")
                }
                single = "single labels: " if target else ""
                chance = number(of["expected_by_chance"][0], 1)
                rows.append({"words": f"{single}{words}", "chance": chance} | counts)
    return rows


def _decided(study: Study, verdicts: pl.DataFrame, drawn: Container[str]) -> list[dict[str, Any]]:
    """Every verdict on whole tasks, by task, each with the figure that shows it."""
    tasks = []
    for task in study.scaling.metrics:
        rows = verdicts.filter(
            (pl.col("kind") != "stated") & (pl.col("task") == task) & (pl.col("target") == "macro")
        )
        if len(rows):
            found = [
                _verdict_row(row)
                | {"figures": _links(study, drawn, [task], row["kind"] in ("overtakes", "gains"))}
                for row in rows.iter_rows(named=True)
            ]
            tasks.append({"task": task, "title": task_title(study, task), "rows": found})
    return tasks


INLINE = 1_650_000
"""Maximum size of inline figures, bytes, so that with its tables the file stays below 2 MB."""


def _figures(
    study: Study, folder: Path, drawn: Sequence[Listed]
) -> dict[str, list[dict[str, Any]]]:
    """The figures of each section of the report, with caption and alternative text.

    A figure is inline SVG, or else a picture; it is left out if no browser can show its formats.
    Beyond `INLINE` bytes in total, the largest ones are linked from the folder `figures/`, which
    then belongs to the report.
    """
    found: dict[str, list[dict[str, Any]]] = {section: [] for section in SECTIONS}
    paths = {}
    for figure in drawn:
        files_of = (folder / f"{figure['name']}.{suffix}" for suffix in ("svg", "png"))
        path = next((path for path in files_of if path.exists()), None)
        if path:
            paths[figure["name"]] = path
    sizes = {name: path.stat().st_size for name, path in paths.items()}
    inside, held = set(), 0
    for name in sorted(sizes, key=lambda name: sizes[name]):
        held += sizes[name]
        if held <= INLINE:
            inside.add(name)
    for place, figure in enumerate(drawn):
        name = figure["name"]
        if name not in paths:
            continue
        path = paths[name]
        shown: dict[str, Any] = {**figure, "svg": "", "source": "", "task": ""}
        named = (task for task in study.scaling.metrics if f"-{task}-" in f"-{Path(name).name}-")
        shown["task"] = max(named, key=len, default="")
        if name not in inside:
            shown["source"] = f"{folder.name}/{name}{path.suffix}"
        elif path.suffix == ".svg":
            shown["svg"] = inline_svg(path, f"f{place}", figure["alt"])
        else:
            encoded = base64.b64encode(path.read_bytes()).decode()
            shown["source"] = f"data:image/png;base64,{encoded}"
        found[figure["section"]].append(shown)
    tasks = ["", *study.scaling.metrics]
    found["classes"].sort(key=lambda figure: tasks.index(figure["task"]))
    return found


def examples_of(study: Study, table: pl.DataFrame) -> dict[str, Any]:
    """Generated reports of a task as text: each image's reference, and each encoder's report."""
    ranks = []
    for (rank,), of in table.group_by("rank", maintain_order=True):
        rows = [
            {
                "arm": row["arm"],
                "seen": f"{format_count(row['size'])} images" if row["size"] else "open weights",
                "generated": row["generated"],
                "rouge_l": number(row["rouge_l"]),
                "both": listed(row["both"]).replace("_", " "),
                "missed": listed(row["missed"]).replace("_", " "),
                "invented": listed(row["invented"]).replace("_", " "),
            }
            for row in of.iter_rows(named=True)
        ]
        mean = number(sum(of["rouge_l"]) / len(of))
        ranks.append({"rank": rank, "mean": mean, "reference": of["reference"][0], "rows": rows})
    task = table["task"][0]
    return {"task": task, "title": task_title(study, task), "ranks": ranks}


def _metric_tasks(study: Study, scores: pl.DataFrame) -> list[dict[str, Any]]:
    """All metrics of all tasks, averaged over labels, for arms by size, baselines and floors."""
    tasks = []
    sizes = study.subsets.sizes if study.arms else ()
    for task in study.scaling.metrics:
        of_task = of_head(study, scores, task).filter(
            pl.col("target") == "macro", pl.col("value").is_not_nan()
        )
        means = of_task.group_by("metric", "arm", "size").agg(pl.col("value").mean())
        values = {(metric, arm, size): value for metric, arm, size, value in means.rows()}
        for metric, kind in metrics(study.evaluation.tasks[task].kind).items():
            rows = [
                (arm, [values.get((metric, name, size)) for name, size in cells])
                for arm, cells in _cells(study, sizes)
            ]
            if any(value is not None for _, line in rows for value in line):
                shown = [{"arm": arm, "cells": list(map(number, line))} for arm, line in rows]
                title = task_title(study, task)
                tasks.append(
                    {
                        "task": task,
                        "metric": metric,
                        "name": bare_title(kind.title),
                        "title": f"{title}, {kind.title}",
                        "rows": shown,
                    }
                )
    return tasks


def _cells(study: Study, sizes: Sequence[int]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Arm and size of each cell in the rows of a table of scores."""
    rows = [
        (arm, [(study.baseline_of(arm).arm, 0), *((arm, size) for size in sizes)])
        for arm in study.arms
    ]
    alone = [*study.baselines, *study.floors]
    return rows + [(name, [(name, 0), *((name, size) for size in sizes)]) for name in alone]


def _checklists(study: Study) -> list[dict[str, Any]]:
    """The reporting checklists, by name."""
    rows = checklist_rows(study)
    return [
        {"name": name, "rows": [row for row in rows if row["Checklist"] == name]}
        for name in dict.fromkeys(row["Checklist"] for row in rows)
    ]


def _score_rows(study: Study, task: str, table: pl.DataFrame) -> dict[str, Any]:
    """Mean score of each arm at each size, its baseline first; then other baselines, and floors."""
    cells = {
        (row["arm"], int(row["size"])): {
            "value": number(row["value"]),
            "ends": ""
            if row["lower"] is None
            else f"{number(row['lower'])} to {number(row['upper'])}",
        }
        for row in table.filter(pl.col("kind").is_in(SCORED)).iter_rows(named=True)
    }
    nothing = {"value": "–", "ends": ""}
    sizes = study.subsets.sizes if study.arms else ()
    rows = [
        {
            "arm": arm,
            "cells": [
                cells.get((study.baseline_of(arm).arm, 0), nothing),
                *(cells.get((arm, size), nothing) for size in sizes),
            ],
        }
        for arm in study.arms
    ]
    rows += [
        {"arm": name, "cells": [cells.get((name, 0), nothing), *[nothing] * len(sizes)]}
        for name in (*study.baselines, *study.floors)
    ]
    metric = metric_name(study, task)
    return {"task": task, "title": task_title(study, task), "metric": metric, "rows": rows}


def _test_archive(study: Study, tables: Mapping[str, pl.DataFrame], name: str) -> dict[str, Any]:
    """Results on a test archive, and what cannot be scored there."""
    seen = study.seen_from(name)
    absent = [
        study.evaluation.tasks[task].title(task.replace("-", " "))
        for task in study.scaling.metrics
        if task not in seen.scaling.metrics
    ]
    shown: dict[str, Any] = {"tasks": [], "laws": [], "differences": [], "subgroups": []}
    if tables:
        scores = tables["scores"]
        shown = {
            "tasks": [
                _score_rows(seen, task, task_series(seen, scores, NO_FITS, task))
                for task in seen.scaling.metrics
                if len(scores.filter(task=task))
            ],
            "laws": _law_tasks(seen, tables["fits"], tables["crossovers"]),
            "differences": difference_tasks(seen, tables["differences"]),
            "subgroups": subgroup_tasks(seen, tables["subgroups"]),
        }
    lacking = study.test_archives[name].without_labels
    return {"name": name, "absent": listed(absent), "lacking": listed(lacking)} | shown


def _law_tasks(study: Study, fits: pl.DataFrame, crossovers: pl.DataFrame) -> list[dict[str, Any]]:
    """The law, crossover and gain of every arm, by task."""
    crossed = {
        (row["task"], row["arm"]): row
        for row in crossovers.iter_rows(named=True)
        if row["baseline"] == study.baseline_of(row["arm"]).arm
    }
    tasks = []
    for task in study.scaling.metrics:
        of_task = fits.filter(pl.col("task") == task)
        rows = []
        for arm in study.arms:
            of_arm = of_task.filter(pl.col("arm") == arm).rows(named=True)
            if of_arm and of_arm[0]["runs"]:
                chosen = next((row for row in of_arm if row["chosen"]), of_arm[0])
                rows.append(_law_row(arm, chosen, crossed.get((task, arm))))
        if rows:
            tasks.append({"task": task, "title": task_title(study, task), "rows": rows})
    return tasks


def _law_row(arm: str, fit: Mapping[str, Any], cross: Mapping[str, Any] | None) -> dict[str, str]:
    return {
        "arm": arm,
        "runs": f"{fit['runs']} of {fit['runs_expected']}",
        "law": sentences.law_text(fit),
        "change": _signed(fit, "change"),
        "gain": _signed(fit, "gain"),
        "crossover": cross["text"] if cross else "–",
        "difference": _signed(cross, "difference"),
        "held_out": " / ".join(
            number(fit[name]) for name in ("loo_error", "loo_error_constant", "loo_error_line")
        ),
        "note": fit["note"],
        "diagnostics": fit["diagnostics"] or [],
    }


def _comparison_tasks(study: Study, comparisons: pl.DataFrame) -> list[dict[str, Any]]:
    """By task and pair of arms: the probability of being ahead at each size, and the difference."""
    sizes = sorted(comparisons.filter(pl.col("studied"))["size"].unique())
    tasks = []
    for task in study.scaling.metrics:
        rows = []
        pairs = comparisons.filter(pl.col("task") == task).group_by(
            "arm", "other", maintain_order=True
        )
        for (arm, other), of_pair in pairs:
            studied = of_pair.filter(pl.col("studied")).rows(named=True)
            beyond = of_pair.filter(~pl.col("studied")).row(0, named=True)
            ahead = {
                row["size"]: f"{percent(row['ahead'])}{' *' if row['unequal'] else ''}"
                for row in studied
            }
            rows.append(
                {
                    "pair": f"{arm} against {other}",
                    "ahead": [ahead.get(size, "–") for size in sizes],
                    "ahead_beyond": percent(beyond["ahead"]),
                    "difference": _signed(studied[-1], "difference"),
                    "slope": _signed(studied[-1], "slope"),
                }
            )
        if rows:
            tasks.append({"task": task, "title": task_title(study, task), "rows": rows})
    return tasks


def _signed(row: Mapping[str, Any] | None, name: str) -> str:
    """A difference with its interval, both with signs."""
    if row is None:
        return "–"
    return interval(row[name], row[f"{name}_lower"], row[f"{name}_upper"], sign=True)


OUTCOMES = ("accepted", "excluded", "quarantined", "duplicate", "postponed")


def _archive(name: str, ledger: pl.DataFrame, smallest: int = 1) -> dict[str, Any]:
    """Counts of a ledger; they add up, since every file has exactly one outcome.

    Groups of fewer files than `smallest` are counted with others.
    """
    found = {outcome: int((ledger["outcome"] == outcome).sum()) for outcome in OUTCOMES}
    accepted, total = found["accepted"], len(ledger)
    if 0 < total - accepted < smallest:
        counted = f"{accepted:,} and fewer than {smallest}"
    else:
        counted = f"{total:,}"
    ledger = merged(ledger, smallest)
    counts = {outcome: int((ledger["outcome"] == outcome).sum()) for outcome in OUTCOMES}
    reasons = (
        ledger.filter(pl.col("outcome") != "accepted")
        .group_by("outcome", "reason")
        .len("files")
        .sort("outcome", "files", "reason", descending=[False, True, False])
    )
    remarks = (
        ledger.filter(pl.col("outcome") == "accepted")
        .select(reason=pl.col("detail").cast(pl.String).str.replace(r"^\d+ ", "").str.split("; "))
        .drop_nulls()
        .explode("reason")
        .group_by("reason")
        .len("files")
        .sort("files", "reason", descending=[True, False])
        .select(pl.lit("accepted").alias("outcome"), "reason", "files")
    )
    return {
        "name": name,
        "flow": flow_diagram(name, ledger),
        "counts": {
            outcome: f"{count:,}" if count or not found[outcome] else f"fewer than {smallest}"
            for outcome, count in counts.items()
        },
        "total": counted,
        "reasons": [
            {"outcome": outcome, "reason": reason or "–", "files": told(files, smallest, accepted)}
            for outcome, reason, files in remarks.iter_rows()
        ]
        + [
            {"outcome": outcome, "reason": reason or "–", "files": f"{files:,}"}
            for outcome, reason, files in reasons.iter_rows()
        ],
    }


def _joins(name: str, audit: pl.DataFrame, smallest: int = 1) -> dict[str, Any]:
    """How the rows of an archive's tables were joined, with notes."""
    rows, notes = [], []
    for row in audit.rows(named=True):
        table = row["table"]
        of_rows = apart(
            (
                row["rows_matched"],
                row["rows_shared"],
                row["rows_placeholder"] + row["rows_without_key"],
                row["rows_unmatched"],
            ),
            smallest,
        )
        # rows of shared keys are reported in a note, so they are not part of a small remainder
        shared = row["images_shared"]
        of_images = apart((row["images_matched"], row["images"] - row["images_matched"]), smallest)
        many, count = told(row["rows"], smallest), row["rows"]
        rows.append(
            {"table": table, "columns": row["keys"], "counts": [many, *of_rows, *of_images]}
        )
        notes += [
            f"{table}: {near_text(table, near['difference'], told(near['rows'], smallest), many)}."
            for near in row["near"]
        ]
        if count == 0:
            notes.append(f"{table}: the table has a header and no rows.")
        if row["rows_shared"] or shared:
            images = told(shared, smallest, row["images"] - row["images_matched"])
            notes.append(
                f"{table}: {images} images have a key that other patients' images "
                "have, too: nothing is joined to them."
            )
        if row["images_without_text"]:
            images = told(row["images_without_text"], smallest, row["images_matched"])
            notes.append(f"{table}: {images} images have a row, but no text in it.")
    return {"name": name, "rows": rows, "notes": notes}


_STEPS = {
    "texts": "sections with text",
    "language": "language",
    "markup": "made plain",
    "sections": "sections found by",
    "marks": "identifiers removed",
}
"""Steps of `texts.parquet` in words, in the order in which they are shown."""


def _texts(name: str, counts: pl.DataFrame, smallest: int = 1) -> dict[str, Any]:
    """What the rules did to an archive's report texts."""
    rows = []
    for step, title in _STEPS.items():
        of_step = counts.filter(step=step)
        shown = [told(count, smallest) for count in of_step["count"]]
        if step == "language":  # each report has one
            shown = apart(of_step["count"].to_list(), smallest)
        rows += [
            {"step": title, "rule": rule, "count": count}
            for rule, count in zip(of_step["rule"], shown, strict=True)
        ]
    return {"name": name, "rows": rows}


def _key(card: Card) -> Run:
    return Run(card["arm"], card["size"], card["seed"])


def _ordered(study: Study, cards: Sequence[Card]) -> list[Card]:
    place = {run: i for i, run in enumerate(study.runs)}
    return sorted(cards, key=lambda card: (place.get(_key(card), len(place)), _key(card)))


_UNTRAINED = {"floor": "floor", "random": "random weights"}
"""Name of a run without a size, by its status, if it is not open weights."""


def _run_row(card: Card) -> dict[str, str]:
    """A run's card as text; fields without a record, as for released encoders, are dashes."""

    def show(key: str, form: str = ",") -> str:
        value = card.get(key)
        return "–" if value is None else format(value, form)

    per_sample, seen = card.get("flops_per_sample"), card.get("samples_seen")
    flops = "–" if not per_sample or not seen else f"{per_sample * seen:.2g}"
    return {
        "arm": card["arm"],
        "size": _UNTRAINED.get(card["status"], "open weights")
        if card["size"] == 0
        else f"{card['size']:,}",
        "seed": "–" if card["size"] == 0 else str(card["seed"]),
        "status": card["status"],
        "samples": show("samples_seen"),
        "unique": show("images"),
        "repeats": show("repeats_per_image", ",.1f"),
        "rate": show("images_per_second", ",.0f"),
        "flops": flops,
        "seconds": show("seconds", ",.0f"),
        "device": str(card.get("device") or "–"),
        "resumed": str(card.get("resumed") or 0),
    }


def _gaps(study: Study, scores: pl.DataFrame, cards: Sequence[Card]) -> list[dict[str, str]]:
    """Runs that failed, lack a score on a task, or have a failed head."""
    by_run = {_key(card): card for card in cards}
    faults = _faults(study, scores)
    tasks = [task for task in study.scaling.metrics if task in set(scores["task"])]
    scores = pl.concat([scores.clear(), *(of_head(study, scores, task) for task in tasks)])
    keys = scores.filter(pl.col("value").is_not_nan()).select("arm", "size", "seed", "task")
    scored = {(Run(arm, size, seed), task) for arm, size, seed, task in keys.iter_rows()}
    rows = []
    for run in study.runs:
        card = by_run.get(run)
        absent = [task_title(study, task) for task in tasks if (run, task) not in scored]
        if card is not None and card["status"] in NO_ENCODER:
            reason = str(card.get("reason") or card["status"])
        elif absent:
            reason = "no run card" if card is None else "no score"
        else:
            reason = None
        named = f"{run.arm}, {run.size:,} images, seed {run.seed}"
        if reason is not None:
            missing = "all tasks" if len(absent) == len(tasks) else listed(absent) or "none"
            rows.append({"run": named, "reason": reason, "tasks": missing})
        for fault, heads in faults.get(run, {}).items():
            rows.append({"run": named, "reason": fault, "tasks": listed(heads)})
    return rows


def _faults(study: Study, scores: pl.DataFrame) -> dict[Run, dict[str, list[str]]]:
    """For each run, the heads that failed although others of their task did not, and why."""
    if "note" not in scores.columns:  # as in a table from elsewhere
        return {}
    failed = scores.filter(pl.col("note").str.starts_with(NO_PREDICTIONS)).select(
        "arm", "size", "seed", "note", "task", "head"
    )
    faults: dict[Run, dict[str, list[str]]] = {}
    for arm, size, seed, note, task, head in failed.unique(maintain_order=True).iter_rows():
        of_run = faults.setdefault(Run(arm, size, seed), {})
        name = f"{task_title(study, task)} ({head})"
        of_run.setdefault(note.removeprefix(NO_PREDICTIONS), []).append(name)
    return faults


def _settings(study: Study) -> dict[str, Any]:
    """The resolved study without paths of the machine on which it ran."""
    values = study.model_dump(mode="json", exclude={"results"})
    places = study.model_dump(exclude={"results"})
    if values["labels"]["endpoint"]:
        values["labels"]["endpoint"]["url"] = "(given)"
    return {key: _without_paths(value, places[key]) for key, value in values.items()}


def _without_paths(value: Any, typed: Any) -> Any:
    """A value of the study with each path replaced by a word."""
    if isinstance(typed, Path):
        return "(given)"
    if isinstance(typed, dict):
        return {key: _without_paths(value[key], inner) for key, inner in typed.items()}
    if isinstance(typed, list | tuple):
        return [_without_paths(*both) for both in zip(value, typed, strict=True)]
    return value


def _versions(cards: Sequence[Card]) -> list[tuple[str, str]]:
    """Software of the runs; if a package has several versions, all are named."""
    found: dict[str, set[str]] = {}
    for card in cards:
        for package, version in (card.get("versions") or {}).items():
            found.setdefault(package, set()).add(str(version))
    return [(package, ", ".join(sorted(found[package]))) for package in sorted(found)]
