import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import false_discovery_control

from radscale_lib.scaling.claims import Claim
from radscale_lib.scaling.multiplicity import (
    benjamini_hochberg,
    expected_by_chance,
    gate,
    p_values,
    simes,
)
from radscale_lib.scaling.verdicts import GATE, decide


def test_adjusted_p_values_are_scipys():
    p = np.random.default_rng(0).random(40) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))


def test_p_values_are_two_sided_and_no_smaller_than_the_draws_allow():
    np.testing.assert_allclose(p_values([0.5, 0.95, 0.05, 1.0]), [1, 0.1, 0.1, 0])
    np.testing.assert_allclose(p_values([1.0, 0.0], draws=999), [1e-3, 1e-3])


def test_a_family_counts_once_in_the_gate():
    one, many = [0.01], np.ones(100)
    assert simes(many[:0]) == 1
    weights = {"a": 0.5, "b": 0.3, "empty": 0.2}
    assert gate({"a": one, "b": many, "empty": []}, weights) == pytest.approx(0.02)
    assert gate({}, weights) == gate({"b": many}, weights) == 1


def test_the_families_of_the_gate_share_the_level():
    assert sum(GATE.values()) == pytest.approx(1)


def test_what_chance_would_decide():
    p, decided = [0.001, 0.02, 0.3, 0.9], [True, True, False, False]
    assert expected_by_chance(p, decided, 0.1) == pytest.approx(4 * 0.025)
    assert expected_by_chance([0.05] * 4, [True] * 4, 0.1) == pytest.approx(0.2)
    assert expected_by_chance(p, [False] * 4, 0.1) == pytest.approx(0.1)


def claim(number, p, kind="rises", *, target="macro", up=True, needs=(), name=None):
    side = 1 - p / 2 if up else p / 2
    return Claim(
        claim=name or f"{kind} {number} {target}", kind=kind, arm="a", task="t", metric="auroc",
        value=(0.1, 0.0, 0.2), probability=side, p=p, yes="yes", no="no", open="open",
        target=target, needs=needs,
    )  # fmt: skip


def test_claims_are_decided_within_their_family_once_the_study_shows_something():
    rises = [claim(i, p) for i, p in enumerate([1e-4, 0.02, 0.8, 0.9])]
    rises.append(claim(9, 0.001, up=False))
    weak = [claim(i, 0.06, "overtakes") for i in range(3)]
    rows = decide([*rises, *weak], 0.1)
    assert [row["verdict"] for row in rows] == [
        *("supported", "supported", "undecided", "undecided", "contradicted"),
        *["supported"] * 3,
    ]
    assert [row["text"] for row in rows[:5]] == ["yes", "yes", "open", "open", "no"]
    # The same weak claims in a study that shows nothing: leads of 0.06 alone open no gate.
    quiet = decide([*(claim(i, 0.5) for i in range(5)), *weak], 0.1)
    assert {row["verdict"] for row in quiet} == {"undecided"}


def test_what_a_claim_needs_is_decided_first():
    first = claim(0, 0.9, name="it rises")
    gains = claim(0, 1e-4, "gains", needs=("it rises",))
    other = claim(1, 1e-4)
    rows = decide([first, other, gains], 0.1)
    assert [row["verdict"] for row in rows] == ["undecided", "supported", "undecided"]
    slope = claim(0, 1e-4, "slope", needs=("it rises", other.claim))
    assert decide([first, other, slope], 0.1)[-1]["verdict"] == "supported"


def test_labels_open_no_gate():
    labels = [claim(i, 1e-4, target=f"label {i}") for i in range(5)]
    assert {row["verdict"] for row in decide([claim(0, 0.5), *labels], 0.1)} == {"undecided"}
    assert decide([claim(0, 0.01), *labels], 0.1)[-1]["verdict"] == "supported"


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_nothing_is_claimed_where_nothing_is_true_more_often_than_said(rho):
    """4,000 flat studies of four families, claims correlated within families."""
    rng = np.random.default_rng(1)
    false = 0
    for _ in range(4000):
        families = {}
        for name, count in (("rises", 12), ("overtakes", 12), ("ahead", 60), ("stated", 5)):
            shared, own = rng.standard_normal(1), rng.standard_normal(count)
            z = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
            families[name] = 2 * ndtr(-np.abs(z))
        false += gate(families, GATE) <= 0.1
    # Less three standard errors of 400.
    assert false / 4000 <= 0.1 + 3 * np.sqrt(0.09 / 4000)
    if rho == 0:
        assert false / 4000 >= 0.085
