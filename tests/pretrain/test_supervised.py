"""Supervised training: what counts as known, what is learnt, what is kept of a base."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from radscale_lib.encoders.storage import EncoderFile, load_tower, read_encoder, save_encoder
from radscale_lib.encoders.towers import build as build_tower
from radscale_lib.files import read_json
from radscale_lib.pretrain.run import pretrain
from radscale_lib.pretrain.supervised import SupervisedLearner
from radscale_lib.study import parse_study
from tests.pretrain.archive import Archive
from tests.pretrain.runs import batches_of, job, trainer_of

NAN = float("nan")


def changed(archive: Archive, encoder: str = "rad-dino", **values: object) -> Archive:
    """The archive with another encoder of the supervised arm, or another policy of labels."""
    study = archive.study.model_dump(mode="json")
    study["arms"]["labels"]["encoder"] = encoder
    study["labels"] |= values
    return replace(archive, study=parse_study(study))


def learner_of(archive: Archive, folder: Path) -> SupervisedLearner:
    learner, _ = batches_of(job(archive, "labels"), folder)
    assert isinstance(learner, SupervisedLearner)
    return learner


def test_unknown_cells_assert_nothing(archive: Archive, tmp_path: Path) -> None:
    """Neither do images with none known; every known cell of a run weighs the same."""
    learner = learner_of(archive, tmp_path).eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(learner.model.classifier.weight)
    learner.known = 0.5
    images = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    targets = torch.tensor([[1, 0, NAN], [NAN, NAN, NAN], [0, NAN, 1], [NAN, 1, 0]])
    loss = learner({"images": images, "targets": targets}, 0)["loss"]
    odds = learner.model(images / 255)
    cells = [(0, 0), (0, 1), (2, 0), (2, 2), (3, 1), (3, 2)]
    terms = [F.binary_cross_entropy_with_logits(odds[cell], targets[cell]) for cell in cells]
    torch.testing.assert_close(loss, torch.stack(terms).sum() / (0.5 * 12))
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in learner.model.parameters())
    nothing = learner({"images": images, "targets": torch.full((4, 3), NAN)}, 0)["loss"]
    assert nothing.item() == 0


@pytest.mark.parametrize(
    ("uncertain", "blank", "effusion", "ett"),
    [
        ("ignore", "negative", NAN, 0),
        ("positive", "ignore", 1, NAN),
        ("negative", "ignore", 0, NAN),
    ],
)
def test_the_policy_is_that_of_evaluation(
    archive: Archive, tmp_path: Path, uncertain: str, blank: str, effusion: float, ett: float
) -> None:
    """Image 7 has an uncertain effusion; a tube that is not there is blank."""
    made = job(changed(archive, uncertain=uncertain, blank=blank), "labels", subset=None)
    _, batches = batches_of(made, tmp_path)
    targets = batches._targets  # type: ignore[attr-defined]
    assert len(targets) == 45  # of 60, a quarter is not labelled
    row = [number for number in range(60) if number % 4].index(7)
    np.testing.assert_array_equal(targets[row, 1:], np.float32([effusion, ett]))


def test_batches_are_paired_with_their_rows(archive: Archive, tmp_path: Path) -> None:
    _, batches = batches_of(job(archive, "labels"), tmp_path)
    batch = batches[3]
    drawn = [image.table_row for image in batches._source.step(batches._share, 3)]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(batch["targets"], batches._targets[drawn])  # type: ignore[attr-defined]
    assert batch["images"].shape == (8, 1, 32, 32)


@pytest.mark.parametrize("encoder", ["rad-dino", "mi2"])
def test_a_run_continues_the_tower_of_any_base(
    encoder: str, archive: Archive, tmp_path: Path
) -> None:
    """It sees the budget, learns the training labels, and keeps the averaged tower."""
    made = changed(archive, encoder)
    other, _ = batches_of(
        job(archive, {"rad-dino": "rad-dino", "mi2": "mi2-both"}[encoder]), tmp_path
    )
    base = tmp_path / "base.safetensors"
    content = EncoderFile(made.study.encoders[encoder], other.encoder())
    save_encoder(base, content)
    learner, _ = batches_of(job(made, "labels", base=base), tmp_path)
    for name, tensor in learner.encoder().items():
        if name.startswith("image."):
            assert torch.equal(tensor, content.tensors[name])
    pretrain(job(made, "labels", base=base, work=tmp_path / "work"), tmp_path, 1)
    card = read_json(tmp_path / "encoder.json")
    assert (card["status"], card["samples_seen"], card["paradigm"]) == ("ok", 96, "supervised")
    kept = read_encoder(tmp_path / "encoder.safetensors").tensors
    assert {name.partition(".")[0] for name in kept} == {"image", "classifier"}
    tower = load_tower(tmp_path / "encoder.safetensors")
    assert tower.encoder == made.study.encoders[encoder]
    assert not torch.equal(kept["classifier.weight"], torch.zeros_like(kept["classifier.weight"]))
    # It is continued with its linear layer.
    again, _ = batches_of(job(made, "labels", base=tmp_path / "encoder.safetensors"), tmp_path)
    torch.testing.assert_close(again.encoder(), dict(kept), rtol=0, atol=0)


def test_a_librarys_encoder_is_trained(archive: Archive, tmp_path: Path) -> None:
    """What its file knows of its input travels on; buffers such as running means are kept."""
    study = archive.study.model_dump(mode="json")
    study["encoders"]["resnet"] = {"kind": "timm", "name": "test_resnet", "resolution": 32}
    study["encoders"]["resnet"]["random"] = 0
    study["bases"]["resnet-open"] = study["arms"]["labels"] | {"encoder": "resnet", "seed": 0}
    for name in ("seeds", "sizes", "keep"):
        del study["bases"]["resnet-open"][name]
    study["arms"]["labels"]["encoder"] = "resnet"
    made = parse_study(study)
    tower = build_tower(made.encoders["resnet"])
    tensors = {f"image.{name}": tensor for name, tensor in tower.state_dict().items()}
    base = tmp_path / "base.safetensors"
    save_encoder(base, EncoderFile(tower.encoder, tensors))
    pretrain(job(archive, "labels", study=made, base=base, work=tmp_path / "work"), tmp_path, 1)
    kept = read_encoder(tmp_path / "encoder.safetensors")
    assert read_json(tmp_path / "encoder.json")["status"] == "ok"
    assert kept.encoder.input is not None  # type: ignore[attr-defined]
    assert not torch.equal(kept.tensors["image.model.bn1.running_mean"], torch.zeros(32))
    assert load_tower(tmp_path / "encoder.safetensors").encoder.image_size == 32


def test_it_learns(archive: Archive, tmp_path: Path) -> None:
    """Bright discs for positive labels: the loss falls well below that of knowing the shares."""
    study = archive.study.model_dump(mode="json")
    study["arms"]["labels"]["recipe"]["optimiser"] |= {"samples": 1600, "batch": 16, "lr": 5e-3}
    study["arms"]["labels"]["recipe"] |= {"erase": 0.0, "crop_scale": [1.0, 1.0]}
    trainer, batches = trainer_of(job(archive, "labels", study=parse_study(study)), tmp_path)
    targets = batches._targets  # type: ignore[attr-defined]
    shares = np.nanmean(targets, axis=0)
    chance = -np.mean(shares * np.log(shares) + (1 - shares) * np.log(1 - shares))
    trainer.run()
    assert np.mean([row["loss"] for row in trainer.progress.log[-10:]]) < 0.6 * chance


def test_passes_add_up(archive: Archive, tmp_path: Path) -> None:
    study = archive.study.model_dump(mode="json")
    study["encoders"]["rad-dino"]["image"]["drop_path"] = 0.0
    found = []
    for passes in (1, 4):
        study["arms"]["labels"]["recipe"]["optimiser"]["passes"] = passes
        trainer, batches = trainer_of(job(archive, "labels", study=parse_study(study)), tmp_path)
        torch.nn.init.ones_(trainer.learner.model.classifier.weight)  # type: ignore[union-attr]
        losses = trainer.backward(batches[1])
        grads = [p.grad for p in trainer.learner.parameters() if p.grad is not None]
        found.append((losses["loss"], grads))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-4)


def test_nothing_known(archive: Archive, tmp_path: Path) -> None:
    """All labels of the study are blank, and blanks count for nothing."""
    import polars as pl

    blank = changed(archive, blank="ignore")
    columns = ["finding:cardiomegaly", "finding:effusion", "tube:ett"]
    catalog = pl.read_parquet(archive.catalog).with_columns(
        pl.lit(None, pl.Int8).alias(name) for name in columns
    )
    catalog.write_parquet(tmp_path / "catalog.parquet")
    made = job(blank, "labels", catalog=tmp_path / "catalog.parquet", work=tmp_path / "work")
    pretrain(made, tmp_path, 1)
    card = read_json(tmp_path / "encoder.json")
    assert card["status"] == "failed"
    assert "(labels say nothing; without labels); labels.uncertain" in card["reason"]
