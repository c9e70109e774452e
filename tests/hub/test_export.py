"""Exported encoders: what each library loads by itself gives our features, and comes back equal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import polars as pl
import pytest
import timm
import torch
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModel

from radscale_lib.cli.export import main
from radscale_lib.encoders.prepare import to_input
from radscale_lib.encoders.release import read_release
from radscale_lib.encoders.storage import EncoderFile, load_tower, read_encoder, save_encoder
from radscale_lib.encoders.towers import build
from radscale_lib.files import write_json
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.tasks.scores import SCHEMA
from tests.archive.conftest import smooth

torch.set_num_threads(1)

MI2 = {
    "kind": "mi2",
    "image": {"image_size": 64, "dims": [8, 16, 16, 32], "depths": [1, 1, 2, 1],
              "heads": [1, 2, 2, 4], "window": 5},
    "text": {"context": 16, "width": 16, "layers": 2, "heads": 2, "vocabulary": 300},
}  # fmt: skip
RAD_DINO = {
    "kind": "rad-dino",
    "image": {"image_size": 56, "patch": 14, "width": 24, "depth": 4, "heads": 3,
              "layer_scale": 0.5},
    "head": {"hidden": 24, "bottleneck": 8, "prototypes": 40},
}  # fmt: skip


def write_encoder(folder: Path, section: EncoderSection, **others: torch.Tensor) -> Path:
    """An encoder file in which every parameter has a distinct value."""
    torch.manual_seed(1)
    tensors = {
        f"image.{name}": value + 0.1 * torch.randn_like(value)
        for name, value in build(section).state_dict().items()
    }
    path = folder / "encoder.safetensors"
    save_encoder(path, EncoderFile(section, tensors | others))
    return path


@pytest.fixture(scope="module")
def mi2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("mi2"), Mi2.model_validate(MI2))


@pytest.fixture(scope="module")
def rad_dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    section = RadDino.model_validate(RAD_DINO)
    others = {"mask_token": torch.randn(1, 24), "head.last": torch.randn(3, 4)}
    return write_encoder(tmp_path_factory.mktemp("rad_dino"), section, **others)


def exported(encoder: Path, form: str, out: Path, *options: object) -> Path:
    main([str(encoder), "--to", form, "--out", str(out), *map(str, options)])
    return out


def films(*sizes: tuple[int, int]) -> list[np.ndarray]:
    return [smooth(*size, 255, seed).astype(np.uint8) for seed, size in enumerate(sizes)]


SIZES = (56, 56), (64, 64), (90, 70), (75, 112), (57, 91), (300, 217)


def own_features(encoder: Path, images: list[np.ndarray]) -> torch.Tensor:
    tower = load_tower(encoder)
    return torch.cat([tower.levels(to_input([image], tower.encoder)).global_ for image in images])


def assert_equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    """Equal to the bit."""
    assert one.keys() == other.keys()
    assert [name for name, value in one.items() if not torch.equal(value, other[name])] == []


def cosines(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(one, other)


@torch.no_grad()
def by_timm(folder: Path, images: list[np.ndarray]) -> torch.Tensor:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    rgb = [PIL.Image.fromarray(image).convert("RGB") for image in images]
    return torch.cat([model(transform(image).unsqueeze(0)) for image in rgb])


@torch.no_grad()
def by_transformers(folder: Path, images: list[np.ndarray]) -> torch.Tensor:
    model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    processor = AutoImageProcessor.from_pretrained(folder)
    rgb = [PIL.Image.fromarray(image).convert("RGB") for image in images]
    return torch.cat(
        [model.eval()(**processor(image, return_tensors="pt")).pooler_output for image in rgb]
    )


def test_mi2s_image_tower_by_timm(mi2: Path, tmp_path: Path) -> None:
    folder = exported(mi2, "timm", tmp_path / "timm")
    images = films(*SIZES)
    torch.testing.assert_close(
        by_timm(folder, images), own_features(mi2, images), atol=1e-5, rtol=0
    )
    arguments = json.loads((folder / "config.json").read_text())["model_args"]
    weights = folder / "model.safetensors"
    timm.create_model("davit_huge_fl", checkpoint_path=weights, num_classes=0, **arguments)
    back = load_file(weights)
    assert back.keys() == read_encoder(mi2).part("image").keys()
    assert all(
        torch.equal(back[name], value) for name, value in read_encoder(mi2).part("image").items()
    )


def test_rad_dino_by_timm(rad_dino: Path, tmp_path: Path) -> None:
    folder = exported(rad_dino, "timm", tmp_path / "timm")
    images = films(*SIZES, (59, 56), (150, 112))
    theirs, own = by_timm(folder, images), own_features(rad_dino, images)
    side = RAD_DINO["image"]["image_size"]
    longer = [side * max(image.shape) // min(image.shape) for image in images]
    same = [(each - side) % 4 != 3 for each in longer]
    assert same.count(False) == 3
    torch.testing.assert_close(theirs[same], own[same], atol=1e-5, rtol=0)
    shifted = [not each for each in same]
    assert cosines(theirs[shifted], own[shifted]).min() > 0.99  # by a pixel: timm's own rounding


def test_rad_dino_by_transformers_and_back(rad_dino: Path, tmp_path: Path) -> None:
    folder = exported(rad_dino, "transformers", tmp_path / "transformers")
    images = films(*SIZES)
    theirs, own = by_transformers(folder, images), own_features(rad_dino, images)
    torch.testing.assert_close(theirs[:1], own[:1], atol=1e-5, rtol=0)  # nothing to resize
    assert cosines(theirs, own).min() >= 0.99999
    content = read_encoder(rad_dino)
    assert_equal(read_release(content.encoder, folder).tensors, content.tensors)


def test_the_encoder_file_itself(mi2: Path, tmp_path: Path) -> None:
    folder = exported(mi2, "safetensors", tmp_path / "own")
    assert (folder / "encoder.safetensors").read_bytes() == mi2.read_bytes()
    assert exported(mi2.parent, "safetensors", tmp_path / "again").exists()


def refused(encoder: Path, form: str, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        exported(encoder, form, out)
    assert end.value.code == 1
    return capsys.readouterr().err


def test_refusals_name_the_remedy_and_write_nothing(
    mi2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    said = refused(mi2, "open_clip", out, capsys)
    assert "kind 'mi2' has no form for open_clip: use one of timm, safetensors" in said
    assert "no config.json" in refused(tmp_path, "timm", out, capsys)
    assert list(tmp_path.iterdir()) == []
    out.mkdir()
    (out / "mine").write_text("")
    assert "not empty: give a new folder" in refused(mi2, "timm", out, capsys)
    assert [path.name for path in out.iterdir()] == ["mine"]


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
    """The card's metadata, as the Hub's own library reads it too, and its text."""
    loaded = ModelCard.load(folder / "README.md")
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    meta = yaml.safe_load(front)
    assert loaded.data.license == meta["license"]
    assert len(loaded.data.eval_results or ()) == len(meta.get("model-index", ()))
    return meta, text


def test_the_card_says_what_is_known_and_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "study" / "encoders" / "labels" / "n=200" / "seed=1"
    encoder = write_encoder(run, Mi2.model_validate(MI2))
    meta, text = card_of(exported(encoder, "timm", tmp_path / "bare"))
    assert meta["license"] == "other" and "model-index" not in meta
    assert "whose training is not known" in text
    assert "Images in the training subset: not known" in text and "Not known: the scores" in text
    write_json(
        run / "encoder.json",
        {"arm": "labels", "size": 200, "seed": 1, "status": "ok", "paradigm": "unicl",
         "supervision": ["reports", "labels"], "images": 198, "samples_budget": 12_800,
         "samples_seen": 12_800, "repeats_per_image": 64.0, "stage_id": "0123"},
    )  # fmt: skip
    row = dict.fromkeys(SCHEMA) | {
        "arm": "labels", "size": 200, "seed": 1, "task": "findings", "head": "linear",
        "target": "macro", "metric": "auroc", "value": 0.81234, "lower": 0.79, "upper": 0.83,
        "confidence": 0.95, "cases": 1200,
    }  # fmt: skip
    rows = [row, row | {"seed": 2, "value": 0.5}, row | {"target": "nodule", "value": 0.7}]
    pl.DataFrame(rows, SCHEMA).write_parquet(tmp_path / "study" / "scores.parquet")
    options = ["--license", "apache-2.0", "--study", "config/smoke.yaml"]
    meta, text = card_of(exported(run, "timm", tmp_path / "full", *options))
    assert meta["license"] == "apache-2.0" and meta["library_name"] == "timm"
    (result,) = meta["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "auroc", "value": 0.8123, "name": "auroc (linear head)"}]
    assert "| findings | linear | auroc | 0.812 | 0.790 to 0.830 | 1,200 |" in text
    assert "unique images seen: 198" in text and "nodule" not in text
    assert "trained by unicl with radiology reports and labels" in text
    other = tmp_path / "other.parquet"
    pl.DataFrame({"arm": ["labels"]}).write_parquet(other)
    with pytest.raises(SystemExit):
        exported(run, "timm", tmp_path / "none", "--scores", other)
    assert "other.parquet: no table of a study's scores" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert (
        "Any image of a patient" in text and "Tasks and heads other than findings (linear)." in text
    )
