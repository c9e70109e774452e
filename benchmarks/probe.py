"""Compare the linear probe with a loop over scikit-learn's, in turns in one run.

Processor time of all labels and penalties on one core. The loop is timed on a few labels of every
prevalence; its tolerance is chosen so that its losses are close to ours, and both are compared with
a solution in double precision.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from radscale_lib.tasks.probe import Standardiser, fit_path

Floats = NDArray[np.float64]


def features_and_targets(images: int, size: int, labels: int) -> tuple[Floats, Floats]:
    """Features as correlated as pooled embeddings, labels of 0.5 to 40 %, a tenth unknown."""
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.normal(size=(size, size)))
    features = (random.normal(size=(images, size)) * np.arange(1, size + 1) ** -0.7) @ axes
    features = Standardiser.fit(features)(features)
    weights = random.normal(size=(size, labels)) * np.where(
        random.random((size, labels)) < 0.1, 0.25, 0.02
    )
    logits = features @ weights
    logits *= random.uniform(1, 3, labels) / logits.std(axis=0)
    share = np.geomspace(0.005, 0.4, labels)
    chance = expit(logits + np.log(share / (1 - share)) - 1)
    targets = (random.random((images, labels)) < chance).astype(float)
    targets[random.random(targets.shape) < 0.1] = np.nan
    return features, targets


def loss(features: Floats, truth: Floats, weights: Floats, bias: float, penalty: float) -> float:
    """The objective of a probe of one label."""
    logits = features @ weights + bias
    cells = np.logaddexp(0, logits) - truth * logits
    return float(cells.mean() + penalty / 2 * weights @ weights)


def main(argv: Sequence[str] | None = None) -> None:
    """Time both, and print the ratio and by how much each exceeds the least loss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--labels", type=int, default=28)
    parser.add_argument("--penalties", type=int, default=10)
    parser.add_argument("--looped", type=int, default=2, help="labels in the loop")
    parser.add_argument("--tolerance", type=float, default=1e-6, help="of scikit-learn's")
    args = parser.parse_args(argv)
    threadpool_limits(1)
    features, targets = features_and_targets(args.images, args.size, args.labels)
    penalties = np.geomspace(1e-1, 1e-4, args.penalties).tolist()
    chosen = np.linspace(0, args.labels - 1, args.looped).astype(int)
    start = time.process_time()
    probes = fit_path(features, targets, penalties)
    ours, loop = time.process_time() - start, 0.0
    print(f"ours {ours:.1f} s", flush=True)
    exact = fit_path(features, targets[:, chosen], penalties, tolerance=1e-13)
    worst = np.zeros(2)
    for place, label in enumerate(chosen):
        known = ~np.isnan(targets[:, label])
        rows, truth = features[known], targets[known, label]
        for probe, best in zip(probes, exact, strict=True):
            start = time.process_time()
            model = LogisticRegression(
                C=1 / (probe.penalty * len(truth)), tol=args.tolerance, max_iter=10_000
            ).fit(rows, truth)
            spent = time.process_time() - start
            loop += spent * args.labels / args.looped
            least, *others = (
                loss(rows, truth, weights, bias, probe.penalty)
                for weights, bias in (
                    (best.weights[:, place], best.biases[place]),
                    (probe.weights[:, label], probe.biases[label]),
                    (model.coef_[0], model.intercept_[0]),
                )
            )
            excess = np.array(others) / least - 1
            worst = np.maximum(worst, excess)
            print(
                f"label {label}, penalty {probe.penalty:.0e}: {spent:.1f} s, "
                f"{model.n_iter_[0]} steps; above the least loss: ours {excess[0]:.0e}, "
                f"scikit-learn's {excess[1]:.0e}",
                flush=True,
            )
    print(f"ours {ours:.1f} s, loop {loop:.0f} s, ratio {loop / ours:.0f}")
    print(f"above the least loss, at most: ours {worst[0]:.1e}, loop {worst[1]:.1e}")


if __name__ == "__main__":
    main()
