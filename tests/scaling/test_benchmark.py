"""The benchmark of real curves: every domain is read, kept and compared."""

import numpy as np
import polars as pl
import pytest

from benchmarks import scaling


def law(n):
    return 2 * np.asarray(n, dtype=float) ** -0.2 + 0.02


@pytest.fixture
def folder(tmp_path):
    """One curve of each kind of file."""
    sizes = np.geomspace(1e3, 1e5, 8)
    alike = {"Domain": "IC", "Task": "birds", "Model": "ViT", "Seen Examples": sizes}
    vision = pl.DataFrame(alike | {"Loss": law(sizes), "Training": [1] * 6 + [0] * 2})
    vision.write_csv(tmp_path / "benchmark.vision.csv")
    vision.with_columns(Domain=pl.lit("BB")).write_csv(tmp_path / "benchmark.lang.csv")
    ladder = np.round(np.geomspace(50, 5000, 7))
    spaced = np.array([54, 91, 181, 600, 1813, 6345, 15000, 36000])
    for name, at in (("ladder", ladder), ("radiology_spacing", spaced)):
        rows = {"openml_id": 1, "learner": "SVM", "n_train": at.astype(int)}
        rows |= {"test_error_mean": law(at), "test_error_stderr": 0.001}
        if name != "ladder":
            rows["role"] = ["fit"] * 3 + ["gap", "fit", "fit", "far1", "far2"]
        # The curve whose hash the evenly spaced ones keep.
        keys = [i for i in range(40) if not scaling.zlib.crc32(str((i, "SVM")).encode()) % 6]
        pl.DataFrame(rows | {"openml_id": keys[0]}).write_csv(
            tmp_path / f"lcdb11_test_error_{name}.csv"
        )
    more = {
        "source": "A",
        "domain": "maps",
        "group": "g",
        "size": sizes[:7],
        "value": law(sizes)[:7],
    }
    more |= {"se": None, "role": ["fit"] * 5 + ["far1", "far2"]}
    names = [f"c{i}" for i in range(20)]
    pl.concat([pl.DataFrame(more | {"curve": name}) for name in names]).write_csv(
        tmp_path / "more_curves.csv"
    )
    return tmp_path


def test_domains_are_fitted_once_kept_and_compared(folder, tmp_path, capsys, monkeypatch):
    kept = tmp_path / "results"
    options = [str(folder), "--results", str(kept), "--against", str(kept)]
    scaling.main(options)
    first = capsys.readouterr().out
    for words in ("LCDB, 5 sizes spaced", "evenly spaced", "vision, 5 points", "BIG-Bench"):
        assert words in first
    (row,) = [line for line in first.splitlines() if line.startswith("| A: maps | 20 |")]
    assert row.endswith("| 1.000 | 1.000 |")
    assert "| geometric mean |" in first
    monkeypatch.setattr(scaling, "predict", lambda curve: pytest.fail("fitted again"))
    scaling.main(options)
    assert capsys.readouterr().out.splitlines()[:-1] == first.splitlines()[:-1]


def test_scores_are_relative_to_the_largest_size():
    result = scaling.Result(
        source="A", domain="d", beyond=np.array([False, True]), truth=np.log([0.3, 0.1]),
        centre=np.log([0.4, 0.12]), quantiles=np.log([[0.2, 0.11], [0.3, 0.12], [0.4, 0.13]]),
        mean=np.zeros(2), spread=np.ones(2), peer=np.log([0.3, 0.06]), last=float(np.log(0.2)),
        crossover=None,
    )  # fmt: skip
    found = scaling.scores([result])
    assert found.error == pytest.approx((0.1, 0.2))
    assert found.bias == pytest.approx((0.1, -0.2))
    assert found.covered == 0
    assert found.winkler == pytest.approx(0.1 + 20 * 0.05)
