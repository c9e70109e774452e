"""BLEU, chrF and ROUGE-L against sacreBLEU and rouge_score, resamples included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from radscale_lib.metrics.bleu import bleu_statistics, corpus_bleu
from radscale_lib.metrics.chrf import chrf_statistics, corpus_chrf
from radscale_lib.metrics.rouge_l import rouge_l
from radscale_lib.tasks.bootstrap import PatientDraws

WORDS = (
    "no",
    "pleural",
    "effusion",
    "heart",
    "is",
    "possible",
    "edema",
    "3.2",
    "cm",
    "Tip",
    ".",
    ",",
)
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6)


def _reference(generated, references):
    return BLEU().corpus_score(list(generated), [list(references)]).score / 100


@given(PAIRS)
def test_bleu_equals_sacrebleu(pairs):
    generated, references = zip(*pairs, strict=True)
    sums = bleu_statistics(generated, references).sum(0, keepdims=True).astype(float)
    assert corpus_bleu(sums)[0] == pytest.approx(_reference(generated, references), abs=1e-12)


def test_resampled_bleu_equals_scoring_the_drawn_reports():
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(4, 12))) for _ in range(24)]
    generated, references = texts[:12], texts[12:]
    draws = PatientDraws.draw([f"p{index // 2}" for index in range(12)], 20, seed=1)
    resampled = corpus_bleu(draws.sums(bleu_statistics(generated, references)))
    for draw in range(20):
        rows = np.repeat(np.arange(12), draws.counts[draw][draws.patient])
        expected = _reference([generated[r] for r in rows], [references[r] for r in rows])
        assert resampled[draw] == pytest.approx(expected, abs=1e-12)
    assert len(set(resampled.round(6))) > 10


@given(PAIRS)
def test_chrf_equals_sacrebleu(pairs):
    generated, references = zip(*pairs, strict=True)
    sums = chrf_statistics(generated, references).sum(0, keepdims=True).astype(float)
    expected = CHRF().corpus_score(list(generated), [list(references)]).score / 100
    assert corpus_chrf(sums)[0] == pytest.approx(expected, abs=1e-12)


@given(TEXTS, TEXTS)
def test_rouge_l_equals_rouge_score(generated, reference):
    expected = RougeScorer(["rougeL"]).score(reference, generated)["rougeL"].fmeasure
    assert rouge_l(generated, reference) == pytest.approx(expected, abs=1e-12)


def test_identical_reports_score_one():
    text = "No pleural effusion or pneumothorax."
    assert rouge_l(text, text) == 1
    sums = bleu_statistics([text], [text]).astype(float)
    assert corpus_bleu(sums)[0] == pytest.approx(1)
    assert rouge_l("", text) == rouge_l(text, "") == 0
