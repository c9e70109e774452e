"""Encoders of timm, transformers and open_clip go back to their library, equal to the bit."""

from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
from timm.data import create_transform, resolve_model_data_config
from transformers import AutoImageProcessor, AutoModel

from radscale_lib.encoders.loading import load_file
from radscale_lib.encoders.storage import read_encoder, save_encoder, tower_of
from radscale_lib.hub.export import export
from radscale_lib.hub.files import ExportError
from radscale_lib.study.encoders.timm import Timm
from tests.encoders.libraries import (
    OPEN_CLIP,
    TIMM,
    TRANSFORMERS,
    films,
    open_clip_folder,
    rgb,
    timm_folder,
    timm_model,
    transformers_folder,
)

torch.set_num_threads(1)


def through_file(spec: Any, form: str, tmp_path: Path) -> tuple[torch.Tensor, Path]:
    """Embeddings of all films by an encoder file, and the folder that it was exported to."""
    path = tmp_path / "file" / "encoder.safetensors"
    save_encoder(path, load_file(spec))
    folder = tmp_path / "exported"
    export(path, form, folder)
    content = read_encoder(path)
    back = load_file(folder)
    assert back.tensors.keys() == content.tensors.keys()
    assert all(torch.equal(back.tensors[name], each) for name, each in content.tensors.items())
    tower = tower_of(content)
    with torch.no_grad():
        return torch.cat([tower(tower.prepare([film])) for film in films()]), folder


def assert_same(theirs: torch.Tensor, own: torch.Tensor) -> None:
    assert torch.cosine_similarity(theirs, own).min() >= 0.99999
    torch.testing.assert_close(theirs, own, atol=1e-5 * float(own.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("example", TIMM)
@torch.no_grad()
def test_timm(example: str, tmp_path: Path) -> None:
    timm_folder(tmp_path / "hub", *TIMM[example])
    own, folder = through_file(tmp_path / "hub", "timm", tmp_path)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(model))
    assert_same(torch.cat([model(transform(rgb(film)).unsqueeze(0)) for film in films()]), own)


@torch.no_grad()
def test_timm_at_another_resolution(tmp_path: Path) -> None:
    name, options = TIMM["vit"]
    torch.save(timm_model(name, options).state_dict(), tmp_path / "weights.pth")
    section = Timm(
        kind="timm", name=name, weights=tmp_path / "weights.pth", resolution=96,
        options={key: value for key, value in options.items() if key != "img_size"},
    )  # fmt: skip
    own, folder = through_file(section, "timm", tmp_path)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(model))
    assert transform(rgb(films()[0])).shape == (3, 96, 96)
    assert_same(torch.cat([model(transform(rgb(film)).unsqueeze(0)) for film in films()]), own)


@pytest.mark.parametrize("example", TRANSFORMERS)
@torch.no_grad()
def test_transformers(example: str, tmp_path: Path) -> None:
    transformers_folder(tmp_path / "hub", example, processor=True)
    own, folder = through_file(tmp_path / "hub", "transformers", tmp_path)
    model, told = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    processor = AutoImageProcessor.from_pretrained(folder)
    outputs = [model.eval()(**processor(rgb(film), return_tensors="pt")) for film in films()]
    assert_same(torch.cat([each.pooler_output for each in outputs]), own)


@pytest.mark.parametrize("example", OPEN_CLIP)
@torch.no_grad()
def test_open_clip(example: str, tmp_path: Path) -> None:
    original = open_clip_folder(tmp_path / "hub", OPEN_CLIP[example])
    own, folder = through_file(tmp_path / "hub", "open_clip", tmp_path)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pixels = [preprocess(rgb(film)).unsqueeze(0) for film in films()]
    assert_same(torch.cat([model.eval().encode_image(each) for each in pixels]), own)
    tokens = torch.randint(1, 50, (2, model.context_length))
    torch.testing.assert_close(model.encode_text(tokens), original.encode_text(tokens))


def test_what_a_library_cannot_express_is_refused(tmp_path: Path) -> None:
    name, options = TIMM["vit"]
    torch.save(timm_model(name, options).state_dict(), tmp_path / "weights.pth")
    padded = {"size": 64, "resize": "longer", "resized": 64, "mean": [0.5] * 3, "std": [0.5] * 3}
    section = Timm(
        kind="timm", name=name, weights=tmp_path / "weights.pth", options=options, input=padded
    )
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, load_file(section))
    with pytest.raises(ExportError, match="'input' is one that timm's evaluation transform"):
        export(path, "timm", tmp_path / "out")
    assert {each.name for each in tmp_path.iterdir()} == {"weights.pth", "encoder.safetensors"}
