"""Published fits, replicated to their printed figures; RADSCALE_CURVES names the data's folder."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.published import (
    chinchilla_runs,
    openclip_line_error,
    refit_chinchilla,
)

DATA = Path(os.environ.get("RADSCALE_CURVES", "none"))


def needs(name):
    return pytest.mark.skipif(
        not (DATA / name).exists(), reason=f"RADSCALE_CURVES names no folder with {name}"
    )


@needs("chinchilla_svg_extracted_data.csv")
def test_chinchilla_refit():
    """Besiroglu et al. 2024, notebook: objective 0.00101827403; parameters as printed below."""
    runs = chinchilla_runs(pl.read_csv(DATA / "chinchilla_svg_extracted_data.csv"))
    assert runs[0].size == 240
    found = refit_chinchilla(*runs)
    assert found.objective <= 0.0010182741
    printed = {"a": 477.84, "b": 2143.86, "e": 1.81724, "alpha": 0.34731, "beta": 0.36718}
    for name, value in printed.items():
        assert getattr(found, name) == pytest.approx(value, rel=0.005), name
    rng = np.random.default_rng(0)
    again = []
    for _ in range(100):
        drawn = rng.integers(0, 240, 240)
        again.append(refit_chinchilla(*(values[drawn] for values in runs), start=found))
    ends = {
        "a": (285, 744),
        "b": (1042, 5810),
        "e": (1.769, 1.871),
        "alpha": (0.317, 0.373),
        "beta": (0.331, 0.415),
    }
    for name, interval in ends.items():
        low, high = np.quantile([getattr(one, name) for one in again], [0.025, 0.975])
        width = interval[1] - interval[0]
        assert (low, high) == pytest.approx(interval, abs=0.2 * width), name
    share = [one.beta / (one.alpha + one.beta) for one in again]
    assert found.beta / (found.alpha + found.beta) == pytest.approx(0.513, abs=0.002)
    assert np.std(share) == pytest.approx(0.02, abs=0.005)


@needs("openclip_zeroshot_results.csv")
@pytest.mark.parametrize(
    ("data", "metric", "exponent", "error"),
    [
        ("imagenet1k", "acc1", -0.111, 0.8743712),
        ("mscoco_captions", "image_retrieval_recall@5", -0.079, 0.5884336),
    ],
)
def test_openclip_lines(data, metric, exponent, error):
    """Cherti et al. 2023, notebook: mean absolute error of the line in percent."""
    results = pl.read_csv(DATA / "openclip_zeroshot_results.csv", infer_schema_length=None)
    models = pl.read_csv(DATA / "openclip_arch_info.csv")
    slope, found = openclip_line_error(results, models, data, metric)
    assert found == pytest.approx(error, abs=1e-6)
    assert slope == pytest.approx(exponent, abs=5e-4)
