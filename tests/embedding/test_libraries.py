"""`radscale embed` gives what timm, transformers and open_clip give when called by hand."""

from pathlib import Path
from typing import Any

import open_clip
import polars as pl
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel

from radscale_lib.cli.embed import main
from tests.encoders.libraries import (
    OPEN_CLIP,
    films,
    open_clip_folder,
    rgb,
    stirred,
    transformers_folder,
)

torch.set_num_threads(1)
CONFIG = next(iter(OPEN_CLIP.values()))


def by_timm(folder: Path) -> tuple[str, Any]:
    model: Any = stirred(timm.create_model("test_vit", pretrained=False, num_classes=0))
    save_file(model.state_dict(), folder / "weights.safetensors")
    transform = create_transform(**resolve_model_data_config(model))
    return f"timm:test_vit,weights={folder / 'weights.safetensors'}", lambda film: model(
        transform(rgb(film)).unsqueeze(0)
    )


def by_transformers(folder: Path) -> tuple[str, Any]:
    transformers_folder(folder, "dinov2", processor=True)
    model = AutoModel.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    return str(
        folder
    ), lambda film: model(**processor(rgb(film), return_tensors="pt")).pooler_output


def by_open_clip(folder: Path) -> tuple[str, Any]:
    open_clip_folder(folder, CONFIG)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return str(folder), lambda film: model.eval().encode_image(preprocess(rgb(film)).unsqueeze(0))


@pytest.mark.parametrize("library", [by_timm, by_transformers, by_open_clip])
@torch.no_grad()
def test_a_folder_of_films_of_all_sizes(library: Any, tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    spec, by_hand = library(tmp_path / "encoder")
    (tmp_path / "films").mkdir()
    for number, film in enumerate(films()):
        rgb(film).convert("L" if number % 2 else "RGB").save(tmp_path / f"films/{number}.png")
    with pytest.raises(SystemExit) as end:
        main([spec, str(tmp_path / "films"), "--out", str(tmp_path / "e.parquet"), "--batch", "4"])
    assert end.value.code == 0
    found = torch.tensor(pl.read_parquet(tmp_path / "e.parquet")["embedding"].to_list())
    expected: Tensor = torch.cat([by_hand(film) for film in films()])
    assert torch.cosine_similarity(found, expected).min() >= 0.99999
