"""The contents of a run's log: rank, entropies, retrieval, spikes, collapse, k-NN probe."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event, SessionLog
from torch import nn

from radscale_lib.encoders.storage import read_encoder
from radscale_lib.files import file_digest, read_json
from radscale_lib.pretrain import distributed
from radscale_lib.pretrain.events import Events
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.losses.pairs import compare
from radscale_lib.pretrain.probe import KnnProbe, auroc, read_probe
from radscale_lib.pretrain.run import pretrain
from radscale_lib.pretrain.spikes import is_spike
from radscale_lib.pretrain.trainer import CollapsedError, Trainer
from radscale_lib.pretrain.watch import effective_rank, entropy, peak_flops
from radscale_lib.study import parse_study
from radscale_lib.study.paradigms.base import Spikes
from radscale_lib.tasks.evaluate import has_encoder
from radscale_lib.tasks.inputs import Inputs
from tests.pretrain.archive import Archive
from tests.pretrain.runs import batches_of, job, trainer_of

EVENT = {"count": 0, "skip": 1, "roll-back": 1}


def changed(archive: Archive, arm: str, work: Path, recipe: dict, **optimiser: object) -> Job:
    study = archive.study.model_dump(mode="json")
    study["arms"][arm]["recipe"] |= recipe
    study["arms"][arm]["recipe"]["optimiser"] |= optimiser
    return job(archive, arm, study=parse_study(study), work=work)


def test_the_effective_rank_is_that_of_its_definition() -> None:
    x = torch.randn(40, 6, generator=torch.manual_seed(0))
    share = np.linalg.svd(x.numpy(), compute_uv=False)
    share /= share.sum()
    expected = np.exp(-(share * np.log(share)).sum())
    assert float(effective_rank(x)) == pytest.approx(expected, rel=1e-5)
    assert float(effective_rank(x.T)) == pytest.approx(expected, rel=1e-5)
    assert float(effective_rank(torch.eye(5))) == pytest.approx(5)
    assert float(effective_rank(torch.ones(9, 4))) == pytest.approx(1, abs=1e-6)
    assert np.isnan(float(effective_rank(x / 0)))


def test_embeddings_that_are_equal_but_for_rounding_have_rank_one() -> None:
    x = torch.randn(1, 64, generator=torch.manual_seed(0)).expand(200, 64)
    rounded = (x * (1 + 1e-3 * torch.randn(200, 64))).bfloat16()
    assert float(effective_rank(rounded)) > 1.05
    assert float(effective_rank(rounded, torch.finfo(torch.bfloat16).eps)) == 1


def test_entropy_and_divergence_are_those_of_every_pair_of_crops(
    archive: Archive, tmp_path: Path
) -> None:
    learner, batches = batches_of(job(archive, "rad-dino"), tmp_path)
    learner.eval().watching = True
    batch = batches[0]
    losses = learner(batch, 0)
    noted = torch.cat(learner._noted)
    assert float(learner.watch()["rank"]) == pytest.approx(float(effective_rank(noted)), rel=1e-6)
    assert not learner._noted
    wide = batch["global"].float() / 255
    patches = batch["mask"].flatten().nonzero().squeeze(1)
    targets, _ = learner._targets(wide, patches, 0)
    with torch.no_grad():
        crops = [
            learner.student.image.tokens(wide, batch["mask"], learner.student.mask_token)[0],
            learner.student.image.tokens(batch["local"].float() / 255)[0],
        ]
        head = learner.student.head
        logits = head(torch.cat(crops)) @ head.prototypes().T / learner.recipe.student_temperature
    student = logits.log_softmax(1).view(-1, len(wide) // 2, logits.shape[1])
    teacher = targets.view(2, -1, targets.shape[1])
    pairs = [
        nn.functional.kl_div(student[c], teacher[t], reduction="batchmean")
        for c in range(len(student))
        for t in range(2)
        if c != t
    ]
    torch.testing.assert_close(losses["kl"], torch.stack(pairs).mean(), rtol=1e-4, atol=1e-5)
    assert float(losses["teacher_entropy"]) == pytest.approx(float(entropy(targets)))
    assert float(entropy(torch.full((3, 8), 1 / 8))) == pytest.approx(np.log(8))


def test_retrieval_and_temperature(archive: Archive, tmp_path: Path) -> None:
    learner, batches = batches_of(job(archive, "mi2-both"), tmp_path)
    learner.eval().watching = True
    batch = batches[0]
    learner(batch, 0)
    found = learner.watch()
    u, v = learner.model(batch["images"].float() / 255, batch["tokens"])
    nearest = (u @ nn.functional.normalize(v, dim=1).T).argmax(dim=1)
    positive = compare(batch, learner.recipe.near_duplicates).positive
    right = [bool(positive[row, column]) for row, column in enumerate(nearest)]
    assert float(found["retrieval"]) == pytest.approx(np.mean(right))
    assert float(found["temperature"]) == pytest.approx(0.07, rel=1e-5)
    assert set(found) == {"rank", "retrieval", "temperature"}


def test_only_known_devices_have_a_peak() -> None:
    assert peak_flops("NVIDIA H200", "bf16") == 989e12
    assert peak_flops("NVIDIA H100 PCIe", "bf16") == 756e12
    assert peak_flops("NVIDIA A100-SXM4-80GB", "fp32") == 19.5e12
    assert peak_flops("NVIDIA GeForce GTX 1080", "bf16") is None


def test_a_spike_stands_out_of_the_losses_before() -> None:
    rule = Spikes(above=5, window=10)
    before = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.1, 0.9, 1.0]
    assert not is_spike(1.3, before, rule)
    assert is_spike(1.5, before, rule)
    assert not is_spike(9.0, before[1:], rule)  # too few to compare with
    assert not is_spike(0.1, before, rule)  # a fall is none
    assert not is_spike(1.004, [1.0] * 10, rule)  # of losses that hardly differ
    assert is_spike(1.1, [1.0] * 10, rule)


def spiked(trainer: Trainer, steps: tuple[int, ...]) -> None:
    """Let the loss be large in some steps."""
    forward = trainer.learner.forward

    def sometimes(batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
        losses = forward(batch, step)
        return losses | {"loss": losses["loss"] * 50} if step in steps else losses

    trainer.learner.forward = sometimes  # type: ignore[method-assign]


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: x.clone() for name, x in trainer.learner.model.state_dict().items()}


@pytest.mark.parametrize("then", list(EVENT))
def test_a_spike_is_counted_skipped_or_rolled_back(
    then: str, archive: Archive, tmp_path: Path
) -> None:
    """In step 8 of 12; states to go back to are those after steps 5 and 10. Samples are spent."""
    spikes = {"above": 200, "window": 5, "then": then}
    trainer, _ = trainer_of(changed(archive, "labels", tmp_path, {}, spikes=spikes), tmp_path)
    spiked(trainer, (7,))
    seen: dict[int, dict[str, torch.Tensor]] = {}
    trainer.after = {
        step: lambda step=step: seen.update({step: weights(trainer)}) for step in (5, 7, 8)
    }
    progress = trainer.run()
    assert (progress.spikes, progress.skipped) == (1, EVENT[then])
    assert (progress.step, progress.samples) == (12, 96)
    equal = {
        step: all(torch.equal(seen[step][n], x) for n, x in seen[8].items()) for step in (5, 7)
    }
    assert equal == {5: then == "roll-back", 7: then == "skip"}
    assert [row["skipped"] for row in progress.log] == [0] * 7 + [EVENT[then]] * 5
    assert [path.name for path in tmp_path.glob("good-*")] == ["good-10.pt"] * (then == "roll-back")


def test_a_loss_at_another_level_is_no_spike_for_ever(archive: Archive, tmp_path: Path) -> None:
    spikes = {"above": 200, "window": 5, "then": "skip"}
    made = changed(archive, "labels", tmp_path, {}, spikes=spikes, samples=240)
    trainer, _ = trainer_of(made, tmp_path)
    spiked(trainer, tuple(range(8, 30)))
    progress = trainer.run()
    assert (progress.skipped, progress.step) == (10, 30)


def test_a_run_that_was_rolled_back_goes_on_exactly(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after step 11, it continues from the checkpoint of step 6, and rolls back again."""
    spikes = {"above": 200, "window": 5, "then": "roll-back"}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    made = changed(archive, "labels", tmp_path, {}, spikes=spikes)
    one, _ = trainer_of(made, whole)
    spiked(one, (7,))
    one.run()

    class KilledError(Exception):
        pass

    def kill() -> None:
        raise KilledError

    two, _ = trainer_of(made, cut)
    spiked(two, (7,))
    saved: Callable[..., bool] = two._checkpoint
    two._checkpoint = lambda request, due: saved(request, two.progress.step == 6)  # type: ignore[method-assign]
    two.after = {11: kill}
    with pytest.raises(KilledError):
        two.run()
    three, _ = trainer_of(made, cut)
    assert three.progress.step == 6
    spiked(three, (7,))
    three.run()
    for name, x in weights(one).items():
        assert torch.equal(weights(three)[name], x), name
    drop = {"images_per_second", "memory_mb"}
    logs = [[{k: v for k, v in row.items() if k not in drop} for row in each.progress.log]
            for each in (one, three)]  # fmt: skip
    assert logs[0] == logs[1]


class Constant(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Batches of one grey."""

    def __init__(self, batches: torch.utils.data.Dataset[dict[str, torch.Tensor]]) -> None:
        self.batches = batches

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        grey = {"images", "global", "local"}
        batch = self.batches[step]
        return {n: torch.full_like(x, 90) if n in grey else x for n, x in batch.items()}


@pytest.mark.parametrize("arm", ["rad-dino", "mi2-both", "labels"])
def test_a_constant_input_is_a_collapse(arm: str, archive: Archive, tmp_path: Path) -> None:
    study = archive.study.model_dump(mode="json")
    for encoder in study["encoders"].values():
        encoder["image"]["drop_path"] = 0  # which would tell images apart
    made = job(archive, arm, study=parse_study(study))
    learner, batches = batches_of(made, tmp_path)
    optimiser, compute = made.section.recipe.optimiser, made.study.compute
    world = distributed.World(0, 1, torch.device("cpu"))
    trainer = Trainer(learner, Constant(batches), optimiser, compute, world, 0, tmp_path)
    with pytest.raises(CollapsedError, match=r"^collapsed: rank 1 at step 4 of 12, below optimi"):
        trainer.run()
    assert len(trainer.progress.log) == 4


def test_a_huge_learning_rate_collapses_a_run(archive: Archive, tmp_path: Path) -> None:
    """Which counts as failed: no encoder, its reason and log, and the last good checkpoint."""
    made = changed(
        archive, "rad-dino", tmp_path / "work", {"momentum": [0.5, 0.9]},
        lr=3.0, weight_decay=0.0, warmup=0.0, samples=320, collapse={"rank": 1.12},
    )  # fmt: skip
    pretrain(made, tmp_path, 1)
    card = read_json(tmp_path / "encoder.json")
    assert card["status"] == "collapsed"
    assert card["reason"].startswith("collapsed: rank 1.")
    log = pl.read_parquet(tmp_path / "log.parquet")
    assert (log["rank"][-3:] < 1.12).all() and log["rank"][-4] >= 1.12
    [checkpoint] = (tmp_path / "work").glob("*/checkpoint-*.pt")
    assert f"{checkpoint.name} is from before" in card["reason"]
    step = int(checkpoint.stem.partition("-")[2])
    assert log.filter(pl.col("step") == step)["rank"][0] >= 1.12
    assert read_encoder(tmp_path / "encoder.safetensors").tensors == {}
    encoder = tmp_path / "encoder.safetensors"
    assert not has_encoder(Inputs(encoder, tmp_path, tmp_path, tmp_path))


def test_auroc_and_votes() -> None:
    scores, positive = (
        torch.tensor([0.9, 0.8, 0.5, 0.5, 0.1] * 3),
        torch.tensor([1, 0, 1, 0, 0] * 3),
    )
    pairs = [
        (a > b) + (a == b) / 2
        for a in scores[positive == 1].tolist()
        for b in scores[positive == 0].tolist()
    ]
    assert auroc(scores, positive == 1) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(scores[:5], positive[:5] == 1))


class Brightness(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean((1, 2, 3)) - 0.5
        return torch.stack([mean, torch.full_like(mean, 0.1)], dim=1)


def test_the_probe_finds_what_embeddings_tell() -> None:
    """A label that depends on brightness, one that does not, and one that is unknown."""
    rng = torch.manual_seed(0)
    bright = torch.rand(80, generator=rng)
    truth = torch.stack([(bright > 0.5).float(), torch.rand(80, generator=rng).round()], dim=1)
    truth = torch.cat([truth, torch.full((80, 1), float("nan"))], dim=1)
    found = torch.arange(80) % 2 == 0
    images = bright.view(-1, 1, 1, 1).expand(80, 1, 4, 4)
    tower = Brightness().train()
    one = KnnProbe(images, truth[:, :1], found)(tower, torch.device("cpu"))
    assert one > 0.95 and tower.training
    assert abs(KnnProbe(images, truth[:, 1:], found)(tower, torch.device("cpu")) - 0.5) < 0.3
    assert np.isnan(KnnProbe(images, truth[:, 2:], found)(tower, torch.device("cpu")))


def test_a_run_is_probed_and_told_to_tensorboard(archive: Archive, tmp_path: Path) -> None:
    """The run is the same as without; the two halves of the probe have different patients."""
    catalog = tmp_path / "catalog.parquet"
    table = pl.read_parquet(archive.catalog)
    split = pl.when(pl.int_range(pl.len()) < 45).then(pl.lit("train")).otherwise("split")
    table.with_columns(split=split).write_parquet(catalog)
    study = archive.study.model_dump(mode="json")
    plain = job(archive, "labels", work=tmp_path / "plain" / "work", catalog=catalog)
    pretrain(plain, tmp_path / "plain", 1)
    study["watch"] = {"knn_images": 30, "knn_times": 3, "tensorboard": True}
    made = job(archive, "labels", study=parse_study(study), work=tmp_path / "work", catalog=catalog)
    pretrain(made, tmp_path / "out", 1)
    encoders = [tmp_path / name / "encoder.safetensors" for name in ("plain", "out")]
    assert file_digest(encoders[0]) == file_digest(encoders[1])
    log = pl.read_parquet(tmp_path / "out" / "log.parquet")
    assert log.filter(pl.col("knn").is_not_null())["step"].to_list() == [4, 8, 12]
    assert log["knn"].drop_nulls().is_between(0, 1).all()
    told = list(events(tmp_path / "tensorboard" / made.run.path))
    print(log["step"].to_list(), told[-30:])
    losses = {step: value for step, name, value in told if name == "loss"}
    assert losses == pytest.approx(dict(log.select("step", "loss").iter_rows()), rel=1e-6)
    assert {name for _, name, _ in told} == set(log.columns) - {"step", "samples"}
    probe = read_probe(catalog, archive.shards, archive.ranges, archive.study.labels,
                       archive.study.encoders["rad-dino"], 30)  # fmt: skip
    assert probe is not None and 5 < int(probe.found.sum()) < 25
    assert read_probe(archive.catalog, archive.shards, archive.ranges, archive.study.labels,
                      archive.study.encoders["rad-dino"], 30) is None  # fmt: skip


def raw(folder: Path) -> list[Event]:
    """Events of a folder's files."""
    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def events(folder: Path) -> list[tuple[int, str, float]]:
    """Scalars of event files: step, name and value."""
    return [
        (event.step, value.tag, value.simple_value)
        for event in raw(folder)
        for value in event.summary.value
    ]


def test_a_later_try_hides_what_an_earlier_one_told_beyond_its_start(tmp_path: Path) -> None:
    """TensorBoard drops what comes after the step of a session's start in earlier files."""
    tell = Events(tmp_path)
    for step in (1, 2, 3):
        tell({"step": step, "samples": 8, "loss": 1.0})
    Events(tmp_path)({"step": 3, "samples": 24, "loss": 2.0})
    starts = [event.step for event in raw(tmp_path) if event.session_log.status == SessionLog.START]
    assert sorted(starts) == [1, 3]
