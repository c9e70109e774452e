"""Embeddings of images and texts in one space, and encoders that have none."""

from pathlib import Path

import numpy as np
import pytest
import torch

from radscale_lib.encoders.shared_space import load_shared_space
from radscale_lib.encoders.storage import EncoderFile, save_encoder
from radscale_lib.encoders.text import LearntTokenizer
from radscale_lib.encoders.towers import build
from radscale_lib.pretrain.unicl_learner import Mi2Model
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino

TEXTS = ["no pleural effusion", "tip of the tube above the carina", "No"]


@torch.no_grad()
def test_mi2s_space_is_that_of_its_training(mi2: Mi2, tmp_path: Path) -> None:
    tokenizer = LearntTokenizer.learn(TEXTS, 300, mi2.text.context)
    torch.manual_seed(0)
    model = Mi2Model(mi2, tokenizer).eval()
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, EncoderFile(mi2, model.state_dict(), tokenizer.json))
    space = load_shared_space(path)
    assert space is not None
    images = torch.rand(3, 1, mi2.image_size, mi2.image_size)
    u, v = (torch.nn.functional.normalize(side, dim=-1) for side in model(images, tokenizer(TEXTS)))
    found = space.images(model.image(images).numpy())
    np.testing.assert_allclose(found, u.numpy(), atol=1e-5)
    np.testing.assert_allclose(space.texts(TEXTS), v.numpy(), atol=1e-5)
    assert space.scale == pytest.approx(1 / 0.07)


def test_an_encoder_without_texts_has_no_space(mi2: Mi2, rad_dino: RadDino, tmp_path: Path) -> None:
    for place, section in enumerate((mi2, rad_dino)):
        path = tmp_path / f"{place}.safetensors"
        weights = build(section).state_dict()
        save_encoder(path, EncoderFile(section, {f"image.{n}": w for n, w in weights.items()}))
        assert load_shared_space(path) is None
