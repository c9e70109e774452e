"""Tables of differences and of subgroups in the report: which rows are shown."""

import polars as pl

from radscale_lib.report.compared import difference_tasks, subgroup_tasks
from radscale_lib.study import parse_study
from radscale_lib.tasks.differences import SCHEMA as DIFFERENCES
from tests.tasks.conftest import STUDY

HEAD = {"task": "findings", "head": "linear", "metric": "auroc"}


def _difference(arm, size, other, other_size, difference, target="macro", **others):
    row = {"arm": arm, "size": size, "seeds": 1, "other": other, "other_size": other_size}
    row |= {"other_seeds": 1, "target": target, "difference": difference, "cases": 20}
    row |= {"lower": difference - 0.1, "upper": difference + 0.1, "confidence": 0.95}
    return HEAD | row | others


def test_arms_at_their_largest_size_are_shown_against_what_is_only_evaluated():
    rows = [
        _difference("rad-dino", 20, "rad-dino-open", 0, 0.2),
        _difference("rad-dino", 10, "rad-dino-open", 0, 0.3),
        _difference("rad-dino", 20, "rad-dino", 10, 0.4),
        _difference("rad-dino", 20, "mi2-pixels", 0, 0.5, lower=None, upper=None, note="too few"),
        _difference("rad-dino", 20, "rad-dino-open", 0, 0.6, target="effusion"),
        _difference("rad-dino", 20, "rad-dino-open", 0, 0.7, metric="auprc"),
    ]
    [task] = difference_tasks(parse_study(STUDY), pl.DataFrame(rows, DIFFERENCES))
    assert "Findings classification" in task["title"]
    shown = [(row["arm"], row["size"], row["other"], row["note"]) for row in task["rows"]]
    assert shown == [
        ("rad-dino", "20", "rad-dino-open", ""),
        ("rad-dino", "20", "mi2-pixels", "too few"),
    ]
    assert "0.200" in task["rows"][0]["difference"] and "0.100" in task["rows"][0]["difference"]


def test_worst_groups_are_shown_of_means_and_of_findings_by_their_tubes():
    def row(by, kind, group, value, target="macro", size=20, seed=0, other=None):
        run = {"arm": "mi2-reports", "encoder": "mi2", "size": size, "seed": seed} | HEAD
        ends = {"lower": value - 0.05, "upper": value + 0.05}
        return run | {"target": target, "by": by, "kind": kind, "group": group, "other": other} | {
            "value": value, **ends
        }  # fmt: skip

    def groups(by, worst, best, **changes):
        yield row(by, "group", worst, 0.7, **changes)
        yield row(by, "group", best, 0.9, **changes)
        yield row(by, "worst", worst, 0.7, **changes)
        yield row(by, "gap", worst, 0.2, other=best, **changes)

    rows = [
        *groups("view", "AP", "PA"),
        *groups("view", "PA", "AP", seed=1),
        *groups("view", "PA", "AP", size=10),
        *groups("view", "PA", "AP", target="effusion"),
        *groups("effusion by ett", "without ett", "with ett", target="effusion"),
    ]
    [task] = subgroup_tasks(parse_study(STUDY), pl.DataFrame(rows))
    shown = [(one["by"], one["worst"], one["best"]) for one in task["rows"]]
    assert shown == [("view", "AP", "PA"), ("effusion by ett", "without ett", "with ett")]
    assert task["rows"][0]["best_value"] == "0.900"
    assert "0.200" in task["rows"][0]["gap"]
    assert subgroup_tasks(parse_study(STUDY), pl.DataFrame(rows).clear()) == []
