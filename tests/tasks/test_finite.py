"""Non-finite values leave a run without scores, and are reported where they arise."""

import shutil

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from radscale_lib.shards.reader import ShardReader
from radscale_lib.study import Run, parse_study
from radscale_lib.tasks import frozen
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.decoders.base import MaskDecoder
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.gather import gather
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.label_scores import label_scores
from radscale_lib.tasks.predictions import NO_PREDICTIONS
from radscale_lib.tasks.scores import MACRO
from radscale_lib.tasks.scoring import score_run
from tests.tasks.conftest import STUDY

RUN = Run("rad-dino-open", 0, 0)


def _damaged(files, folder, change):
    """The study's RAD-DINO with one tensor changed."""
    from safetensors import safe_open

    source = files.encoder("rad-dino-open")
    folder.mkdir()
    shutil.copy(source.with_name("encoder.json"), folder)
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(source)
    change(tensors)
    save_file(tensors, folder / "encoder.safetensors", metadata)
    return Inputs(folder / "encoder.safetensors", folder / "features", files.catalog, files.shards)


def _first(tensors, *parts):
    return next(name for name in sorted(tensors) if all(part in name for part in parts))


def _nan_weight(tensors):
    tensors[_first(tensors, "patch", "weight")].view(-1)[3] = float("nan")


def _large_activation(tensors):
    tensors[_first(tensors, "image.norm", "bias")].view(-1)[0] = 70_000.0


def _scores(study, inputs, out, *tasks):
    """Scores and predictions of all tasks."""
    tables = {task: out / task / "predictions.parquet" for task in tasks}
    evaluate_run(study, RUN, inputs, tables, threads=1)
    score_run(study, RUN, "rad-dino", tables, inputs.catalog)
    return [
        pl.read_parquet(path.with_name(f"{name}.parquet"))
        for path in tables.values()
        for name in ("scores", "predictions")
    ]


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan, -np.nan])
def test_features_are_finite_up_to_the_largest_of_float16(wrong):
    parts = [torch.zeros(3, 4, 5, dtype=torch.float16).transpose(0, 2), torch.zeros(2).half()]
    parts[0][4, 3, 2], parts[0][1, 1, 1], parts[1][1] = 65_504, -65_504, -0.0
    assert frozen.all_finite(parts)
    for part in parts:
        spoilt = part.clone()
        spoilt[(-1,) * part.dim()] = wrong
        assert not frozen.all_finite([spoilt, parts[0]])


@pytest.mark.parametrize(
    ("change", "told"),
    [(_nan_weight, "level 1 are NaN"), (_large_activation, "level 1 are beyond the numbers")],
)
def test_an_encoder_that_is_not_finite_has_no_scores(files, tmp_path, capsys, change, told):
    inputs = _damaged(files, tmp_path / "encoder", change)
    tasks = ("findings", "segmentation", "reports")
    tables = _scores(files.study, inputs, tmp_path, *tasks)
    assert [len(table) for table in tables] == [0] * 6
    said = capsys.readouterr().err
    assert f"{RUN.path}: features of {told}" in said
    assert "row 0 of part=0.parquet" in said
    for task in tasks:
        lines = [line for line in said.splitlines() if line.startswith(f"{RUN.path} {task} ")]
        assert len(lines) == 2 and all(told in line for line in lines)
    paths = [tmp_path / task / "scores.parquet" for task in tasks]
    gather(files.study, paths, tmp_path / "scores.parquet")
    assert f"no scores: findings of {RUN.path}" in capsys.readouterr().err
    assert len(pl.read_parquet(tmp_path / "scores.parquet")) == 0


def test_one_image_that_is_not_finite_is_named(files, tmp_path, monkeypatch, capsys):
    catalog = pl.read_parquet(files.catalog).filter(
        pl.col("split") == "train", pl.col("tubes").is_not_null()
    )
    shard, row = catalog.select("shard", "row").row(5)
    [stored] = ShardReader(files.shards).images([shard], [row])
    prepare = frozen.to_input

    def spoilt(images, encoder):
        inputs = prepare(images, encoder)
        for target, image in zip(inputs, images, strict=True):
            if np.array_equal(image, stored):
                target[0, 3, 3] = float("nan")
        return inputs

    monkeypatch.setattr(frozen, "to_input", spoilt)
    encoder = files.encoder("rad-dino-open")
    inputs = Inputs(encoder, tmp_path / "features", files.catalog, files.shards)
    scores, predictions = _scores(files.study, inputs, tmp_path, "segmentation")
    assert len(scores) == len(predictions) == 0
    assert f"level 1 are NaN, first of the image in row {row} of {shard}" in capsys.readouterr().err


def test_a_decoder_that_diverges_has_no_scores(files, tmp_path, capsys):
    values = yaml.safe_load(yaml.safe_dump(STUDY))
    values["evaluation"]["tasks"]["segmentation"]["decoder"]["lr"] = 1e38
    encoder = files.encoder("rad-dino-open")
    inputs = Inputs(encoder, tmp_path / "features", files.catalog, files.shards)
    scores, _ = _scores(parse_study(values), inputs, tmp_path, "segmentation")
    assert len(scores) == 0
    assert "lower decoder.lr" in capsys.readouterr().err


def test_a_decoder_that_diverges_beside_another_is_in_the_scores_with_its_reason(files, tmp_path):
    values = yaml.safe_load(yaml.safe_dump(STUDY))
    values["evaluation"]["tasks"]["segmentation"]["heads"] = {
        "linear": {"kind": "linear"},
        "wild": {"kind": "linear", "lr": 1e38},
    }
    values["scaling"]["heads"] = {"segmentation": "linear"}
    encoder = files.encoder("rad-dino-open")
    inputs = Inputs(encoder, tmp_path / "features", files.catalog, files.shards)
    scores, _ = _scores(parse_study(values), inputs, tmp_path, "segmentation")
    sound, failed = (scores.filter(head=head) for head in ("linear", "wild"))
    assert sound["value"].is_not_null().any()
    assert set(failed["metric"]) == set(sound["metric"])
    assert failed["value"].is_null().all() and set(failed["target"]) == {MACRO}
    [note] = failed["note"].unique()
    assert note.startswith(NO_PREDICTIONS) and "lower decoder.lr" in note


def test_masks_that_are_not_finite_name_the_run_and_the_image(files, tmp_path, monkeypatch, capsys):
    """Where a decoder with finite weights makes them of finite features."""
    catalog = pl.read_parquet(files.catalog).filter(
        pl.col("split") == "test", pl.col("tubes").is_not_null()
    )
    shard, row = catalog.select("shard", "row").row(9)
    forward, batches = MaskDecoder.forward, []

    def spoilt(decoder, levels):
        logits = forward(decoder, levels)
        if not decoder.training:
            batches.append(logits)
            if len(batches) == 2:
                logits[1, 0, 3, 3] = float("inf")
        return logits

    monkeypatch.setattr(MaskDecoder, "forward", spoilt)
    encoder = files.encoder("rad-dino-open")
    inputs = Inputs(encoder, tmp_path / "features", files.catalog, files.shards)
    scores, predictions = _scores(files.study, inputs, tmp_path, "segmentation")
    assert len(scores) == len(predictions) == 0
    said = capsys.readouterr().err
    assert f"{RUN.path} segmentation (pyramid): logits of masks are not finite" in said
    assert f"row {row} of {shard}" in said


def test_logits_that_are_not_finite_are_not_ranked():
    draws = PatientDraws.draw([str(index) for index in range(40)], 20, 0)
    truth = (np.arange(40) % 2.0)[:, None]
    logits = np.arange(40.0)[:, None]
    logits[3] = np.nan
    with pytest.raises(NotFiniteError, match="logits of effusion"):
        label_scores(["effusion"], truth, logits, draws)
