"""Fine-tuning control: what is frozen, layer-wise rates, factors, and interpolation."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from radscale_lib.encoders.storage import EncoderFile, read_encoder, save_encoder
from radscale_lib.files import file_digest, read_json, write_json
from radscale_lib.pretrain.card import blank_card
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.interpolate import between
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.learner import layer_scales
from radscale_lib.pretrain.run import pretrain
from radscale_lib.study import parse_study
from scripts.interpolate import main as interpolate
from tests.pretrain.archive import Archive
from tests.pretrain.runs import batches_of, job, trainer_of


def tuned(archive: Archive, arm: str, folder: Path, recipe: object = None, **values: object) -> Job:
    study = archive.study.model_dump(mode="json")
    study["arms"][arm]["recipe"] |= recipe or {}
    study["arms"][arm]["recipe"]["optimiser"] |= values
    return job(archive, arm, study=parse_study(study), work=folder / "work")


@pytest.mark.parametrize(
    ("arm", "frozen", "still"),
    [
        ("mi2-both", "text.*", r"text\."),
        ("mi2-siglip", "image.*", r"image\."),
        ("rad-dino", "image.blocks.[0-2].*", r"image\.blocks\.[012]\."),
        ("labels", "image.*", r"image\."),
    ],
)
def test_frozen_weights_stay(
    arm: str, frozen: str, still: str, archive: Archive, tmp_path: Path
) -> None:
    """To the bit, in what is kept; the others move, and only they have moments."""
    made = tuned(archive, arm, tmp_path, freeze=[frozen])
    before, _ = batches_of(made, tmp_path / "before")
    trainer, _ = trainer_of(made, tmp_path)
    trainer.run()
    frozen_names = {name for name in before.encoder() if re.match(still, name)}
    for name, tensor in trainer.learner.encoder().items():
        assert torch.equal(tensor, before.encoder()[name]) == (name in frozen_names), name
    moved = [name for group in trainer.adamw.param_groups for name in group["names"]]
    assert set(moved) == set(before.encoder()) - frozen_names
    assert len(trainer.adamw.state_dict()) == len(moved)


def test_patterns_that_match_nothing(archive: Archive, tmp_path: Path) -> None:
    for key, value in (("freeze", ["txt.*"]), ("factors", {"txt.*": {"lr": 0.5}})):
        with pytest.raises(PretrainError, match=rf"optimiser.{key}: 'txt\.\*' matches no weight"):
            trainer_of(tuned(archive, "mi2-both", tmp_path, **{key: value}), tmp_path)
    with pytest.raises(PretrainError, match="leaves no weight to train"):
        trainer_of(tuned(archive, "mi2-both", tmp_path, freeze=["*"]), tmp_path)


def test_factors_multiply(archive: Archive, tmp_path: Path) -> None:
    factors = {"text.*": {"lr": 0.1}, "*.ln_1.*": {"lr": 0.5}, "image.stem.*": {"weight_decay": 2}}
    trainer, batches = trainer_of(tuned(archive, "mi2-both", tmp_path, factors=factors), tmp_path)
    found = {
        name: (group["lr_scale"], group["decay_scale"])
        for group in trainer.adamw.param_groups
        for name in group["names"]
    }
    assert found["text.transformer.resblocks.0.ln_1.weight"] == pytest.approx((0.05, 0))
    assert found["text.transformer.resblocks.0.mlp.c_fc.weight"] == (0.1, 1)
    assert found["image.stem.conv.weight"] == (1, 2)
    assert found["projection.image"] == (1, 1)
    before = {n: p.clone() for n, p in trainer.learner.model.named_parameters()}  # type: ignore[union-attr]
    trainer._step(batches[0])
    change = {
        n: (p - before[n]).abs().max().item()
        for n, p in trainer.learner.model.named_parameters()  # type: ignore[union-attr]
    }
    # AdamW's first step equals the rate, for any gradient.
    assert change["text.ln_final.bias"] == pytest.approx(
        0.1 * change["image.head.norm.bias"], rel=0.01
    )


def test_without_settings_nothing_changes(archive: Archive, tmp_path: Path) -> None:
    """A factor of 1 on everything, and on nothing, give the same bytes."""
    digests = set()
    for number, factors in enumerate(({}, {"*": {"lr": 1.0, "weight_decay": 1.0}})):
        out = tmp_path / str(number)
        pretrain(tuned(archive, "mi2-both", out, factors=factors), out, 1)
        digests.add(file_digest(out / "encoder.safetensors"))
    assert len(digests) == 1


def test_layer_scales() -> None:
    names = [
        "image.stem.conv.weight",
        "image.stages.0.blocks.0.spatial_block.mlp.fc1.weight",
        "image.stages.1.downsample.conv.weight",
        "image.stages.1.blocks.0.norm1.weight",
        "image.stages.1.blocks.1.norm1.weight",
        "image.head.norm.weight",
    ]
    assert list(layer_scales(names, 0.5).values()) == [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
    others = ["vision_model.embed", "vision_model.encoder.layers.0.q", "layers.1.k", "post.weight"]
    assert list(layer_scales(others, 0.5).values()) == [1 / 8, 1 / 4, 1 / 2, 1]
    assert set(layer_scales(names, 1.0).values()) == {1.0}
    assert layer_scales(["gain"], 0.5) == {"gain": 1.0}


def test_both_towers_decay_their_rates(archive: Archive, tmp_path: Path) -> None:
    learner, _ = batches_of(tuned(archive, "mi2-both", tmp_path, {"layer_decay": 0.5}), tmp_path)
    rates = {name: g["lr_scale"] for g in learner.groups() for name in g["names"]}
    assert rates["text.token_embedding.weight"] == rates["text.positional_embedding"] == 1 / 4
    assert rates["text.transformer.resblocks.0.ln_1.weight"] == 1 / 2
    assert (
        rates["text.ln_final.weight"] == rates["logit_scale"] == rates["image.head.norm.bias"] == 1
    )
    assert rates["image.stages.3.blocks.0.channel_block.norm1.weight"] == 1 / 2
    assert rates["image.stem.conv.weight"] == 1 / 2**8


def wise(archive: Archive, folder: Path, share: float) -> Archive:
    study = archive.study.model_dump(mode="json")
    study["arms"]["wise"] = {"interpolates": "rad-dino", "share": share}
    path = folder / "study.json"
    path.write_text(json.dumps(study))
    return replace(archive, study=parse_study(study), study_file=path)


def made_of(archive: Archive, folder: Path) -> list[str]:
    """A trained run and its base, and the options of the script that interpolates them."""
    for name in ("base", "trained"):
        torch.manual_seed(len(name))
        tensors = {"image.w": torch.randn(3, 2)} | (
            {"new": torch.ones(2)} if name != "base" else {}
        )
        content = EncoderFile(archive.study.encoders["rad-dino"], tensors)
        save_encoder(folder / name / "encoder.safetensors", content)
    card = blank_card() | {
        "images": 19,
        "samples_seen": 96,
        "paradigm": "dinov2",
        "supervision": [],
    }
    write_json(folder / "trained" / "encoder.json", card | {"encoder": "rad-dino", "seconds": 5.0})
    options = {"study": archive.study_file, "arm": "wise", "size": 20, "seed": 0}
    options |= {name: folder / name / "encoder.safetensors" for name in ("trained", "base")}
    options["out"] = folder / "out"
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def test_interpolation(archive: Archive, tmp_path: Path) -> None:
    """On the line between both; what is new is taken as trained; no time is charged."""
    ends = [
        read_encoder(tmp_path / name / "encoder.safetensors").tensors["image.w"]
        for name in ("base", "trained")
        if made_of(archive, tmp_path)
    ]
    for share in (0.0, 0.3, 1.0):
        interpolate(made_of(wise(archive, tmp_path, share), tmp_path))
        content = read_encoder(tmp_path / "out" / "encoder.safetensors")
        expected = (1 - share) * ends[0] + share * ends[1]
        exact = {} if 0 < share < 1 else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(content.tensors["image.w"], expected, **exact)
        assert torch.equal(content.tensors["new"], torch.ones(2))
        card = read_json(tmp_path / "out" / "encoder.json")
        expected_card = {"arm": "wise", "size": 20, "images": 19, "status": "ok", "seconds": None}
        assert {name: card[name] for name in expected_card} == expected_card
        assert card.keys() == blank_card().keys()
        assert card["interpolates"]["share"] == share
        assert card["interpolates"]["arm"] == "rad-dino"


def test_interpolation_with_a_failed_run(archive: Archive, tmp_path: Path) -> None:
    options = made_of(wise(archive, tmp_path, 0.5), tmp_path)
    empty = EncoderFile(archive.study.encoders["rad-dino"])
    save_encoder(tmp_path / "trained" / "encoder.safetensors", empty)
    interpolate(options)
    card = read_json(tmp_path / "out" / "encoder.json")
    assert (card["status"], card["images"]) == ("failed", 19)
    assert card["reason"].startswith("the run of rad-dino failed")
    assert not read_encoder(tmp_path / "out" / "encoder.safetensors").tensors


def test_both_ends_are_exact() -> None:
    torch.manual_seed(0)
    base, trained = {"w": torch.randn(1000)}, {"w": torch.randn(1000)}
    assert torch.equal(between(base, trained, 0.0)["w"], base["w"])
    assert torch.equal(between(base, trained, 1.0)["w"], trained["w"])
