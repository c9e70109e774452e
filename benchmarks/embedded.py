"""What the embedded study finds on several phantom seeds, beside each other.

    python -m benchmarks.embedded RESULTS RESULTS ... [--write [MARK]]

RESULTS are folders of runs of config/config.yaml with other names and phantom seeds, finished up to
verdicts.parquet and differences.parquet. With --write the tables go into
docs/measured/embedded-study.md, between the marks of that name.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.tables import markdown, write_between_marks
from radscale_lib.report.answers import answers
from radscale_lib.report.finished import settings_of
from radscale_lib.scaling.words import interval
from radscale_lib.study import Study

PAGE = Path(__file__).parents[1] / "docs/measured/embedded-study.md"
SIGNS = {"supported": "**", "contradicted": "~~", "undecided": "", "not testable": ""}
"""What surrounds the number of a verdict."""


class Finished:
    """A run of the embedded study.

    Attributes:
        study: its settings.
        name: the phantom seed of its institution, by which it is shown, and its site if that is
            the public one (the control study).
    """

    def __init__(self, results: Path) -> None:
        self.results, self.study = results, settings_of(results, "fits")
        phantom = self.study.institution.phantom
        self.name = self.study.name
        if phantom:
            control = ", control" if phantom.site == "public" else ""
            self.name = f"seed {phantom.seed}{control}"

    def table(self, name: str) -> pl.DataFrame:
        """A table of the study by its name."""
        return pl.read_parquet(self.results / f"{name}.parquet")

    def macro(self, kind: str) -> list[dict[str, Any]]:
        """Verdicts on whole tasks."""
        return self.table("verdicts").filter(kind=kind, target="macro").rows(named=True)

    def floors(self) -> Iterator[tuple[tuple[str, str], list[dict[str, Any]]]]:
        """By encoder and task, the differences from the two floors of its kind.

        Encoders are the open weights, and the arms at their largest size.
        """
        yield from floors(self.table("differences"), self.table("fits"), self.study).items()


def floors(
    differences: pl.DataFrame, fits: pl.DataFrame, study: Study
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Differences of open weights, and of arms at their largest size, from each floor.

    Args:
        differences: the table of that name.
        fits: the same; its metric and head of each task are shown.
        study: the study.

    Returns:
        Rows of `differences` by encoder and task, in the order of their names.
    """
    fitted = fits.select("task", "head", "metric").unique()
    own = {name: encoder for name, (encoder, _) in study.floors.items()}
    encoders = study.evaluated_only | {name: arm.encoder for name, arm in study.arms.items()}
    shown = (
        differences.filter(target="macro", other_size=0)
        .join(fitted, on=["task", "head", "metric"], nulls_equal=True)
        .filter(
            pl.col("size").is_in([0, max(study.subsets.sizes)]),
            pl.col("other").replace_strict(own, default=None)
            == pl.col("arm").replace_strict(encoders, default=None),
        )
        .sort("arm", "task", "other")
    )
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in shown.iter_rows(named=True):
        found.setdefault((row["arm"], row["task"]), []).append(row)
    return found


def tables(runs: Sequence[Finished]) -> str:
    """All tables, as Markdown."""
    names = [run.name for run in runs]
    parts = [
        ("Answers", markdown(["question", *names], _answers(runs))),
        ("Claims of the paper's abstract", markdown(["claim", *names], _claims(runs))),
        *(
            (title, markdown(["arm, task", *names], _differences(runs, kind)))
            for kind, title in (
                ("rises", "Largest less smallest size"),
                ("overtakes", "Largest size less open weights"),
            )
        ),
        ("Crossovers with the open weights", markdown(["arm, task", *names], _crossovers(runs))),
        ("Beside the floors", markdown(["encoder, task", *names], _floors(runs))),
    ]
    return "\n\n".join(f"### {title}\n{table}" for title, table in parts)


def _answers(runs: Sequence[Finished]) -> Iterator[list[str]]:
    found = [answers(run.study, run.table("verdicts")) for run in runs]
    for of_all in zip(*found, strict=True):
        yield [of_all[0].question, *(f"{one.word}: {one.number}" for one in of_all)]


def _claims(runs: Sequence[Finished]) -> Iterator[list[str]]:
    found = [{row["claim"]: row for row in run.macro("stated")} for run in runs]
    for claim in found[0]:
        yield [f"`{claim}`", *(f"{of[claim]['verdict']}, {_number(of[claim])}" for of in found)]


def _differences(runs: Sequence[Finished], kind: str) -> Iterator[list[str]]:
    found = [{(row["arm"], row["task"]): row for row in run.macro(kind)} for run in runs]
    for arm, task in found[0]:
        cells = []
        for of in found:
            mark = SIGNS[of[arm, task]["verdict"]]
            cells.append(f"{mark}{_number(of[arm, task])}{mark}")
        yield [f"{arm}, {task}", *cells]
    decided = [[row["verdict"] for row in of.values()] for of in found]
    for verdict in ("supported", "contradicted"):
        yield [verdict, *(f"{of.count(verdict)} of {len(of)}" for of in decided)]
    rising = [
        [arm for (arm, _), row in of.items() if row["verdict"] == "supported"] for of in found
    ]
    best = [max(Counter(arms).values(), default=0) for arms in rising]
    yield ["most tasks of one arm", *map(str, best)]


def _crossovers(runs: Sequence[Finished]) -> Iterator[list[str]]:
    opened = pl.col("baseline").str.ends_with("-open")
    found = [
        {
            (row["arm"], row["task"]): row
            for row in run.table("crossovers").filter(opened).iter_rows(named=True)
        }
        for run in runs
    ]
    for arm, task in found[0]:
        yield [f"{arm}, {task}", *(of[arm, task]["text"] for of in found)]
    inside = [sum(row["state"] in ("within", "below") for row in of.values()) for of in found]
    yield [
        "found inside the sizes",
        *(f"{n} of {len(of)}" for n, of in zip(inside, found, strict=True)),
    ]


def _floors(runs: Sequence[Finished]) -> Iterator[list[str]]:
    """The smaller of both differences, and whether both are sure."""
    found = [dict(run.floors()) for run in runs]
    for encoder, task in found[0]:
        cells = []
        for of in found:
            worst = min(of[encoder, task], key=lambda row: row["lower"])
            mark = "**" if worst["lower"] > 0 else ""
            number = interval(worst["difference"], worst["lower"], worst["upper"], sign=True)
            cells.append(f"{mark}{number}{mark}")
        yield [f"{encoder}, {task}", *cells]


def _number(row: dict[str, Any]) -> str:
    return interval(row["value"], row["lower"], row["upper"], sign=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument(
        "--write", nargs="?", const="seeds", metavar="MARK", help="into docs/measured (seeds)"
    )
    args = parser.parse_args()
    text = tables([Finished(results) for results in args.results])
    if args.write:
        write_between_marks(PAGE, args.write, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
