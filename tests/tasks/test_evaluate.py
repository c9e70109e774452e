"""The scripts on a small study: tables, equal bytes, failed runs, gathering."""

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from polars.testing import assert_frame_equal
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score

from radscale_lib.encoders.prepare import to_input
from radscale_lib.encoders.storage import load_tower
from radscale_lib.files import file_digest, write_json
from radscale_lib.metrics.auroc import METRIC as AUROC
from radscale_lib.provenance.step import InputError
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study import Run, parse_study
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.draws import KEYS, read_scores
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.extraction import extract, grid_means
from radscale_lib.tasks.features import names_of, pooled, read_features, read_vectors
from radscale_lib.tasks.gather import MissingScoresError, gather
from radscale_lib.tasks.images import NoCasesError, select
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.ranking import resampled
from radscale_lib.tasks.rescore import score_predictions
from radscale_lib.tasks.runs import UnknownRunError, check_run
from radscale_lib.tasks.scores import SCHEMA
from radscale_lib.tasks.scoring import score_run
from tests.startup import HEAVY, run_without
from tests.tasks.conftest import STUDY

ROOT = Path(__file__).parents[2]
TASKS = ("findings", "tubes", "segmentation", "reports")
ARMS = ("mi2-open", "rad-dino-open")
MASKS = {"dice", "cldice", "surface_dice", "continuity", "tip_error", "tip_error_mm", "false_tubes"}


def _script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def _arguments(files, arm, encoder=None, study=None):
    values = {
        "study": study or files.study_file,
        "arm": arm,
        "size": 0,
        "seed": 0,
        "encoder": encoder or files.encoder(arm),
        "catalog": files.catalog,
        "shards": files.shards,
    }
    return [text for key, value in values.items() for text in (f"--{key}", str(value))]


def _evaluate(files, arm, out, *tasks, work=None, **changes):
    """Features, predictions and scores of a run below `out`."""
    arguments = _arguments(files, arm, **changes)
    places = ["--features", str(out / "features"), "--tasks", str(out)]
    chosen = [text for task in tasks for text in ("--task", task)]
    kept = ["--work", str(work)] if work else []
    _script("evaluate")([*arguments, *places, *chosen, *kept])
    _script("score_run")([*arguments[:12], "--tasks", str(out), *chosen])
    return out


def _folder(results, arm, task):
    return results / arm / task / arm / "n=0" / "seed=0"


@pytest.fixture(scope="module")
def results(files, tmp_path_factory):
    """Everything of both encoders, once."""
    root = tmp_path_factory.mktemp("results")
    for arm in ARMS:
        _evaluate(files, arm, root / arm)
    return root


def _inputs(files, results, arm, **changes):
    inputs = Inputs(files.encoder(arm), results / arm / "features", files.catalog, files.shards)
    return replace(inputs, **changes)


def test_features_are_the_towers_pooled_levels(files, results):
    catalog = pl.read_parquet(files.catalog)
    for arm in ARMS:
        tensors = load_file(results / arm / "features" / "features.safetensors")
        index = pl.read_parquet(results / arm / "features" / "index.parquet")
        kept = catalog.filter(pl.col("split") != "pool")
        assert index["image_id"].to_list() == kept["image_id"].to_list()
        assert set(tensors) == {"mean.1", "mean.2", "mean.3", "mean.4", "global"}
        tower = load_tower(files.encoder(arm))
        rows = kept[[0, 17]]
        images = ShardReader(files.shards).images(rows["shard"].to_list(), rows["row"].to_list())
        expected = tower.levels(to_input(images, tower.encoder))
        for level, grid in enumerate(expected.levels, start=1):
            found = tensors[f"mean.{level}"]
            assert found.dtype == np.float16
            assert found[[0, 17]] == pytest.approx(grid.mean((2, 3)).numpy(), abs=5e-3)
        assert tensors["global"][[0, 17]] == pytest.approx(expected.global_.numpy(), abs=5e-3)


def test_features_over_a_grid(files, tmp_path):
    """Kept if a head reads them: means over 4 x 4 cells; of fewer cells a side, the map itself."""
    heads = {"linear": {"kind": "linear", "features": ["grid"]}}
    tasks = {"findings": STUDY["evaluation"]["tasks"]["findings"] | {"heads": heads}}
    study = parse_study(
        STUDY | {"evaluation": {"tasks": tasks}, "scaling": {"metrics": {"findings": "auroc"}}}
    )
    for arm in ARMS:
        inputs = Inputs(files.encoder(arm), tmp_path / arm, files.catalog, files.shards)
        extract(study, inputs, arm, study.catalog_labels)
        kept = load_file(inputs.features / "features.safetensors")["grid"]
        tower = load_tower(files.encoder(arm))
        rows = pl.read_parquet(files.catalog).filter(pl.col("split") != "pool")[[0, 17]]
        images = ShardReader(files.shards).images(rows["shard"].to_list(), rows["row"].to_list())
        level = tower.levels(to_input(images, tower.encoder)).levels[-1]
        side = min(level.shape[-1], 4)
        cell = level.shape[-1] // side
        cells = level.unflatten(3, (side, cell)).unflatten(2, (side, cell)).mean((3, 5))
        assert kept[[0, 17]] == pytest.approx(cells.flatten(1).numpy(), abs=5e-3)
        vectors, _ = read_vectors(inputs)
        whole = pooled(vectors, names_of("grid", study.evaluation.features))
        assert whole.shape[1] == kept.shape[1] + vectors["global"].shape[1]
    uneven = torch.arange(36.0).reshape(1, 1, 6, 6)
    assert grid_means(uneven).shape == (1, 16)
    assert grid_means(uneven)[0, 1] == uneven[0, 0, :2, 1:3].mean()


def test_pooling_follows_the_study(files, results):
    section = files.study.evaluation.features
    inputs = _inputs(files, results, "mi2-open")
    tensors = load_file(inputs.features / "features.safetensors")
    levels = section.model_copy(update={"levels": (2, 4)})
    both, _ = read_features(inputs, levels)
    parts = [tensors[name] for name in ("mean.2", "mean.4", "global")]
    assert np.array_equal(both, np.concatenate(parts, 1).astype(np.float32))
    only, _ = read_features(inputs, section.model_copy(update={"pool": ("cls",)}))
    assert np.array_equal(only, tensors["global"].astype(np.float32))


def test_features_of_another_encoder_are_refused(files, results):
    mixed = _inputs(files, results, "mi2-open", encoder=files.encoder("rad-dino-open"))
    with pytest.raises(
        InputError, match=r"features of another encoder \(SHA-256 [0-9a-f]{16}\) than"
    ):
        read_features(mixed, files.study.evaluation.features)


@pytest.mark.parametrize("name", ["features.safetensors", "index.parquet"])
def test_damaged_features_are_named(files, results, tmp_path, name):
    section = files.study.evaluation.features
    shutil.copytree(results / "mi2-open" / "features", tmp_path / "features")
    inputs = _inputs(files, results, "mi2-open", features=tmp_path / "features")
    path = tmp_path / "features" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=f"{path}: damaged, .*: delete it and run snakemake again"):
        read_features(inputs, section)
    path.unlink()
    with pytest.raises(InputError, match=f"{path}: missing: delete it and run snakemake again"):
        read_features(inputs, section)


def test_the_card_is_among_the_files_of_a_task(files, tmp_path):
    """If there is one: an encoder from elsewhere has none."""
    inputs = Inputs(tmp_path / "encoder.safetensors", tmp_path, files.catalog, files.shards)
    assert inputs.card not in inputs.files(files.study, ["findings"])
    inputs.card.touch()
    assert inputs.card in inputs.files(files.study, ["findings"])


def test_images_that_are_not_what_jobs_made_end_without_a_traceback(files, tmp_path, capsys):
    catalog = tmp_path / "catalog.parquet"
    pl.read_parquet(files.catalog).with_columns(row=pl.col("row") + 10_000).write_parquet(catalog)
    arguments = _arguments(files, "mi2-open")
    arguments[arguments.index("--catalog") + 1] = str(catalog)
    with pytest.raises(SystemExit, match="1"):
        places = ["--features", str(tmp_path / "features"), "--tasks", str(tmp_path / "tasks")]
        _script("evaluate")([*arguments, *places])
    said = capsys.readouterr().err
    assert ".parquet: " in said and "Traceback" not in said
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize("arm", ARMS)
def test_scores(files, results, arm):
    of_labels = {"auroc", "auprc", "f1", "brier", "ece"}
    of_labels |= {f"sensitivity_at_specificity_{percent}" for percent in (90, 95)}
    metrics = {
        "findings": of_labels,
        "tubes": of_labels,
        "segmentation": MASKS,
        "reports": {"bleu", "chrf", "rouge_l", "lexical_f1"},
    }
    for task in TASKS:
        scores = read_scores(_folder(results, arm, task) / "scores.parquet")
        assert dict(scores.schema) == dict(SCHEMA)
        assert set(scores["metric"]) == metrics[task]
        assert set(scores["encoder"]) == {files.study.encoder_of(arm)}
        macro = scores.filter(pl.col("target") == "macro")
        assert set(macro["metric"]) == metrics[task]
        assert (macro["resamples"].list.len() == 40).all()
        shares = macro.filter(pl.col("metric") != "tip_error_mm")
        assert shares["value"].is_between(0, 1).all()
        assert (macro["lower"] <= macro["upper"]).all()
        unsure = macro.filter(pl.col("lower").is_null())
        assert set(unsure["metric"]) <= {"bleu"} and set(unsure["note"]) <= {"too few"}


@pytest.mark.parametrize("arm", ARMS)
def test_further_tables_of_scoring(files, results, arm):
    for task, more in zip(
        TASKS, (["reliability"], ["reliability"], ["masks"], ["examples"]), strict=True
    ):
        folder = _folder(results, arm, task)
        found = sorted(path.stem for path in folder.iterdir())
        assert found == sorted(["predictions", "scores", "draws", "subgroups", *more])
        draws = pl.read_parquet(folder / "draws.parquet")
        assert draws["resamples"].dtype == pl.List(pl.Float32)
        scores = pl.read_parquet(folder / "scores.parquet")
        assert draws.select(KEYS).equals(scores.select(KEYS))
        # The catalog of the study knows one view, and neither year nor scanner.
        assert pl.read_parquet(folder / "subgroups.parquet").is_empty()
    reliability = pl.read_parquet(_folder(results, arm, "findings") / "reliability.parquet")
    scores = pl.read_parquet(_folder(results, arm, "findings") / "scores.parquet")
    cases = reliability.filter(target="effusion")["cases"].sum()
    assert cases == scores.filter(target="effusion", metric="brier")["cases"][0]
    examples = pl.read_parquet(_folder(results, arm, "reports") / "examples.parquet")
    predictions = pl.read_parquet(_folder(results, arm, "reports") / "predictions.parquet")
    written = dict(zip(predictions["image_id"], predictions["generated"], strict=True))
    assert [written[image] for image in examples["image_id"]] == examples["generated"].to_list()
    assert len(examples) == min(48, len(predictions))
    assert examples["image_id"].is_sorted() and examples["rouge_l"].is_between(0, 1).all()


def test_subgroups_are_made_by_the_catalogs_columns(files, results, tmp_path):
    """Each with its own images; a finding also by the tube that comes with it."""
    views = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("AP")).otherwise(pl.lit("PA"))
    catalog = pl.read_parquet(files.catalog).with_columns(view=views)
    catalog.write_parquet(tmp_path / "catalog.parquet")
    protocol = STUDY["evaluation"] | {"shortcuts": {"effusion": "ett"}}
    tables = {}
    for task in TASKS:
        tables[task] = tmp_path / task / "predictions.parquet"
        tables[task].parent.mkdir()
        shutil.copy(_folder(results, "mi2-open", task) / "predictions.parquet", tables[task])
    study = parse_study(STUDY | {"evaluation": protocol})
    score_run(study, Run("mi2-open", 0, 0), "mi2", tables, tmp_path / "catalog.parquet")
    groups = pl.read_parquet(tmp_path / "findings" / "subgroups.parquet")
    assert set(groups["by"]) == {"view", "effusion by ett"}
    assert set(groups["head"]) == {"linear"}
    of_label = groups.filter(kind="group", target="effusion", metric="auroc")
    test = pl.read_parquet(tables["findings"]).filter(split="test")
    known = test.join(catalog, on="image_id").drop_nulls("target:effusion")
    for view in ("AP", "PA"):
        here = known.filter(view=view)
        expected = roc_auc_score(here["target:effusion"], here["logit:effusion"])
        assert of_label.filter(group=view)["value"].to_list() == [pytest.approx(expected)]
    for group, has in (("with ett", 1), ("without ett", 0)):
        here = known.filter((pl.col("target:effusion") == 0) | (pl.col("tube:ett") == has))
        expected = roc_auc_score(here["target:effusion"], here["logit:effusion"])
        assert of_label.filter(group=group)["value"].to_list() == [pytest.approx(expected)]
    for task, metric in (("segmentation", "dice"), ("reports", "chrf")):
        found = pl.read_parquet(tmp_path / task / "subgroups.parquet")
        assert set(found["by"]) == {"view"}
        assert metric in set(found["metric"])


def test_predictions_of_another_encoder_are_refused(files, results):
    path = _folder(results, "mi2-open", "findings") / "predictions.parquet"
    ours, other = (file_digest(files.encoder(arm))[:16] for arm in ARMS)
    with pytest.raises(InputError, match=rf"another encoder \(SHA-256 {ours}.*{other}.*again"):
        score_run(
            *(files.study, Run("mi2-open", 0, 0), "mi2", {"findings": path}, files.catalog),
            files.encoder("rad-dino-open"),
        )


def test_scores_follow_from_the_predictions(files, results, tmp_path):
    folder = _folder(results, "rad-dino-open", "findings")
    scores = read_scores(folder / "scores.parquet")
    catalog = pl.read_parquet(files.catalog)
    for split in ("validation", "test"):
        predictions = pl.read_parquet(folder / "predictions.parquet").filter(split=split)
        kept = catalog.filter(pl.col("split") == split, pl.col("labelled"))
        assert predictions["image_id"].to_list() == kept["image_id"].to_list()
    draws = PatientDraws.draw(
        predictions["patient_id"].to_list(), files.study.evaluation.resamples, 0
    )
    known = predictions["target:effusion"].is_not_null().to_numpy()
    truth = predictions["target:effusion"].to_numpy()[known] == 1
    logit = predictions["logit:effusion"].to_numpy()[known]
    sample = resampled([AUROC], truth, logit, np.flatnonzero(known), draws)[0]
    label = scores.filter(pl.col("target") == "effusion", pl.col("metric") == "auroc")
    kept = label["resamples"][0].to_numpy()
    assert np.array_equal(np.isnan(kept), np.isnan(sample))
    defined = ~np.isnan(sample)
    assert np.corrcoef(kept[defined], sample[defined])[0, 1] > 0.5
    ends = np.quantile(kept[defined], [0.025, 0.975])
    assert ends == pytest.approx([label["lower"][0], label["upper"][0]], abs=0.05)
    out = tmp_path / "S.parquet"
    score_predictions(folder / "predictions.parquet", out, 40, 0.95, 0)
    again = pl.read_parquet(out).sort("label", "metric")
    shared = ["metric", "value", "lower", "upper", "cases", "positives", "note"]
    # Ends are interpolated: the order of a sum changes their ninth digit.
    assert_frame_equal(
        again.select(shared), scores.sort("target", "metric").select(shared), rel_tol=1e-7
    )


def test_uncertain_and_unlabelled_images_are_left_out(files, results):
    """Patient 7 is uncertain about the nodule, 8 blank (negative here), 9 without labels."""
    index = pl.read_parquet(results / "mi2-open" / "features" / "index.parquet")
    by_patient = dict(zip(index["patient_id"].str.slice(0, 2), index["split"], strict=True))
    assert (by_patient["07"], by_patient["08"]) == ("train", "test")
    predictions = pl.read_parquet(_folder(results, "mi2-open", "findings") / "predictions.parquet")
    blank = predictions.filter(pl.col("patient_id").str.starts_with("08"))
    assert blank["target:nodule"].to_list() == [0]


def test_probes_find_what_is_drawn(results):
    """Even random towers pass a bright corner on: a broken join or order would give 0.5."""
    for arm in ARMS:
        scores = pl.read_parquet(_folder(results, arm, "findings") / "scores.parquet")
        effusion = scores.filter(pl.col("target") == "effusion", pl.col("metric") == "auroc")
        assert effusion["value"][0] > 0.9


def test_positions_of_tubes_are_labels_like_any(files, tmp_path):
    """In RANZCR CLiP's classes; a class with the truth of a tube has the tube's scores."""
    names = ("ETT - Normal", "ETT - Abnormal")
    truths = [pl.col(source).alias(f"position:{name}") for source, name in zip(
        ("tube:ett", "finding:effusion"), names, strict=True
    )]  # fmt: skip
    pl.read_parquet(files.catalog).with_columns(truths).write_parquet(tmp_path / "catalog.parquet")
    tasks = {
        target: {"kind": "classification", "target": target, "penalties": [1e-2]}
        for target in ("tubes", "positions")
    }
    study = parse_study(
        STUDY
        | {"labels": STUDY["labels"] | {"positions": list(names)}}
        | {"evaluation": STUDY["evaluation"] | {"tasks": tasks}}
        | {"scaling": {"metrics": dict.fromkeys(tasks, "auroc")}}
    )
    run = Run(ARMS[1], 0, 0)
    catalog = tmp_path / "catalog.parquet"
    inputs = Inputs(files.encoder(run.arm), tmp_path / "features", catalog, files.shards)
    tables = {task: tmp_path / task / "predictions.parquet" for task in tasks}
    evaluate_run(study, run, inputs, tables, threads=1)
    scores = score_run(study, run, "rad-dino", tables, catalog)
    found = scores.filter(pl.col("task") == "positions")
    assert set(found["target"]) == {*names, "macro", "micro"}
    alike = [
        scores.filter(target=name).sort("metric").select("metric", "value", "lower", "upper")
        for name in ("ett", names[0])
    ]
    assert len(alike[0]) > 5
    assert_frame_equal(*alike)


def test_masks_are_those_of_annotated_test_images_the_truth_of_any_encoder(files, results):
    one, other = (
        pl.read_parquet(_folder(results, arm, "segmentation") / "predictions.parquet")
        for arm in ARMS
    )
    catalog = pl.read_parquet(files.catalog).filter(
        pl.col("split") == "test", pl.col("tubes").is_not_null()
    )
    assert one["image_id"].to_list() == catalog["image_id"].to_list()
    assert len(catalog) < (pl.read_parquet(files.catalog)["split"] == "test").sum()
    drawn = [len(json.loads(tubes)) > 0 for tubes in catalog["tubes"]]
    assert one["true:ett"].is_not_null().to_list() == drawn
    assert one.drop("predicted:ett").equals(other.drop("predicted:ett"))
    assert set(one.select("rows", "columns").iter_rows()) == {(40, 32)}
    assert one["pixel_mm"].to_list() == catalog["spacing_mm"].to_list()


def test_reports_are_written_for_the_chosen_test_images(files, results):
    predictions = pl.read_parquet(_folder(results, "mi2-open", "reports") / "predictions.parquet")
    catalog = pl.read_parquet(files.catalog)
    assert len(predictions) == 20
    reference = dict(zip(catalog["image_id"], catalog["findings"], strict=True))
    assert [reference[image] for image in predictions["image_id"]] == predictions[
        "reference"
    ].to_list()
    other = pl.read_parquet(_folder(results, "rad-dino-open", "reports") / "predictions.parquet")
    assert predictions["image_id"].to_list() == other["image_id"].to_list()


def _files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.[ps]*")}


def test_same_inputs_give_the_same_bytes(files, results, tmp_path):
    assert _files(_evaluate(files, "mi2-open", tmp_path)) == _files(results / "mi2-open")


def test_a_task_alone_has_the_bytes_that_it_has_among_others(files, results, tmp_path):
    for task in reversed(TASKS):
        _evaluate(files, "mi2-open", tmp_path, task)
    assert _files(tmp_path) == _files(results / "mi2-open")


def test_scores_say_how_many_images_the_run_learnt_from(files, results, tmp_path):
    scores = pl.read_parquet(_folder(results, "mi2-open", "findings") / "scores.parquet")
    assert scores["images"].null_count() == len(scores)
    encoder = tmp_path / "run" / "encoder.safetensors"
    encoder.parent.mkdir()
    shutil.copy(files.encoder("mi2-open"), encoder)
    write_json(encoder.with_name("encoder.json"), {"status": "ok", "images": 17})
    _evaluate(files, "mi2-open", tmp_path / "mi2-open", "findings", encoder=encoder)
    told = pl.read_parquet(_folder(tmp_path, "mi2-open", "findings") / "scores.parquet")
    assert set(told["images"]) == {17}
    assert told.drop("images").equals(scores.drop("images"))


@pytest.mark.parametrize("empty", [True, False])
def test_a_failed_run_leaves_empty_tables(files, results, tmp_path, capsys, empty):
    encoder = tmp_path / "run" / "encoder.safetensors"
    encoder.parent.mkdir()
    if empty:
        encoder.touch()
    else:
        shutil.copy(files.encoder("mi2-open"), encoder)
        write_json(encoder.with_name("encoder.json"), {"status": "failed", "reason": "diverged"})
    out = _evaluate(files, "mi2-open", tmp_path / "mi2-open", encoder=encoder)
    index = pl.read_parquet(out / "features" / "index.parquet")
    complete = pl.read_parquet(results / "mi2-open" / "features" / "index.parquet")
    assert index.schema == complete.schema
    assert index.is_empty()
    for task in TASKS:
        for name in ("scores.parquet", "predictions.parquet"):
            table = pl.read_parquet(_folder(tmp_path, "mi2-open", task) / name)
            assert table.is_empty()
            made = _folder(results, "mi2-open", task) / name
            assert table.schema == pl.read_parquet(made).schema
    said = capsys.readouterr().err
    assert said.count("the run failed: no features") == 1
    assert said.count("the run failed: no predictions") == 4
    assert said.count("the run failed: no scores") == 4


def test_a_task_without_images_says_so(files, results, tmp_path):
    bare = tmp_path / "catalog.parquet"
    catalog = pl.read_parquet(files.catalog)
    catalog.with_columns(tubes=pl.lit(None, pl.String)).write_parquet(bare)
    inputs = Inputs(files.encoder("mi2-open"), results / "x", bare, files.shards)
    from radscale_lib.tasks import segmentation

    with pytest.raises(NoCasesError, match=r"segmentation.*train.*tube annotations"):
        segmentation.predict(files.study, "segmentation", "pyramid", inputs)


def test_runs_and_tasks_that_the_study_lacks_are_named(files):
    run = Run("mi2-open", 0, 0)
    check_run(files.study, run, ["findings"])
    with pytest.raises(UnknownRunError, match=r"mi2-open/n=5.*rad-dino/n=20/seed=0"):
        check_run(files.study, run._replace(size=5))
    with pytest.raises(UnknownRunError, match=r"finding: .*findings, tubes"):
        check_run(files.study, run, ["finding"])


def test_images_are_chosen_by_their_id_alone(files):
    catalog = pl.read_parquet(files.catalog)
    chosen = select(catalog, "test", 10)
    assert len(chosen) == 10
    assert chosen["image_id"].is_sorted()
    fewer = select(catalog, "test", 4)
    assert set(fewer["image_id"]) < set(chosen["image_id"])
    shuffled = select(catalog.sample(fraction=1, shuffle=True, seed=1), "test", 10)
    assert shuffled.equals(chosen)
    assert len(select(catalog, "test", None)) == (catalog["split"] == "test").sum()


def test_gather(files, results, tmp_path, capsys):
    paths = [_folder(results, arm, task) / "scores.parquet" for arm in ARMS for task in TASKS]
    out = tmp_path / "scores.parquet"
    _script("gather")(
        ["--study", str(files.study_file), "--scores", *map(str, paths), "--out", str(out)]
    )
    assert pl.read_parquet(out).columns == [name for name in SCHEMA if name != "resamples"]
    gathered = read_scores(out)
    assert dict(gathered.schema) == dict(SCHEMA)
    assert gathered["resamples"].null_count() == 0
    reliability = pl.read_parquet(tmp_path / "reliability.parquet")
    assert set(reliability["task"]) == {"findings", "tubes"}
    assert pl.read_parquet(tmp_path / "subgroups.parquet").is_empty()
    assert len(gathered) == sum(len(pl.read_parquet(path)) for path in paths)
    keys = gathered.select("arm", "size", "seed", "task", "target", "metric").rows()
    assert keys == sorted(keys)
    said = capsys.readouterr().err
    expected = len(files.study.runs) * len(TASKS)
    assert f"scores of 8 of {expected} tasks and runs" in said
    assert said.count("no scores: ") == expected - 8
    assert "no scores: reports of rad-dino/n=20/seed=0" in said
    (tmp_path / "reversed").mkdir()
    gather(files.study, paths[::-1], tmp_path / "reversed" / "scores.parquet")
    for name in ("scores", "draws", "subgroups", "reliability"):
        path = tmp_path / "reversed" / f"{name}.parquet"
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_a_strict_study_refuses_gaps(files, results, tmp_path):
    values = yaml.safe_load(files.study_file.read_text()) | {"strict": True}
    from radscale_lib.study import parse_study

    with pytest.raises(MissingScoresError, match=r"\d+ of \d+ scores are missing"):
        gather(
            parse_study(values),
            [_folder(results, arm, task) / "scores.parquet" for arm in ARMS for task in TASKS],
            tmp_path / "scores.parquet",
        )
    assert not (tmp_path / "scores.parquet").exists()


@pytest.mark.parametrize(
    ("script", "heavy"), [("evaluate", HEAVY), ("score_run", {*HEAVY, "torch"})]
)
def test_steps_load_no_heavy_library_that_they_do_not_need(files, results, tmp_path, script, heavy):
    arguments = _arguments(files, "mi2-open")
    ours = shutil.copytree(results / "mi2-open", tmp_path / "out")
    made = list(ours.rglob("predictions.parquet" if script == "evaluate" else "scores.parquet"))
    before = [path.read_bytes() for path in made]
    for path in made:
        path.unlink()
    options = ["--tasks", str(ours)]
    if script == "evaluate":
        options += [*arguments[8:], "--features", str(ours / "features")]
    else:
        options += arguments[8:12]
    program = [sys.executable, str(ROOT / f"scripts/{script}.py")]
    command = run_without(heavy, [*program, *arguments[:8], *options])
    subprocess.run(command, cwd=ROOT, check=True)
    assert [path.read_bytes() for path in made] == before
