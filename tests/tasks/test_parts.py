"""What is kept of a run's evaluation: a change computes what it changes, and nothing else."""

from dataclasses import replace

import polars as pl
import pytest
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from radscale_lib.shards.labels import group_columns
from radscale_lib.study import Run, parse_study
from radscale_lib.tasks import frozen, generation, memory, segmentation
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.predictions import Predicted
from radscale_lib.tasks.scoring import score_run
from tests.tasks.conftest import STUDY

RUN = Run("rad-dino-open", 0, 0)
TASKS = ("findings", "tubes", "segmentation", "reports")


def study_with(**changes):
    """The small study, with other values of its tasks at dotted keys (`__` for the dots)."""
    values = yaml.safe_load(yaml.safe_dump(STUDY))
    for key, value in changes.items():
        *path, last = key.split("__")
        section = values["evaluation"]["tasks"]
        for name in path:
            section = section[name]
        section[last] = value
    return parse_study(values)


class Evaluation:
    """An evaluation below a folder, and what it computed: decoder steps, and images encoded."""

    def __init__(self, files, folder, monkeypatch):
        self.inputs = Inputs(
            files.encoder(RUN.arm), folder / "features", files.catalog, files.shards
        )
        self.folder = folder
        self.steps = dict.fromkeys(("segmentation", "reports"), 0)
        self.encoded = 0
        for task, module in (("segmentation", segmentation), ("reports", generation)):
            monkeypatch.setattr(module, "search", self._counted(task, module.search))
        encode = frozen.FrozenEncoder._encode

        def counted(encoder, rows):
            self.encoded += len(rows)
            return encode(encoder, rows)

        monkeypatch.setattr(frozen.FrozenEncoder, "_encode", counted)

    def _counted(self, task, search):
        def counted(make, loss, images, decoder, *more):
            self.steps[task] += decoder.steps
            return search(make, loss, images, decoder, *more)

        return counted

    def __call__(self, study, work=True):
        """Steps of each decoder, images encoded, and the bytes of the predictions."""
        self.steps, self.encoded = dict.fromkeys(self.steps, 0), 0
        tables = {task: self.folder / "tasks" / task / "predictions.parquet" for task in TASKS}
        for path in [*tables.values(), *self.inputs.features.glob("*")]:
            path.unlink(missing_ok=True)  # as Snakemake does before a job
        evaluate_run(study, RUN, self.inputs, tables, 1, self.folder / "work" if work else None)
        made = {task: path.read_bytes() for task, path in tables.items()}
        return self.steps, self.encoded, made


@pytest.fixture
def evaluation(files, tmp_path, monkeypatch):
    return Evaluation(files, tmp_path, monkeypatch)


NONE = {"segmentation": 0, "reports": 0}


def test_a_change_of_one_task_runs_no_other_decoder_and_no_encoder(evaluation):
    first, encoded, before = evaluation(study_with())
    assert min(first.values()) > 0 and encoded > 0
    assert evaluation(study_with()) == (NONE, 0, before)

    rewarded = study_with(findings__penalties=[3.0])
    steps, encoded, after = evaluation(rewarded)
    assert (steps, encoded) == (NONE, 0)
    assert {task for task in TASKS if before[task] != after[task]} == {"findings"}
    assert after == evaluation(rewarded, work=False)[2]

    wider = study_with(findings__penalties=[3.0], segmentation__tube_width=0.1)
    steps, encoded, after = evaluation(wider)
    assert steps == first | {"reports": 0}
    assert after == evaluation(wider, work=False)[2]


def test_the_encoder_runs_once_for_all_tasks_where_its_features_fit(evaluation, monkeypatch):
    """Whatever batches tasks ask for; else once for each that asks."""
    split = pl.read_parquet(evaluation.inputs.catalog)["split"]
    outside = int((split != "pool").sum())
    _, encoded, _ = evaluation(study_with(), work=False)
    assert encoded == outside
    monkeypatch.setattr(memory, "KEPT_BYTES", 0)
    assert evaluation(study_with(), work=False)[1] > outside


def test_decoders_rates_and_steps_are_chosen_and_told(evaluation, tmp_path):
    searching = {"steps": 3, "batch": 8, "lr": [1e-3, 1e-2], "patience": 2}
    study = study_with(segmentation__decoder=searching | {"seeds": 2}, reports__decoder=searching)
    evaluation(study, work=False)
    for task, head in (("segmentation", "pyramid"), ("reports", "language-model")):
        choice = Predicted.read(tmp_path / "tasks" / task / "predictions.parquet").choices[head]
        rate, steps = choice.split("; ")
        assert rate in {f"rate {r:g} (at the edge of what was tried)" for r in searching["lr"]}
        assert steps.startswith("steps ")


def test_labels_in_tables_are_those_of_the_catalog_and_change_by_themselves(
    evaluation, files, tmp_path
):
    """Changed tubes in their table recompute the tubes' predictions, and run no encoder."""
    _, _, before = evaluation(study_with())
    catalog = pl.read_parquet(files.catalog)
    folder = tmp_path / "labels/held-out"
    folder.mkdir(parents=True)
    for group, columns in group_columns(files.study.labels).items():
        catalog.select("image_id", "labelled", *columns).write_parquet(folder / f"{group}.parquet")
    study = parse_study(STUDY | {"labels": STUDY["labels"] | {"source": "rules"}})
    evaluation.inputs = replace(evaluation.inputs, labels=folder)
    _, encoded, after = evaluation(study)
    assert encoded > 0
    for task in ("findings", "tubes"):
        assert pl.read_parquet(before[task]).equals(pl.read_parquet(after[task]))
    tubes = pl.read_parquet(folder / "tubes.parquet")
    tubes.with_columns(pl.lit(1, pl.Int8).alias("tube:ett")).write_parquet(folder / "tubes.parquet")
    steps, encoded, changed = evaluation(study)
    assert (steps, encoded) == (NONE, 0)
    assert {task for task in TASKS if after[task] != changed[task]} == {"tubes"}


def test_what_was_done_before_a_kill_is_kept(evaluation, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generation, "predict", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluation(study_with())
    steps, _, made = evaluation(study_with())
    assert steps["segmentation"] == 0 < steps["reports"]
    assert made == evaluation(study_with(), work=False)[2]


def test_what_is_damaged_or_of_another_encoder_is_made_anew(evaluation, files, tmp_path):
    first, _, before = evaluation(study_with())
    [kept] = (tmp_path / "work").rglob("segmentation.pyramid/predictions.parquet")
    content = kept.read_bytes()
    kept.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    steps, _, after = evaluation(study_with())
    assert steps == first | {"reports": 0} and after == before

    with safe_open(files.encoder(RUN.arm), "pt") as file:
        metadata = file.metadata()
    tensors = load_file(files.encoder(RUN.arm))
    next(iter(tensors.values())).view(-1)[0] += 1
    save_file(tensors, tmp_path / "other.safetensors", metadata)
    evaluation.inputs = replace(evaluation.inputs, encoder=tmp_path / "other.safetensors")
    steps, encoded, after = evaluation(study_with())
    assert steps == first and encoded > 0
    assert not set(after.values()) & set(before.values())


def test_a_run_without_an_encoder_leaves_what_is_kept(evaluation, tmp_path):
    _, _, before = evaluation(study_with())
    sound = evaluation.inputs
    (tmp_path / "failed.safetensors").touch()
    evaluation.inputs = replace(sound, encoder=tmp_path / "failed.safetensors")
    _, _, empty = evaluation(study_with())
    assert pl.read_parquet(tmp_path / "tasks/reports/predictions.parquet").is_empty()
    evaluation.inputs = sound
    assert evaluation(study_with()) == (NONE, 0, before)
    assert empty != before


def test_scores_need_the_predictions_alone(evaluation, tmp_path):
    """With other draws, another level and other phrases."""
    evaluation(study_with())
    tables = {task: tmp_path / "tasks" / task / "predictions.parquet" for task in TASKS}
    evaluation.steps, evaluation.encoded = dict(NONE), 0
    catalog = evaluation.inputs.catalog
    one = score_run(study_with(), RUN, "rad-dino", tables, catalog)
    two = score_run(
        study_with(reports__phrases={"effusion": ["wet"]}), RUN, "rad-dino", tables, catalog
    )
    assert (evaluation.steps, evaluation.encoded) == (NONE, 0)
    assert set(one["task"]) == set(TASKS)
    unread = pl.col("task") != "reports"
    assert one.filter(unread).equals(two.filter(unread))
