"""Verdicts of a study with known laws, and of studies in which nothing is true."""

import numpy as np
import polars as pl
import pytest

from benchmarks.verdicts import decided, simulate
from radscale_lib.scaling.multiplicity import p_values
from radscale_lib.scaling.stated import stated_claims, statements
from radscale_lib.scaling.study_fits import fit_tasks
from radscale_lib.scaling.verdicts import VERDICTS_SCHEMA, verdicts
from radscale_lib.scaling.words import between
from radscale_lib.study import parse_study
from radscale_lib.study.contradictions import RESERVED_CLAIMS
from tests.scaling.conftest import small_values

COLUMNS = (
    "claim kind arm other task target metric head size verdict value lower upper confidence "
    "probability adjusted family expected_by_chance text"
)


def test_every_claim_has_its_row(study, tables):
    judged = tables.verdicts
    assert judged.columns == COLUMNS.split()
    assert judged.schema == VERDICTS_SCHEMA
    assert judged["claim"].n_unique() == len(judged)
    macro = judged.filter(target="macro").group_by("kind").len()
    assert dict(macro.iter_rows()) == {
        "stated": 5, "rises": 12, "gains": 12, "overtakes": 12, "ahead": 60, "slope": 12,
    }  # fmt: skip
    labels = judged.filter(pl.col("target") != "macro")
    pooled = tables.label_fits.select("task", "target").n_unique()
    assert dict(labels.group_by("kind").len().iter_rows()) == {
        kind: 3 * pooled for kind in ("rises", "gains", "overtakes", "ahead")
    }
    assert judged["text"].str.len_chars().min() > 20
    sure = pl.col("verdict").is_in(["supported", "contradicted"])
    assert judged.filter(sure)["adjusted"].max() <= 0.1 < judged.filter(~sure)["adjusted"].min()
    side = (pl.col("probability") > 0.5) == (pl.col("verdict") == "supported")
    assert judged.filter(sure).select(side.all()).item()
    assert (judged["lower"] <= judged["value"]).all()
    assert (judged["value"] <= judged["upper"]).all()


def test_the_claims_of_the_abstract_are_judged_by_the_planted_laws(tables):
    stated = dict(tables.verdicts.filter(kind="stated").select("claim", "verdict").iter_rows())
    assert tuple(stated) == RESERVED_CLAIMS
    assert stated["mi2-scales-better-on-findings"] == "supported"
    assert stated["rad-dino-stronger-on-tubes"] == "contradicted"
    assert stated["labels-improve-on-reports"] == "undecided"
    assert stated["continuing-pays"] == "supported"


def test_undecided_says_what_the_data_still_allow(tables):
    rows = tables.verdicts.filter(kind="rises", arm="rad-dino", target="macro")
    for row in rows.iter_rows(named=True):
        assert row["verdict"] == "undecided"
        assert between(row["lower"], row["upper"]) in row["text"]


def test_labels_agree_with_their_task(tables):
    """The labels' curves average to the curve of the task; all of them rise where it does."""
    task = tables.fits.filter(arm="mi2-reports", task="findings", chosen=True).row(0, named=True)
    drawn = {point["size"]: point["value"] for point in task["curve"]}
    labels = tables.label_fits.filter(arm="mi2-reports", task="findings")
    assert len(labels) == 7
    points = labels.explode("curve").unnest("curve")
    for (size,), at in points.group_by("size"):
        # The centre is a mean of logs: exact in every draw, nearly so of the centres.
        assert at["value"].mean() == pytest.approx(drawn[size], abs=0.002)
    assert (labels["change"] > 0).all()
    assert labels["own"].is_between(0, 1).all()


def test_labels_cross_where_their_verdicts_are_decided(tables):
    judged = tables.verdicts.filter(kind="overtakes").filter(pl.col("target") != "macro")
    both = tables.label_fits.join(judged, on=["arm", "task", "target"], suffix="_judged")
    assert len(both) == len(tables.label_fits) == len(judged)
    for name, other in (("difference", "value"), ("difference_upper", "upper")):
        assert both[name].to_list() == pytest.approx(both[other].to_list())
    open_ = both.filter(verdict="undecided")
    assert set(open_["state"]) == {"undetermined"}
    assert open_["crossover"].null_count() == len(open_)
    within = both.filter(state="within")
    assert len(within) and within["crossover"].is_between(50, 1200).all()
    assert (within["verdict"] == "supported").all()


CLAIMS = {
    "labels-win": {"better": "mi2-reports-labels", "than": "mi2-reports", "at": 400},
    "first-win": {"better": "mi2-reports-labels", "than": "mi2-reports", "at": "smallest"},
    "labels-scale": {"better": "mi2-reports-labels", "than": "rad-dino", "what": "slope"},
    "beats-the-other-baseline": {"better": "mi2-reports", "than": "rad-dino-open"},
    "level": {"better": "rad-dino", "than": "rad-dino-open"},
}


@pytest.fixture(scope="module")
def own_claims():
    values = small_values()
    values["scaling"]["claims"] = CLAIMS
    return parse_study(values)


def test_claims_of_the_study_file(own_claims, findings, tables):
    tasks = fit_tasks(own_claims, findings)
    rows = {row["claim"]: row for row in verdicts(own_claims, tasks).iter_rows(named=True)}
    assert {name: rows[name]["verdict"] for name in CLAIMS} == {
        "labels-win": "supported",
        "first-win": "supported",
        "labels-scale": "supported",
        "beats-the-other-baseline": "supported",
        "level": "undecided",
    }
    assert rows["labels-win"]["size"] == 400
    assert rows["first-win"]["size"] == 50
    pair = tables.comparisons.filter(
        arm="mi2-reports", other="mi2-reports-labels", task="findings", size=400.0
    ).row(0, named=True)
    assert rows["labels-win"]["value"] == pytest.approx(-pair["difference"], abs=1e-9)
    assert rows["labels-win"]["lower"] == pytest.approx(-pair["difference_upper"], abs=1e-9)
    slope = tables.comparisons.filter(
        arm="mi2-reports-labels", other="rad-dino", task="findings", size=400.0
    ).row(0, named=True)
    assert rows["labels-scale"]["value"] == pytest.approx(slope["slope"])
    crossed = tables.crossovers.filter(arm="rad-dino", task="findings").row(0, named=True)
    assert rows["level"]["value"] == pytest.approx(crossed["difference"], abs=0.002)


def test_what_cannot_be_tested_says_why(own_claims, findings):
    few = findings.filter(pl.col("arm") != "rad-dino")
    rows = {row.claim: row for row in stated_claims(own_claims, fit_tasks(own_claims, few))}
    assert rows["rad-dino-stronger-on-tubes"].value is None
    assert rows["rad-dino-stronger-on-tubes"].open == (
        "not testable: the study has no task of this kind"
    )
    assert rows["labels-scale"].open == "not testable: no such curves are fitted"
    assert rows["continuing-pays"].value is not None
    judged = verdicts(own_claims, fit_tasks(own_claims, few))
    lost = judged.filter(claim="rad-dino rises on findings").row(0, named=True)
    assert (lost["verdict"], lost["value"], lost["adjusted"]) == ("not testable", None, None)


def test_arms_of_the_abstracts_claims_are_found_by_kind_and_supervision():
    values = small_values()
    arms = values["arms"]
    values["arms"] = {"both": arms["mi2-reports-labels"], "images-only": arms["rad-dino"]}
    found = {one.name: one for one in statements(parse_study(values))}
    assert found["mi2-scales-better-on-findings"].better == ("both",)
    assert found["mi2-scales-better-on-findings"].than == ("images-only",)
    assert found["labels-improve-on-reports"].than == ()


def test_flat_studies_have_few_false_claims_and_rises_are_found():
    """A small part of benchmarks/verdicts.py."""
    found = [simulate(number, number < 6, number == 0)["rises"] for number in range(24)]
    flat = np.array([one["0"] for one in found])
    assert np.mean([decided(one).any() for one in flat]) <= 0.25
    assert np.mean((p_values(flat) <= 0.1).any(axis=1)) >= 0.4
    risen = np.array([one["4"] for one in found if "4" in one])
    assert np.mean([(decided(one) & (one > 0.5)).mean() for one in risen]) > 0.8
