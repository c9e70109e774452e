"""Encoder files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save

from radscale_lib.encoders.storage import (
    EncoderFile,
    EncoderFileError,
    load_tower,
    read_encoder,
    save_encoder,
)
from radscale_lib.encoders.towers import build
from radscale_lib.study.encoders.rad_dino import RadDino


@pytest.mark.parametrize("kind", ["mi2", "rad_dino"])
def test_a_tower_comes_back(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    encoder = request.getfixturevalue(kind)
    tower = build(encoder).eval().requires_grad_(False)
    tensors = {f"image.{name}": value for name, value in tower.state_dict().items()}
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, EncoderFile(encoder, tensors | {"other": torch.ones(2)}, '{"a": "é"}'))
    content = read_encoder(path)
    assert content.encoder == encoder
    assert content.tokenizer == '{"a": "é"}'
    assert content.part("image").keys() == tower.state_dict().keys()
    loaded = load_tower(path)
    images = torch.rand(2, 1, encoder.image_size, encoder.image_size)
    torch.testing.assert_close(loaded(images), tower(images), rtol=0, atol=0)
    assert not loaded.training
    assert loaded.encoder == encoder
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    with safe_open(path, "pt") as file:
        assert file.metadata().keys() == {"config", "tokenizer"}


def test_the_bytes_are_the_librarys_but_for_the_order_of_its_header(
    tmp_path: Path, rad_dino: RadDino
) -> None:
    """The library writes metadata in an order that differs between processes."""
    tensors = {
        "z": torch.rand(3, 4).T,
        "a": torch.rand(()),
        "half": torch.rand(5).bfloat16(),
        "count": torch.tensor(7),
        "none": torch.empty(0, 3),
    }
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, EncoderFile(rad_dino, tensors, "x"))
    written = path.read_bytes()
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    expected = save({name: each.contiguous() for name, each in tensors.items()}, metadata)
    headers, data = [], []
    for each in (written, expected):
        end = 8 + int.from_bytes(each[:8], "little")
        headers.append(json.loads(each[8:end]))
        data.append(each[end:])
    assert headers[0] == headers[1] and data[0] == data[1]
    torch.testing.assert_close(load(written), tensors, rtol=0, atol=0)


def test_a_failed_run_has_no_tower(tmp_path: Path, rad_dino: RadDino) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, EncoderFile(rad_dino))
    assert read_encoder(path).tensors == {}
    with pytest.raises(EncoderFileError, match="the run failed"):
        load_tower(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"no safetensors at all")
    with pytest.raises(EncoderFileError, match="not an encoder file"):
        read_encoder(path)


def test_loading_imports_no_text_tower() -> None:
    code = (
        "import sys, radscale_lib.encoders.storage, radscale_lib.encoders.prepare\n"
        "heavy = {'open_clip', 'transformers', 'tokenizers', 'polars', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
