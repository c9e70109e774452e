"""Heads on frozen features: their votes, what they choose, and the rows they leave."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from radscale_lib.encoders.features import Features
from radscale_lib.study import parse_study
from radscale_lib.study.heads.attention import CHECKS, Attention
from radscale_lib.study.heads.knn import Knn
from radscale_lib.study.heads.linear import Linear
from radscale_lib.tasks.choice import chosen
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.features import NAMES
from radscale_lib.tasks.grids import Grids
from radscale_lib.tasks.heads import attention, knn, linear
from radscale_lib.tasks.heads.cases import Cases
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.scoring import score_run
from tests.tasks.conftest import STUDY

RUN = "rad-dino-open"


def cases(files, images=240, width=12, seed=0):
    """Two labels that depend on the first two features; a tenth of the cells is unknown."""
    random = np.random.default_rng(seed)
    pooled = random.normal(size=(images, width)).astype(np.float32)
    pooled[1::2] += 3  # a shift common to all features is uninformative
    noise = random.normal(size=(images, 2))
    truth = (pooled[:, :2] - pooled[:, 2:4] + noise > 0).astype(np.float32)
    truth[random.random(truth.shape) < 0.1] = np.nan
    split = np.resize(["train", "train", "validation", "test"], images).astype(object)
    index = pl.DataFrame({"patient_id": [f"{i // 3:032x}" for i in range(images)]})
    train = np.flatnonzero(split == "train")
    vectors = {name: part for name, part in zip(NAMES, np.array_split(pooled, 5, 1), strict=True)}
    vectors["mean.4"], vectors["global"] = pooled[:, :8], pooled[:, 8:]
    return Cases(
        inputs=None,
        index=index,
        vectors=vectors,
        truth=truth,
        study=files.study,
        task="findings",
        labels=("effusion", "nodule"),
        split=split,
        train=train,
    )


def unit(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (7, 0.07), (60, 0.5)])
def test_votes_are_those_of_scikit_learn(k, temperature):
    random = np.random.default_rng(2)
    train, rows = (unit(random.normal(size=(n, 6))) for n in (80, 25))
    truth = (random.random((80, 3)) < 0.4).astype(np.float32)
    has, told = knn.votes(knn.nearest(rows, train, k), truth, k, temperature)
    oracle = KNeighborsClassifier(
        k, metric="cosine", algorithm="brute", weights=lambda far: np.exp((1 - far) / temperature)
    ).fit(train, truth)
    expected = np.stack([chance[:, 1] for chance in oracle.predict_proba(rows)], axis=1)
    assert has / told == pytest.approx(expected, abs=1e-5)


def test_of_equally_near_images_the_first_vote(monkeypatch):
    """Whatever the number of rows at once: an archive holds images twice."""
    train = unit(np.repeat(np.eye(3), 4, axis=0))
    rows = unit(np.eye(3)[[2, 0, 1]] + [[0.01, 0, 0], [0, 0.01, 0], [0.02, 0, 0]])
    expected = [[8, 9, 10, 11, 0, 1], [0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 0, 1]]
    for at_once in (knn.AT_ONCE, 12):
        monkeypatch.setattr(knn, "AT_ONCE", at_once)
        place, cosine = knn.nearest(rows, train, 6)
        assert place.tolist() == expected
        assert (np.diff(cosine, axis=1) <= 0).all()


def test_neighbours_of_unknown_truth_have_no_vote():
    train, rows = unit(np.eye(3)), unit(np.ones((1, 3)))
    truth = np.array([[1], [np.nan], [0]], np.float32)
    has, told = knn.votes(knn.nearest(rows, train, 3), truth, 3, 1.0)
    assert (has.item(), told.item()) == pytest.approx((1, 2))


def test_knn_chooses_on_validation_and_says_what(files):
    of = cases(files)
    answer = knn.predict(Knn(kind="knn"), of)
    assert answer.logits.shape == (120, 2)
    assert np.isfinite(answer.logits).all()
    name, neighbours = answer.note.split(";")[0].split()[:2]
    assert name == "neighbours"
    one = knn.predict(Knn(kind="knn", neighbours=(1,), temperatures=(0.1,)), of)
    assert one.note == "neighbours 1; temperature 0.1"
    truth, known = of.truth[of.asked], ~np.isnan(of.truth[of.asked])
    right = [((each.logits > 0) == truth)[known].mean() for each in (answer, one)]
    assert int(neighbours) > 1
    assert right[0] > right[1] > 0.55
    validation_free = replace(of, split=np.where(of.split == "validation", "test", of.split))
    single = knn.predict(Knn(kind="knn", neighbours=(500,), temperatures=(0.1,)), validation_free)
    assert single.note == "neighbours 120; temperature 0.1"  # all there are


def test_pooled_features_are_chosen_on_validation(files):
    """Here the deepest level predicts the labels, and the global embedding does not."""
    of = cases(files)
    for predict, kind in ((linear.predict, Linear), (knn.predict, Knn)):
        name = kind.__name__.lower()
        answers = {
            tried: predict(kind(kind=name, features=tried), of)
            for tried in (("global",), ("last",), ("global", "last"))
        }
        both = answers["global", "last"]
        assert both.note.startswith("features last; ")
        assert both.note == f"features last; {answers['last',].note}"
        assert (both.logits == answers["last",].logits).all()
        assert (both.logits != answers["global",].logits).any()


def test_a_set_of_features_that_is_another_is_tried_once(files):
    of = cases(files)
    sets = of.sets(("study", "global", "last", "levels", "all"))
    assert sets == {
        "study": ("mean.4", "global"),
        "global": ("global",),
        "last": ("mean.4",),
        "levels": ("mean.1", "mean.2", "mean.3", "mean.4"),
        "all": NAMES,
    }
    deepest = of.study.evaluation.features.model_copy(update={"pool": ("mean",)})
    evaluation = of.study.evaluation.model_copy(update={"features": deepest})
    other = replace(of, study=of.study.model_copy(update={"evaluation": evaluation}))
    assert list(other.sets(("study", "last", "global"))) == ["study", "global"]


def test_a_choice_at_the_edge_is_said():
    assert chosen("penalty", 0.1, (0.1, 0.01, 1)) == "penalty 0.1"
    assert chosen("penalty", 1, (0.1, 0.01, 1)) == "penalty 1 (at the edge of what was tried)"
    assert chosen("penalty", 1, (1,)) == "penalty 1"


def test_shares_of_labels_are_nested_and_of_whole_patients(files):
    of = cases(files)
    patients = of.index["patient_id"].to_numpy()
    small, large = (of.share(share).train for share in (0.1, 0.25))
    assert set(small) < set(large) < set(of.train)
    for rows in (small, large):
        kept = set(patients[rows])
        assert set(rows) == {row for row in of.train if patients[row] in kept}
    everyone = len(set(patients[of.train]))
    assert len(set(patients[small])) == np.ceil(0.1 * everyone)
    assert len(of.share(1e-6).train) > 0


@pytest.fixture(scope="module")
def inputs(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    return Inputs(files.encoder(RUN), folder, files.catalog, files.shards)


def evaluated(inputs, out, heads):
    study = parse_study(
        STUDY
        | {"evaluation": {"resamples": 30, "tasks": {"findings": FINDINGS | {"heads": heads}}}}
        | {"scaling": {"metrics": {"findings": "auroc"}, "heads": {"findings": next(iter(heads))}}}
    )
    run = next(run for run in study.runs if run.arm == RUN)
    tables = {"findings": out / "predictions.parquet"}
    evaluate_run(study, run, inputs, tables, 1)
    scores = score_run(study, run, "rad-dino", tables, inputs.catalog)
    return [scores, pl.read_parquet(out / "predictions.parquet")]


FINDINGS = STUDY["evaluation"]["tasks"]["findings"]


def test_each_head_has_its_rows_and_leaves_the_others_as_they_are(inputs, tmp_path):
    alone, _ = evaluated(inputs, tmp_path / "one", {"linear": {"kind": "linear"}})
    heads = {
        "linear": {"kind": "linear", "label_shares": [0.3]},
        "near": {"kind": "knn", "neighbours": [1, 3, 5]},
    }
    scores, predictions = evaluated(inputs, tmp_path / "two", heads)
    names = ["linear", "linear@30%", "near"]
    assert scores["head"].unique().sort().to_list() == names
    assert scores.filter(head="linear").equals(alone)
    values = scores.filter(target="macro", metric="auroc")["value"]
    assert values.n_unique() == 3
    assert scores.filter(head="near")["choice"].unique().item().startswith("neighbours ")
    by_head = predictions.partition_by("head", include_key=False, as_dict=True)
    assert [name for (name,) in by_head] == names
    ids = by_head["near",]["image_id"]
    assert all(table["image_id"].equals(ids) for table in by_head.values())


def hidden_cell(images, seed):
    """Grids of four levels, in which one cell of the first says whether the image is positive."""
    random = np.random.default_rng(seed)
    truth = (random.random((images, 2)) < 0.5).astype(np.float32)
    levels = [random.normal(size=(images, 6, side, side)) for side in (8, 4, 4, 2)]
    for image in range(images):
        for label in (0, 1):
            row, column = random.integers(0, 8, 2)
            levels[0][image, 2 * label : 2 * label + 2, row, column] = [
                6,
                4 if truth[image, label] else -4,
            ]
    truth[random.random(truth.shape) < 0.1] = np.nan
    return Grids(Given([torch.from_numpy(level).float() for level in levels]), ""), truth


class Given:
    """Levels in place of an encoder that makes them."""

    device = torch.device("cpu")

    def __init__(self, levels):
        self.levels = levels

    def __len__(self):
        return len(self.levels[0])

    def batches(self, label):
        yield range(len(self)), Features(torch.zeros(len(self), 3), tuple(self.levels))


def test_attention_finds_the_cell_that_tells():
    """A mean over the grid cannot, since each label depends on one cell of 64."""
    section = Attention(kind="attention", width=16, steps=150, rates=(1e-4, 1e-2), batch=32)
    train, test = hidden_cell(400, 1), hidden_cell(200, 2)
    model, note = attention.fit(section, *train, *test, 5, "task")
    again, _ = attention.fit(section, *train, *test, 5, "task")
    assert note.startswith("rate 0.01 (at the edge of what was tried); steps ")
    same = zip(model.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)
    grids, truth = hidden_cell(300, 3)
    with torch.no_grad():
        logits = model(grids(torch.arange(300))).numpy()
    pooled = [
        np.concatenate([level.mean((2, 3)) for level in each(torch.arange(len(each)))], axis=1)
        for each in (train[0], grids)
    ]
    for label in (0, 1):
        known = ~np.isnan(truth[:, label])
        learnt = ~np.isnan(train[1][:, label])
        mean = LogisticRegression().fit(pooled[0][learnt], train[1][learnt, label])
        of_mean = roc_auc_score(truth[known, label], mean.decision_function(pooled[1])[known])
        of_attention = roc_auc_score(truth[known, label], logits[known, label])
        assert of_attention > 0.97 > 0.85 > of_mean


def test_attention_keeps_the_weights_of_least_validation_loss(monkeypatch):
    """Labels without a pattern are learnt by heart, so that the loss on others rises."""
    (train, truth), (validation, expected) = hidden_cell(24, 1), hidden_cell(60, 2)
    random = np.random.default_rng(4)
    truth, expected = (random.permutation(each) for each in (truth, expected))
    section = Attention(kind="attention", width=16, steps=100, rates=(1e-2,), patience=3)
    losses = []
    true_losses = attention.validation_losses

    def recorded(*given):
        losses.extend(true_losses(*given))
        return losses[-1:]

    monkeypatch.setattr(attention, "validation_losses", recorded)
    model, note = attention.fit(section, train, truth, validation, expected, 5, "")
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + section.patience < CHECKS
    assert note.split("; ")[1].split(" (")[0] == f"steps {5 * (best + 1)}"
    assert true_losses([model], validation, expected, section.batch) == [losses[best]]
    assert losses[-1] > losses[best]


def test_attention_of_an_encoder_has_its_rows(inputs, tmp_path):
    heads = {
        "linear": {"kind": "linear"},
        "tokens": {
            "kind": "attention",
            "width": 8,
            "steps": 40,
            "batch": 16,
            "rates": [1e-2],
            "train_images": 25,
        },
    }
    (scores, predictions), (again, _) = (
        evaluated(inputs, tmp_path / name, heads) for name in ("one", "two")
    )
    assert scores.equals(again)
    of = scores.filter(head="tokens", target="macro", metric="auroc")
    assert of["choice"].item().startswith("rate 0.01; steps ")
    assert len(predictions.filter(head="tokens")) == len(predictions.filter(head="linear"))
    effusion = scores.filter(head="tokens", target="effusion", metric="auroc")["value"].item()
    assert effusion > 0.7
