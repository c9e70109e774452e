"""Whole runs, through the script: outputs, replays, interruptions, failures."""

import json
import pickle
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from radscale_lib.encoders.release import ReleaseError
from radscale_lib.encoders.storage import load_tower, read_encoder
from radscale_lib.files import file_digest, read_json
from radscale_lib.pretrain.card import blank_card
from radscale_lib.pretrain.distributed import World
from radscale_lib.pretrain.released import import_weights
from radscale_lib.pretrain.run import pretrain
from radscale_lib.pretrain.session import _rows
from radscale_lib.pretrain.signals import ignore_stop_requests
from radscale_lib.pretrain.trainer import DivergedError, Trainer
from radscale_lib.pretrain.unicl_learner import UniclLearner
from radscale_lib.study import parse_study
from scripts.import_weights import main as import_weights_script
from scripts.pretrain import main as pretrain_script
from tests.pretrain.archive import STUDY, Archive, write_archive
from tests.pretrain.runs import batches_of, command, environment, job, run, trainer_of
from tests.startup import HEAVY, run_without
from tests.workflow import forked

OUTPUTS = ("encoder.safetensors", "encoder.json", "log.parquet")
BASES = {"mi2-both": "mi2-open", "mi2-reports": "mi2-open", "rad-dino": "rad-dino-open"}


@pytest.fixture(scope="module")
def bases(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Base weights, trained on the whole catalog in this process."""
    made = {}
    for name in archive.study.bases:
        out = tmp_path_factory.mktemp(name)
        pretrain(job(archive, name, work=out / "work"), out, 1)
        made[name] = out
    return made


@pytest.fixture(scope="module")
def arms(
    archive: Archive, bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Every arm, continued from its base in this process."""
    made = {}
    for name, base in BASES.items():
        out = tmp_path_factory.mktemp(name)
        encoder = bases[base] / "encoder.safetensors"
        pretrain(job(archive, name, base=encoder, work=out / "work"), out, 1)
        made[name] = out
    return made


def test_the_card(arms: dict[str, Path], bases: dict[str, Path]) -> None:
    card = read_json(arms["mi2-both"] / "encoder.json")
    assert card.keys() == blank_card().keys()
    expected = {
        "arm": "mi2-both", "size": 20, "seed": 0, "encoder": "mi2", "paradigm": "unicl",
        "supervision": ["reports", "labels"], "status": "ok", "reason": None,
        "samples_budget": 96, "samples_seen": 96, "steps": 12, "images": 20,
        "repeats_per_image": 4.8, "device": "cpu", "stage_id": "stage", "resumed": 0,
        "base_digest": file_digest(bases["mi2-open"] / "encoder.safetensors"),
    }  # fmt: skip
    assert {name: card[name] for name in expected} == expected
    assert card["flops_per_sample"] > 1e6
    assert card["versions"]["torch"]
    base = read_json(bases["mi2-open"] / "encoder.json")
    assert (base["size"], base["images"], base["base_digest"]) == (0, 60, None)
    assert base["left_out"] == {} and read_json(arms["rad-dino"] / "encoder.json")["texts"] == {}


def test_the_card_says_how_the_texts_supervise(arms: dict[str, Path]) -> None:
    """The means of the log, whose every row is a global batch."""
    log = pl.read_parquet(arms["mi2-both"] / "log.parquet")
    texts = read_json(arms["mi2-both"] / "encoder.json")["texts"]
    assert texts == pytest.approx({name: log[name].mean() for name in texts})
    assert set(texts) == set(UniclLearner.described)
    assert 0.2 < texts["label_samples"] < 0.6
    assert 1 < texts["positives"] < 8
    assert texts["undecided"] > 0
    assert texts["same_text_before"] > 0  # "Normal.", of several studies
    assert texts["same_text"] == 0
    assert 0 < texts["cut_tokens"] < texts["cut_texts"] < 1


def test_images_left_out_are_counted_by_reason(archive: Archive, tmp_path: Path) -> None:
    """Where a cell must hold more, the count stays behind."""
    study = archive.study.model_dump(mode="json")
    study["arms"]["mi2-both"]["supervision"] = ["labels"]
    made = job(archive, "mi2-both", study=parse_study(study), subset=None)
    world = World(0, 1, torch.device("cpu"))
    rows, left_out = _rows(made, tmp_path, world)
    assert left_out["without labels"] == 15
    assert sum(left_out.values()) == 60 - len(rows)
    study["institution"] = {"dicom": "dicom", "labels": "labels.csv", "reports": "reports.csv"}
    study["institution"]["tubes"] = "tubes.csv"
    study["disclosure"] = {"smallest_cell": 16}
    again, withheld = _rows(replace(made, study=parse_study(study)), tmp_path, world)
    assert withheld == dict.fromkeys(left_out)
    assert len(again) == len(rows)


def test_every_arm_sees_the_same_number_of_samples(arms: dict[str, Path]) -> None:
    cards = [read_json(out / "encoder.json") for out in arms.values()]
    assert {card["samples_seen"] for card in cards} == {96}


def test_the_log(arms: dict[str, Path]) -> None:
    log = pl.read_parquet(arms["rad-dino"] / "log.parquet")
    assert log.columns == [
        "step", "samples", "loss", "dino", "ibot", "koleo", "teacher_entropy", "kl", "grad_norm",
        "rank", "spikes", "skipped", "lr", "images_per_second", "memory_mb",
    ]  # fmt: skip
    assert log["step"].to_list() == list(range(1, 13))
    assert log["samples"].to_list() == list(range(8, 97, 8))
    assert log["lr"][0] == pytest.approx(1e-3)  # one warm-up step, at the top of its rise
    assert log.select(pl.all().is_finite().all()).row(0) == (True,) * 15


@pytest.mark.parametrize("arm", list(BASES))
def test_the_encoder_continues_its_base(
    arm: str, arms: dict[str, Path], bases: dict[str, Path]
) -> None:
    before = read_encoder(bases[BASES[arm]] / "encoder.safetensors")
    after = read_encoder(arms[arm] / "encoder.safetensors")
    assert after.tensors.keys() == before.tensors.keys()
    assert after.tokenizer == before.tokenizer
    alike = {
        name: float(torch.cosine_similarity(after.tensors[name].ravel(), tensor.ravel(), dim=0))
        for name, tensor in before.tensors.items()
        if "qkv.weight" in name or "in_proj_weight" in name or "mlp.2.weight" in name
    }
    assert len(alike) >= 5
    assert all(0.5 < cosine < 1 - 1e-7 for cosine in alike.values()), alike
    tower = load_tower(arms[arm] / "encoder.safetensors")
    assert tower.encoder == before.encoder


def test_supervision_matters(arms: dict[str, Path]) -> None:
    digests = {
        file_digest(arms[arm] / "encoder.safetensors") for arm in ("mi2-both", "mi2-reports")
    }
    assert len(digests) == 2


def encoder_of(folder: Path) -> Path:
    return folder / "encoder.safetensors"


def same_results(one: Path, other: Path) -> None:
    """Equal bytes of the encoder, and logs that differ in speed and memory alone."""
    assert file_digest(encoder_of(one)) == file_digest(encoder_of(other))
    logs = [pl.read_parquet(folder / "log.parquet") for folder in (one, other)]
    machine = ("images_per_second", "memory_mb")
    assert logs[0].drop(machine).equals(logs[1].drop(machine))


@pytest.mark.parametrize("arm", ["mi2-both", "rad-dino"])
def test_a_second_training_gives_the_same_bytes(
    arms: dict[str, Path], bases: dict[str, Path], archive: Archive, tmp_path: Path, arm: str
) -> None:
    """In another process, through the script, which loads nothing heavy."""
    base = str(encoder_of(bases[BASES[arm]]))
    run(run_without(HEAVY, command(archive, arm, tmp_path, "--base", base)))
    same_results(tmp_path, arms[arm])


def test_a_finished_run_is_replayed_without_torch(
    arms: dict[str, Path], bases: dict[str, Path], archive: Archive, tmp_path: Path
) -> None:
    out = arms["rad-dino"]
    base = str(bases["rad-dino-open"] / "encoder.safetensors")
    again = tmp_path / "again"
    arguments = command(archive, "rad-dino", again, "--base", base, "--work", str(out / "work"))
    code = (
        "import sys, runpy; sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "assert not {'torch', 'timm', 'polars'} & set(sys.modules)"
    )
    run([arguments[0], "-c", code, *arguments[1:]])
    for name in OUTPUTS:
        assert (again / name).read_bytes() == (out / name).read_bytes()
    assert [path.name for path in (out / "work").glob("*/*")] == ["finished"]


def keyed(archive: Archive, folder: Path, **values: object) -> str:
    """Name of the training state of a job."""
    from radscale_lib.pretrain.run import _key, digest_rows

    made = job(archive, "rad-dino", work=folder, **values)  # type: ignore[arg-type]
    return _key(made, digest_rows(made.subset or made.catalog), None, [])


def test_the_key_follows_what_is_trained_on_what(archive: Archive, tmp_path: Path) -> None:
    first = keyed(archive, tmp_path)
    other = tmp_path / "subset.parquet"
    subset = pl.read_parquet(archive.subset)
    subset.drop("rank").write_parquet(other)
    assert keyed(archive, tmp_path, subset=other) == first
    assert keyed(archive, tmp_path, catalog=Path("elsewhere"), shards=Path("moved")) == first
    subset.reverse().write_parquet(other)
    keys = {first, keyed(archive, tmp_path, subset=other)}
    subset.with_columns(digest=pl.lit("0" * 32)).write_parquet(other)
    keys |= {keyed(archive, tmp_path, subset=other), keyed(archive, tmp_path, stage="other")}
    assert len(keys) == 4


def long_archive(tmp_path: Path, steps: int, minutes: float) -> Archive:
    """The archive with a longer run and frequent checkpoints."""
    study = yaml.safe_load(STUDY)
    for section in (study["bases"], study["arms"]):
        for values in section.values():
            values["recipe"]["optimiser"]["samples"] = 8 * steps
    study["compute"] = {"checkpoint_minutes": minutes}
    return write_archive(tmp_path / "archive", study)


def start_and_wait(arguments: list[str], step: int) -> subprocess.Popen[str]:
    """Start a run; come back when it has logged a step."""
    process = subprocess.Popen(
        arguments, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"step {step}/"):
            break
    return process


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["mi2-open", "rad-dino-open"])
def test_killed_runs_go_on_exactly(arm: str, tmp_path: Path) -> None:
    archive = long_archive(tmp_path, steps=40, minutes=1e-9)  # a checkpoint each step
    pretrain(job(archive, arm, work=tmp_path / "whole" / "work"), tmp_path / "whole", 1)
    out = tmp_path / "cut"
    arguments = [forked.python(), *command(archive, arm, out)[1:]]
    for step in (3, 17):
        process = start_and_wait(arguments, step)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run(arguments)
    card = read_json(out / "encoder.json")
    assert card["resumed"] == 2
    assert card["samples_seen"] == 320
    same_results(out, tmp_path / "whole")


@pytest.mark.slow
def test_a_stop_signal_gives_its_exit_code(tmp_path: Path) -> None:
    archive = long_archive(tmp_path, steps=4000, minutes=600)
    process = start_and_wait(command(archive, "mi2-open", tmp_path), 40)
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGUSR1
    assert len(list((tmp_path / "work").glob("*/checkpoint-*.pt"))) == 1
    assert not any((tmp_path / name).exists() for name in OUTPUTS)


SWITCHED = {"centring": "softmax", "separate_ibot_head": True, "head_warmup": 0.5}
"""Switches of a recipe that a checkpoint must hold, or must not disturb."""


@pytest.mark.parametrize(
    ("arm", "switches"), [("mi2-open", {}), ("rad-dino-open", {}), ("rad-dino-open", SWITCHED)]
)
def test_stopped_runs_go_on_exactly(
    arm: str,
    switches: dict[str, object],
    archive: Archive,
    bases: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped by a signal in steps 3 and 8 of 12."""
    study = archive.study.model_dump(mode="json")
    study["bases"][arm]["recipe"] |= switches
    made = job(archive, arm, study=parse_study(study), work=tmp_path / "work")
    whole = bases[arm]
    if switches:
        whole = tmp_path / "whole"
        pretrain(replace(made, work=whole / "work"), whole, 1)
    trained = Trainer._step

    def interrupted(self: Trainer, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if self.progress.step in (3, 8) and self.progress.resumed == (self.progress.step == 8):
            signal.raise_signal(signal.SIGTERM)
        return trained(self, batch)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    for resumed, steps in enumerate((4, 9)):
        with pytest.raises(SystemExit) as stopped:
            pretrain(made, tmp_path, 1)
        assert stopped.value.code == 128 + signal.SIGTERM
        (checkpoint,) = (tmp_path / "work").glob("*/checkpoint-*.pt")
        assert checkpoint.stem == f"checkpoint-{steps}"
        assert not any((tmp_path / name).exists() for name in OUTPUTS), resumed
    pretrain(made, tmp_path, 1)
    assert read_json(tmp_path / "encoder.json")["resumed"] == 2
    same_results(tmp_path, whole)


def failing(archive: Archive, strict: bool = False) -> Archive:
    """The archive with a learning rate that no run survives."""
    values = archive.study.model_dump(mode="json")
    values["strict"] = strict
    values["arms"]["rad-dino"]["recipe"]["optimiser"]["lr"] = 1e30
    values["arms"]["rad-dino"]["recipe"]["optimiser"]["clip"] = 1e30
    return replace(archive, study=parse_study(values))


def test_divergence_is_reported(archive: Archive, tmp_path: Path) -> None:
    pretrain(job(failing(archive), "rad-dino", work=tmp_path / "work"), tmp_path, 1)
    card = read_json(tmp_path / "encoder.json")
    assert card["status"] == "failed"
    assert card["reason"].startswith("no finite gradient in 3 steps in a row")
    assert "lower optimiser.lr" in card["reason"]
    assert card["samples_seen"] is None
    assert read_encoder(tmp_path / "encoder.safetensors").tensors == {}
    assert pl.read_parquet(tmp_path / "log.parquet")["skipped"].to_list() == [0, 1, 2]
    assert not list((tmp_path / "work").glob("*/finished"))


def test_a_strict_study_stops(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        pretrain(job(failing(archive, strict=True), "rad-dino", work=tmp_path), tmp_path, 1)
    assert not any((tmp_path / name).exists() for name in OUTPUTS)


def test_the_script_says_why_a_strict_study_stops(
    archive: Archive, bases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    strict = failing(archive, strict=True)
    (tmp_path / "study.json").write_text(strict.study.model_dump_json())
    strict = replace(strict, study_file=tmp_path / "study.json")
    base = str(bases["rad-dino-open"] / "encoder.safetensors")
    with pytest.raises(SystemExit, match="1"):
        pretrain_script(command(strict, "rad-dino", tmp_path, "--base", base)[2:])
    [*_, said] = capsys.readouterr().err.splitlines()
    assert said.startswith("rad-dino/n=20/seed=0 failed: no finite gradient in 3 steps in a row")


def test_weights_of_an_encoder_that_the_study_lacks(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    values = yaml.safe_load(STUDY)
    options = ["--study", str(tmp_path / "study.yaml"), "--out", str(tmp_path), "--arm"]
    for weights, asked, remedy in (
        (None, "rad-dino-open", "the study has none"),
        (str(tmp_path), "mi3", "use one of rad-dino-open"),
    ):
        if weights:
            values["encoders"]["rad-dino"]["weights"] = weights
            del values["bases"]["rad-dino-open"]
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
        with pytest.raises(SystemExit, match="1"):
            import_weights_script([*options, asked])
        said = f"{asked}: no baseline whose encoder has weights: {remedy}\n"
        assert capsys.readouterr().err == said


def test_foreign_errors_are_named_without_their_text(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    number = 1200 + 34

    def broken(*_: object) -> None:
        raise KeyError(f"report of patient {number}")

    monkeypatch.setattr("radscale_lib.pretrain.dinov2.build", broken)
    pretrain(job(archive, "rad-dino", work=tmp_path / "work"), tmp_path, 1)
    text = (tmp_path / "encoder.json").read_text()
    assert json.loads(text)["reason"] == "KeyError"
    assert "1234" not in text + "".join(capsys.readouterr())


@pytest.mark.parametrize("error", [MemoryError, OSError, torch.OutOfMemoryError])
def test_what_another_try_may_cure_is_no_failed_run(
    error: type[Exception], archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise error("no room")

    monkeypatch.setattr("radscale_lib.pretrain.dinov2.build", exhausted)
    with pytest.raises(error):
        pretrain(job(archive, "rad-dino", work=tmp_path / "work"), tmp_path, 1)
    assert not (tmp_path / "encoder.json").exists()


def test_an_empty_base_fails_the_arm(archive: Archive, tmp_path: Path) -> None:
    pretrain(job(failing(archive), "rad-dino", work=tmp_path / "work"), tmp_path / "base", 1)
    base = tmp_path / "base" / "encoder.safetensors"
    pretrain(job(archive, "rad-dino", base=base, work=tmp_path / "work"), tmp_path / "arm", 1)
    assert "failed run" in read_json(tmp_path / "arm" / "encoder.json")["reason"]


def test_single_bad_steps_are_skipped(archive: Archive, tmp_path: Path) -> None:
    """Two in a row are survived, and nothing is learnt from them."""
    made = job(archive, "mi2-reports")
    trainer, _ = trainer_of(made, tmp_path)
    learner = trainer.learner
    forward, seen = learner.forward, []

    def sometimes(batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
        losses = forward(batch, step)
        seen.append(step)
        return {"loss": losses["loss"] * float("nan") if step in (3, 4, 7) else losses["loss"]}

    learner.forward = sometimes  # type: ignore[method-assign]
    progress = trainer.run()
    assert seen == list(range(12))
    assert progress.samples == 96
    assert all(torch.isfinite(p).all() for p in learner.parameters())


def test_images_on_the_fly_are_those_in_memory(archive: Archive, tmp_path: Path) -> None:
    _, batches = batches_of(job(archive, "rad-dino"), tmp_path)
    resident = batches[5]
    batches._source = pickle.loads(pickle.dumps(batches._source))  # type: ignore[attr-defined]
    assert batches._source._resident is None  # type: ignore[attr-defined]
    torch.testing.assert_close(batches[5], resident, rtol=0, atol=0)
    assert batches._source._resident is None  # type: ignore[attr-defined]


def test_workers_give_the_same_batches(archive: Archive, tmp_path: Path) -> None:
    _, batches = batches_of(job(archive, "mi2-both"), tmp_path)
    loader = DataLoader(
        batches, batch_size=None, sampler=range(2, 6), num_workers=1,
        multiprocessing_context="forkserver", worker_init_fn=ignore_stop_requests,
    )  # fmt: skip
    for step, batch in zip(range(2, 6), loader, strict=True):
        torch.testing.assert_close(batch, batches[step], rtol=0, atol=0)


def test_released_weights_become_a_baseline(archive: Archive, tmp_path: Path) -> None:
    learner, _ = batches_of(job(archive, "rad-dino"), tmp_path / "x")
    release = tmp_path / "release"
    release.mkdir()
    tensors = learner.encoder()
    backbone = {k.removeprefix("image."): v for k, v in tensors.items() if "head." not in k}
    head = {k.removeprefix("head."): v for k, v in tensors.items() if "head." in k}
    save_file(backbone, release / "backbone_compatible.safetensors")
    save_file(head, release / "dino_head.safetensors")
    values = yaml.safe_load(STUDY)
    values["encoders"]["rad-dino"]["weights"] = str(release)
    del values["bases"]["rad-dino-open"]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    out = tmp_path / "out"
    options = ["--study", str(tmp_path / "study.yaml"), "--arm", "rad-dino-open", "--out", str(out)]
    import_weights_script(options)
    card = read_json(out / "encoder.json")
    assert (card["arm"], card["status"], card["size"]) == ("rad-dino-open", "released", 0)
    assert card.keys() == blank_card().keys()
    content = read_encoder(out / "encoder.safetensors")
    torch.testing.assert_close(dict(content.tensors), tensors)
    assert (out / "log.parquet").is_file()
    # It is continued like any base.
    pretrain(
        job(archive, "rad-dino", base=out / "encoder.safetensors", work=tmp_path / "work"), out, 1
    )
    assert read_json(out / "encoder.json")["status"] == "ok"


def test_one_release_is_imported_without_a_study(archive: Archive, tmp_path: Path) -> None:
    learner, _ = batches_of(job(archive, "rad-dino"), tmp_path / "x")
    weights = learner.student.image.state_dict() | {"mask_token": learner.encoder()["mask_token"]}
    save_file(weights, tmp_path / "backbone_compatible.safetensors")
    image = archive.study.encoders["rad-dino"].image
    keys = ",".join(f"image.{key}={value}" for key, value in image)
    import_weights_script([f"rad-dino:weights={tmp_path},{keys}", "--out", str(tmp_path / "out")])
    tower = load_tower(tmp_path / "out" / "encoder.safetensors")
    torch.testing.assert_close(dict(tower.state_dict()), dict(learner.student.image.state_dict()))
    assert read_json(tmp_path / "out" / "encoder.json")["status"] == "released"


def test_released_weights_of_another_architecture(archive: Archive, tmp_path: Path) -> None:
    learner, _ = batches_of(job(archive, "rad-dino"), tmp_path / "x")
    save_file(learner.student.image.state_dict(), tmp_path / "backbone_compatible.safetensors")
    save_file(learner.student.head.mlp.state_dict(), tmp_path / "dino_head.safetensors")
    values = yaml.safe_load(STUDY)
    values["encoders"]["rad-dino"]["weights"] = str(tmp_path)
    del values["bases"]["rad-dino-open"]
    with pytest.raises(ReleaseError, match="missing, unknown or of another shape"):
        import_weights(parse_study(values), "rad-dino-open", tmp_path / "out")
