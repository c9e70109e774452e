"""Recomputed activations and compiled towers give the same results."""

import copy
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from radscale_lib.encoders.vit import VitTower
from radscale_lib.files import file_digest, read_json
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.session import _compile
from radscale_lib.study import parse_study
from tests.pretrain.archive import STUDY, Archive, write_archive
from tests.pretrain.runs import batches_of, command, environment, job, run, trainer_of

TOWERS = {"rad-dino": ["image"], "mi2-both": ["image", "text"], "labels": ["image"]}


def with_values(archive: Archive, arm: str, change: Callable[[dict[str, Any]], None]) -> Any:
    study = copy.deepcopy(yaml.safe_load(STUDY))
    change(study)
    return job(archive, arm, study=parse_study(study))


def recomputing(archive: Archive, arm: str, towers: list[str]) -> Any:
    def change(study: dict[str, Any]) -> None:
        recipe = study["arms"][arm]["recipe"]
        study["arms"][arm]["recipe"] = {**recipe, "recompute": towers}
        if arm == "labels":  # a library has its own way
            given = {"size": 32, "resized": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
            study["encoders"]["timm"] = {"kind": "timm", "name": "test_vit", "resolution": 32}
            study["encoders"]["timm"] |= {"random": 0, "input": given}
            study["arms"][arm]["encoder"] = "timm"

    return with_values(archive, arm, change)


@pytest.mark.parametrize("arm", TOWERS)
def test_recomputed_activations_are_the_same(arm: str, archive: Archive, tmp_path: Path) -> None:
    """Stochastic depth included; what is kept for the backward pass shrinks."""
    kept, gradients = [], []
    for towers in ([], TOWERS[arm]):
        trainer, batches = trainer_of(recomputing(archive, arm, towers), tmp_path)
        held: dict[int, int] = {}

        def pack(x: torch.Tensor, held: dict[int, int] = held) -> torch.Tensor:
            storage = x.untyped_storage()
            held[storage._cdata] = storage.nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            trainer.backward(batches[0])
        kept.append(sum(held.values()))
        named = trainer.learner.named_parameters()
        gradients.append({name: p.grad for name, p in named if p.grad is not None})
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)
    assert kept[1] < 0.7 * kept[0]


def test_a_tower_that_cannot(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(VitTower, "recompute")  # as one of an installed package may lack it
    with pytest.raises(
        PretrainError, match=r"rad-dino encoder cannot .*: remove recipe\.recompute"
    ):
        batches_of(recomputing(archive, "rad-dino", ["image"]), tmp_path)


def test_compiling_needs_a_compiler(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    learner, _ = batches_of(job(archive, "rad-dino"), tmp_path)
    with pytest.raises(FileNotFoundError, match="no no-such-compiler: load one"):
        _compile(learner)


@pytest.mark.long
@pytest.mark.parametrize("arm", ["rad-dino", "mi2-both"])
def test_compiled_towers(arm: str, archive: Archive, tmp_path: Path) -> None:
    """Losses and gradients to rounding; a run that is stopped goes on to the same bytes."""
    eager, batches = trainer_of(job(archive, arm), tmp_path)
    compiled, _ = trainer_of(job(archive, arm), tmp_path)
    _compile(compiled.learner)
    for number in range(3):  # texts of several lengths
        losses = [trainer.backward(batches[number]) for trainer in (eager, compiled)]
        torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-6)
        for name, p in eager.learner.named_parameters():
            if p.grad is not None:
                found = compiled.learner.get_parameter(name).grad
                assert (found - p.grad).norm() <= 1e-4 * p.grad.norm() + 1e-7, name


@pytest.mark.long
@pytest.mark.parametrize("arm", ["rad-dino", "mi2-both"])
def test_compiled_runs_go_on_exactly(arm: str, tmp_path: Path) -> None:
    study = yaml.safe_load(STUDY)
    study["compute"] = {"compile": True, "checkpoint_minutes": 1e-6}
    archive = write_archive(tmp_path / "archive", study)
    outs = [tmp_path / name for name in ("undisturbed", "stopped")]
    run(command(archive, arm, outs[0]))
    process = subprocess.Popen(command(archive, arm, outs[1]), env=environment())
    while not list(outs[1].glob("work/*/checkpoint-*.pt")):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    run(command(archive, arm, outs[1]))
    assert read_json(outs[1] / "encoder.json")["resumed"] == 1
    digests = [file_digest(out / "encoder.safetensors") for out in outs]
    assert digests[0] == digests[1]
