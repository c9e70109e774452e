"""Metrics against other libraries: MONAI, surface-distance, torchmetrics and scikit-learn."""

import warnings

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, f1_score, recall_score

from radscale_lib.metrics import dice, surface_dice
from radscale_lib.metrics.bleu import bleu_statistics, corpus_bleu
from radscale_lib.metrics.chrf import chrf_statistics, corpus_chrf
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.label_scores import BINS, RULES, label_scores
from radscale_lib.tasks.masks import PlacedTube, draw_mask
from radscale_lib.tasks.overlap import Masks

pytestmark = pytest.mark.long
SIZE = 96


def tube(random):
    """A tube from the upper edge on, as in a radiograph."""
    steps = np.cumsum(random.normal([0.5, 8], [3, 1], (8, 2)), axis=0)
    return draw_mask([PlacedTube([steps + np.array([SIZE / 2, 0])])], (SIZE, SIZE), 5)


def pairs():
    """Predicted and true masks: tubes that are near, apart, broken or missing; noise."""
    random = np.random.default_rng(3)
    for _ in range(6):
        true = tube(random)
        broken = true.copy()
        broken[30:45] = False
        for predicted in (true, np.roll(true, 3, axis=1), broken, tube(random)):
            yield predicted, true
    for _ in range(6):
        first, second = random.random((2, SIZE, SIZE)) < random.uniform(0.05, 0.6, (2, 1, 1))
        yield first, second


def value(module, predicted, true, tolerance):
    task = Segmentation(
        kind="segmentation",
        decoder={"steps": 1, "batch": 1, "lr": 1e-3},
        surface_share=tolerance / SIZE,
    )
    return float(
        module.METRIC.of(np.array(module.METRIC.statistics(Masks.of(predicted, true, task))))
    )


def test_masks_by_monai():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from monai.metrics import compute_dice, compute_surface_dice

    for predicted, true in pairs():
        both = [
            torch.from_numpy(np.stack([~mask, mask]))[None].float() for mask in (predicted, true)
        ]
        expected = float(compute_dice(*both, include_background=False))
        assert value(dice, predicted, true, 2) == pytest.approx(expected, abs=1e-6)
        for tolerance in (0.5, 1.0, 2.5):
            expected = float(compute_surface_dice(*both, [tolerance]))
            assert value(surface_dice, predicted, true, tolerance) == pytest.approx(
                expected, abs=1e-6
            )


def test_masks_by_surface_distance():
    """Its outlines run between pixels, and ours through them: tolerances are a pixel apart at most.

    It weighs elements of outlines by their lengths.
    """
    from surface_distance import (
        compute_dice_coefficient,
        compute_surface_dice_at_tolerance,
        compute_surface_distances,
    )

    for predicted, true in list(pairs())[:24]:
        assert value(dice, predicted, true, 2) == pytest.approx(
            compute_dice_coefficient(true, predicted), abs=1e-12
        )
        distances = compute_surface_distances(true, predicted, (1, 1))
        for tolerance in (1.0, 2.0, 4.0):
            least, most = (
                compute_surface_dice_at_tolerance(distances, tolerance + side) for side in (-1, 1)
            )
            found = value(surface_dice, predicted, true, tolerance)
            assert least - 0.03 < found < most + 0.03


def test_labels_by_torchmetrics_and_scikit_learn():
    import torch
    from torchmetrics.functional.classification import (
        binary_auroc,
        binary_average_precision,
        binary_calibration_error,
    )

    random = np.random.default_rng(4)
    for images, decimals in ((40, 6), (300, 1), (2000, 6)):
        truth = (random.random(images) < 0.2).astype(float)
        truth[:6] = 1
        logits = (random.normal(size=images) + 1.5 * truth - 1).round(decimals)
        known = (random.random(images) < 0.3, random.normal(size=images))
        draws = PatientDraws.draw([str(i) for i in range(images)], 20, 0)
        scores = label_scores(
            ["a"], truth[:, None], logits[:, None], draws, (known[0][:, None], known[1][:, None])
        )
        found = {score.metric: score.value for score in scores if score.target == "a"}
        chance, target = torch.from_numpy(expit(logits)), torch.from_numpy(truth).long()
        expected = {
            "auroc": float(binary_auroc(chance, target)),
            "auprc": float(binary_average_precision(chance, target)),
            "ece": float(binary_calibration_error(chance, target, n_bins=BINS)),
            "brier": brier_score_loss(truth, expit(logits)),
        }
        for name, rule in RULES.items():
            called = logits >= rule(known)
            expected[name] = (f1_score if name == "f1" else recall_score)(truth, called)
        assert found == pytest.approx(expected, abs=1e-6)


def test_texts_by_torchmetrics():
    from torchmetrics.functional.text import chrf_score, sacre_bleu_score

    random = np.random.default_rng(5)
    words = ("no", "pleural", "effusion", "heart", "is", "possible", "edema", "3.2", "cm", "Tip.")
    texts = [" ".join(random.choice(words, random.integers(6, 20))) for _ in range(40)]
    generated, references = (
        texts[:20],
        [f"{a} {b}" for a, b in zip(texts[:20], texts[20:], strict=True)],
    )
    targets = [[reference] for reference in references]
    bleu = corpus_bleu(bleu_statistics(generated, references).sum(0, keepdims=True).astype(float))
    assert bleu[0] == pytest.approx(float(sacre_bleu_score(generated, targets)), abs=1e-6)
    chrf = corpus_chrf(chrf_statistics(generated, references).sum(0, keepdims=True).astype(float))
    # It takes the mean of F over orders, sacreBLEU F of mean precision and recall.
    expected = chrf_score(generated, targets, n_word_order=0, whitespace=False)
    assert chrf[0] == pytest.approx(float(expected), abs=1e-4)
