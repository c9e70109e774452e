"""Heads on frozen features: their votes, what they choose, and the rows they leave."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.neighbors import KNeighborsClassifier

from radscale_lib.study import parse_study
from radscale_lib.study.heads.knn import Knn
from radscale_lib.tasks.evaluate import write_task
from radscale_lib.tasks.extraction import extract
from radscale_lib.tasks.heads import knn
from radscale_lib.tasks.heads.cases import Cases, chosen
from radscale_lib.tasks.inputs import Inputs
from tests.tasks.conftest import STUDY

RUN = "rad-dino-open"


def cases(files, images=240, width=12, seed=0):
    """Two labels of which the first two features tell something; a tenth of the cells unknown."""
    random = np.random.default_rng(seed)
    pooled = random.normal(size=(images, width)).astype(np.float32)
    pooled[1::2] += 3  # a shift that all features share tells nothing
    noise = random.normal(size=(images, 2))
    truth = (pooled[:, :2] - pooled[:, 2:4] + noise > 0).astype(np.float32)
    truth[random.random(truth.shape) < 0.1] = np.nan
    split = np.resize(["train", "train", "validation", "test"], images).astype(object)
    index = pl.DataFrame({"patient_id": [f"{i // 3:032x}" for i in range(images)]})
    train = np.flatnonzero(split == "train")
    return Cases(
        files.study, "findings", None, ("effusion", "nodule"), index, pooled, truth, split, train
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
    made = Inputs(files.encoder(RUN), folder, files.catalog, files.shards)
    extract(files.study, made, pl.read_parquet(files.catalog), RUN)
    return made


def evaluated(inputs, out, heads):
    study = parse_study(
        STUDY
        | {"evaluation": {"resamples": 30, "tasks": {"findings": FINDINGS | {"heads": heads}}}}
        | {"scaling": {"metrics": {"findings": "auroc"}}}
    )
    run = next(run for run in study.runs if run.arm == RUN)
    write_task(study, run, "findings", inputs, out, 1)
    return [pl.read_parquet(out / f"{name}.parquet") for name in ("scores", "predictions")]


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
