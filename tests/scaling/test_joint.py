"""The joint law in data and compute: recovered where it can be, refused where not."""

import numpy as np
import polars as pl
import pytest

from radscale_lib.scaling.joint import JOINT_SCHEMA, fit_joint, joint_table
from radscale_lib.scaling.laws import Array
from radscale_lib.study import Study, parse_study
from tests.scaling.conftest import small_values

SIZES = np.array([100.0, 200, 400, 800, 1600, 3200])
SHARES = np.array([0.125, 0.25, 0.5, 1.0])
TRUTH = {"a": 0.6, "b": 0.9, "e": 0.1, "w": 0.5}


def simulated(
    rng: np.random.Generator, noise: float, a: float, b: float, e: float, w: float
) -> tuple[Array, Array, Array, np.ndarray]:
    """Two seeds of each size, whose points share half of the noise's variance."""
    n, seed, s = (x.ravel() for x in np.meshgrid(SIZES, [0, 1], SHARES, indexing="ij"))
    runs = np.unique(np.stack([n, seed]), axis=1, return_inverse=True)[1].ravel()
    error = 0.1 * (e + (1 - e) * (w * (n / SIZES[-1]) ** -a + (1 - w) * s**-b))
    luck = noise / 2**0.5 * (rng.normal(size=runs.max() + 1)[runs] + rng.normal(size=n.size))
    return n, 9600 * s, error * np.exp(luck), runs


def test_exponents_are_recovered() -> None:
    """In most of their 90 % intervals, that is: five of six."""
    held = []
    for seed in range(3):
        found = fit_joint(*simulated(np.random.default_rng(seed), 0.01, **TRUTH))
        for draws, truth in ((found.data, 0.6), (found.compute, 0.9)):
            low, high = np.quantile(draws, [0.05, 0.95])
            held.append(low <= truth <= high)
            assert high / low < 3
    assert sum(held) >= 5


@pytest.mark.long
def test_intervals_hold_as_often_as_they_say() -> None:
    held = []
    for seed in range(40):
        found = fit_joint(*simulated(np.random.default_rng([7, seed]), 0.02, **TRUTH))
        for draws, truth in ((found.data, 0.6), (found.compute, 0.9)):
            low, high = np.quantile(draws, [0.05, 0.95])
            held.append(low <= truth <= high)
    assert 0.8 <= np.mean(held) <= 0.99


def keeping(shares: list[float]) -> Study:
    values = small_values()
    values["subsets"]["sizes"] = [int(size) for size in SIZES]
    values["arms"]["rad-dino"]["keep"] = shares
    return parse_study(values)


def table_of(points: tuple[Array, Array, Array, np.ndarray], most: int = 6) -> pl.DataFrame:
    n, s, errors, runs = points
    return pl.DataFrame(
        {
            "arm": "rad-dino", "task": "findings", "head": "linear", "target": "macro",
            "metric": "auroc", "size": n.astype(int), "images": n.astype(int), "seed": runs % 2,
            "share": s / 9600, "samples": s.astype(int), "value": 1 - errors,
        }
    ).filter(pl.col("size") <= SIZES[most - 1])  # fmt: skip


def test_an_identified_law_tells_what_twice_the_data_and_the_compute_buy() -> None:
    study = keeping([0.125, 0.25, 0.5])
    points = simulated(np.random.default_rng(1), 0.01, **TRUTH)
    table = joint_table(study, table_of(points))
    assert table.schema == JOINT_SCHEMA
    [row] = table.rows(named=True)
    assert row["identified"] and row["note"] == ""
    assert (row["sizes"], row["shares"], row["runs"], row["points"]) == (6, 4, 12, 48)
    data = 0.1 * 0.9 * 0.5 * (1 - 2**-0.6)
    assert row["gain_data_lower"] < data < row["gain_data_upper"]
    compute = 0.1 * 0.9 * 0.5 * (1 - 2**-0.9)
    assert row["gain_compute_lower"] < compute < row["gain_compute_upper"]
    assert joint_table(study, table_of(points)).equals(table)


@pytest.mark.parametrize(
    ("noise", "law", "said"),
    [
        (0.1, {"a": 0.3, "b": 0.3, "e": 0.4, "w": 0.5}, "not identified: exponent of "),
        (0.01, TRUTH | {"w": 1.0}, "exponent of compute between"),
        (0.01, TRUTH | {"w": 0.0}, "exponent of data between"),
    ],
    ids=["noise", "no compute", "no data"],
)
def test_a_law_that_is_not_identified_is_not_told(
    noise: float, law: dict[str, float], said: str
) -> None:
    points = simulated(np.random.default_rng(2), noise, **law)
    [row] = joint_table(keeping([0.125, 0.25, 0.5]), table_of(points)).rows(named=True)
    assert not row["identified"]
    assert said in row["note"]
    assert row["data_exponent"] is row["gain_data"] is None


def test_too_few_sizes_or_shares_are_not_fitted() -> None:
    study = keeping([0.125, 0.25, 0.5])
    points = table_of(simulated(np.random.default_rng(0), 0.01, **TRUTH), most=2)
    [row] = joint_table(study, points).rows(named=True)
    assert row["note"] == "too few: 2 of at least 3 sizes have 2 shares scored"
    [row] = joint_table(study, points.clear()).rows(named=True)
    assert (row["runs"], row["identified"]) == (0, False)
    values = small_values()
    assert joint_table(parse_study(values), points).schema == JOINT_SCHEMA
