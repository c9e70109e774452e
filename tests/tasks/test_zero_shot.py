"""Prompts as a head, and retrieval in the space that both towers share."""

import numpy as np
import polars as pl
import pytest
import torch

from radscale_lib.encoders.shared_space import SharedSpace
from radscale_lib.study.heads.zero_shot import ZeroShot
from radscale_lib.tasks import retrieval
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.heads.prompts import directions, prompts_of
from radscale_lib.tasks.retrieval import different, ranks
from radscale_lib.tasks.retrieval_scoring import recall_scores
from radscale_lib.tasks.retrieved import RANKS


def vectors(texts):
    """A vector of each text, always the same."""
    seeds = [sum(map(ord, text)) for text in texts]
    return np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds])


def space(scale=10.0):
    return SharedSpace(lambda texts: torch.from_numpy(vectors(texts)), None, scale)


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def test_prompts_are_the_labels_in_words_unless_the_study_says_others():
    section = ZeroShot(
        kind="zero-shot",
        templates=["{}.", "film: {}"],
        prompts={"effusion": {"present": ["pleural effusion", "fluid"], "absent": ["dry"]}},
    )
    assert prompts_of(section, "ett") == (
        ["endotracheal tube.", "film: endotracheal tube"],
        ["no endotracheal tube.", "film: no endotracheal tube"],
    )
    assert prompts_of(section, "effusion") == (
        ["pleural effusion.", "fluid.", "film: pleural effusion", "film: fluid"],
        ["dry.", "film: dry"],
    )


def test_log_odds_are_those_of_the_softmax_over_both_sides():
    section = ZeroShot(kind="zero-shot", templates=["{}", "film of {}"])
    images = unit(np.random.default_rng(1).normal(size=(5, 8)))
    found = images @ directions(section, ["ett", "effusion"], space())
    for column, label in enumerate(["ett", "effusion"]):
        sides = [unit(unit(vectors(texts)).mean(0)) for texts in prompts_of(section, label)]
        chance = np.exp(10 * images @ np.stack(sides, axis=1))
        chance /= chance.sum(axis=1, keepdims=True)
        expected = np.log(chance[:, 0]) - np.log(chance[:, 1])
        assert found[:, column] == pytest.approx(expected, abs=1e-5)


def test_texts_of_the_same_words_are_one():
    texts = different(["No effusion.", "Cardiomegaly", "no  EFFUSION", "no effusion here"])
    assert texts.texts == ["No effusion.", "Cardiomegaly", "no effusion here"]
    assert texts.of.tolist() == [0, 1, 0, 2]


def test_ranks_count_the_wrong_answers_before_the_right_one(monkeypatch):
    random = np.random.default_rng(0)
    texts = unit(random.normal(size=(9, 5))).astype(np.float32)
    of = random.integers(0, 9, 40)
    of[:9] = np.arange(9)
    images = unit(texts[of] + 0.8 * random.normal(size=(40, 5))).astype(np.float32)
    cosine = images @ texts.T
    expected = np.empty((40, 2), int)
    for image, text in enumerate(of):
        by_image = sorted(range(9), key=lambda t: -cosine[image, t])
        by_text = sorted(range(40), key=lambda i: -cosine[i, text])
        expected[image] = (
            by_image.index(text),
            next(place for place, i in enumerate(by_text) if of[i] == text),
        )
    for at_once in (retrieval.AT_ONCE, 30):
        monkeypatch.setattr(retrieval, "AT_ONCE", at_once)
        assert (ranks(images, texts, of) == expected).all()
    assert 0 < (expected[:, 0] == 0).mean() < 1 and 0 < (expected[:, 1] == 0).mean() < 1


def test_an_encoder_to_which_all_is_alike_finds_nothing():
    same = np.ones((12, 1), np.float32)
    assert (ranks(same, same[:6], np.arange(12) % 6) == [5, 10]).all()


def test_recall_and_its_interval_are_of_patients():
    random = np.random.default_rng(0)
    found = random.integers(0, 12, (300, 2))
    patients = [str(image // 3) for image in range(300)]
    draws = PatientDraws.draw(patients, 200, 0)
    table = pl.DataFrame(dict(zip(RANKS, found.T, strict=True)))
    scores = {(score.target, score.metric): score for score in recall_scores(table, draws)}
    for at in (1, 5, 10):
        both = (found < at).mean(axis=0)
        for target, expected in zip(("image-to-report", "report-to-image"), both, strict=True):
            score = scores[target, f"recall_at_{at}"]
            assert (score.value, score.cases, score.positives) == (expected, 300, None)
            weights = draws.counts[7][draws.patient]
            column = 0 if target == "image-to-report" else 1
            again = (weights * (found[:, column] < at)).sum() / weights.sum()
            assert score.resamples[7] == pytest.approx(again)
        macro = scores["macro", f"recall_at_{at}"]
        assert macro.value == pytest.approx(both.mean()) and macro.positives is None
        lower, upper = macro.interval(0.95)
        assert lower < macro.value < upper
