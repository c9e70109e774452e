"""Encoders that a run keeps on the way."""

import signal
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from radscale_lib.encoders.storage import read_encoder
from radscale_lib.files import file_digest, read_json
from radscale_lib.pretrain.card import blank_card
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.kept import PassedError
from radscale_lib.pretrain.run import OUTPUTS, pretrain
from radscale_lib.pretrain.trainer import StoppedError, Trainer
from radscale_lib.study import parse_study
from tests.pretrain.archive import Archive
from tests.pretrain.runs import job, trainer_of

ENCODER = "encoder.safetensors"


def keeping(archive: Archive, work: Path, *shares: float) -> Job:
    study = archive.study.model_dump(mode="json")
    study["arms"]["rad-dino"]["keep"] = list(shares)
    return job(archive, "rad-dino", study=parse_study(study), work=work)


@pytest.fixture(scope="module")
def plain(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain")
    pretrain(keeping(archive, out / "work"), out, 1)
    return out


@pytest.fixture(scope="module")
def kept(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kept")
    pretrain(keeping(archive, out / "work", 0.5, 0.25, 1), out, 1)
    return out


class EnoughError(Exception):
    pass


def test_a_kept_encoder_is_the_one_after_that_many_steps(
    kept: Path, archive: Archive, tmp_path: Path
) -> None:
    trainer, _ = trainer_of(keeping(archive, tmp_path), tmp_path)

    def enough() -> None:
        raise EnoughError

    trainer.after = {6: enough}
    with pytest.raises(EnoughError):
        trainer.run()
    found = read_encoder(kept / "share=0.5" / ENCODER)
    torch.testing.assert_close(dict(found.tensors), trainer.learner.encoder(), rtol=0, atol=0)
    early = read_encoder(kept / "share=0.25" / ENCODER)
    assert not torch.equal(early.tensors["image.norm.weight"], found.tensors["image.norm.weight"])


def test_keeping_changes_nothing_of_the_run(kept: Path, plain: Path) -> None:
    assert file_digest(kept / ENCODER) == file_digest(plain / ENCODER)
    assert not list(plain.glob("share=*"))
    assert [path.name for path in (kept / "work").glob("*/*")] == ["finished"]


def test_its_card_says_what_it_saw(kept: Path) -> None:
    card = read_json(kept / "share=0.25" / "encoder.json")
    assert card.keys() == blank_card().keys()
    expected = {
        "arm": "rad-dino@0.25", "size": 20, "budget_share": 0.25, "status": "ok",
        "samples_budget": 96, "samples_seen": 24, "steps": 3, "images": 20,
        "repeats_per_image": 1.2, "seconds": None,
    }  # fmt: skip
    assert {name: card[name] for name in expected} == expected
    log = pl.read_parquet(kept / "share=0.25" / "log.parquet")
    assert log["step"].to_list() == [1, 2, 3]
    assert card["final_loss"] == log["loss"][-1]
    whole = read_json(kept / "encoder.json")
    assert (whole["arm"], whole["budget_share"], whole["samples_seen"]) == ("rad-dino", 1, 96)


def test_a_stopped_run_keeps_the_same(
    kept: Path, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after step 4: the first share was kept before, the second is kept after."""
    made = keeping(archive, tmp_path / "work", 0.25, 0.5)
    trained = Trainer._step

    def interrupted(self: Trainer, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if self.progress.step == 3 and not self.progress.resumed:
            signal.raise_signal(signal.SIGTERM)
        return trained(self, batch)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(StoppedError):
        pretrain(made, tmp_path, 1)
    # The study asks for one more, which this run has passed.
    with pytest.raises(PassedError, match=r"step 4, past share 0\.1 \(step 1\)"):
        pretrain(keeping(archive, tmp_path / "work", 0.1, 0.25, 0.5), tmp_path, 1)
    pretrain(made, tmp_path, 1)
    for folder in ("share=0.25", "share=0.5", "."):
        assert file_digest(tmp_path / folder / ENCODER) == file_digest(kept / folder / ENCODER)


def test_a_finished_run_is_trained_again_only_for_what_it_has_not_kept(
    kept: Path, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other places for the files are the caller's to name."""
    work = kept / "work"
    places = [tmp_path / "rad-dino@0.5"]
    trained = []

    def failing(*job: object) -> PretrainError:
        trained.append(job)
        return PretrainError("it failed")

    monkeypatch.setattr("radscale_lib.pretrain.run._train", failing)
    pretrain(keeping(archive, work, 0.5), tmp_path / "rad-dino", 1, places)
    assert not trained
    for name in OUTPUTS:
        assert (places[0] / name).read_bytes() == (kept / "share=0.5" / name).read_bytes()
    pretrain(keeping(archive, work, 0.5, 0.75), tmp_path / "more", 1)
    assert len(trained) == 1


def test_a_failed_run_has_failed_at_every_share(archive: Archive, tmp_path: Path) -> None:
    made = keeping(archive, tmp_path / "work", 0.5)
    study = made.study.model_dump(mode="json")
    study["arms"]["rad-dino"]["recipe"]["optimiser"] |= {"lr": 1e30, "clip": 1e30}
    pretrain(replace(made, study=parse_study(study)), tmp_path, 1)
    for folder, arm in ((tmp_path, "rad-dino"), (tmp_path / "share=0.5", "rad-dino@0.5")):
        card = read_json(folder / "encoder.json")
        assert (card["arm"], card["status"]) == (arm, "failed")
        assert not read_encoder(folder / ENCODER).tensors
