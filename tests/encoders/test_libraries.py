"""Encoders of timm, transformers and open_clip, against the libraries called by hand."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import transformers as hf
from open_clip.tokenizer import HFTokenizer
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from torch import Tensor

from radscale_lib.encoders import load
from radscale_lib.encoders.features import Tower
from radscale_lib.encoders.loading import load_file
from radscale_lib.encoders.open_clip_tower import load_text_tower
from radscale_lib.encoders.prepare import map_points
from radscale_lib.encoders.release import ReleaseError, load_tensors
from radscale_lib.encoders.shared_space import load_shared_space
from radscale_lib.encoders.storage import load_tower, read_encoder, save_encoder
from radscale_lib.provenance.step import InputError
from radscale_lib.study.encoders.open_clip import OpenClip
from radscale_lib.study.encoders.timm import Timm
from radscale_lib.study.encoders.transformers import Transformers
from tests.encoders.libraries import (
    OPEN_CLIP,
    TIMM,
    TRANSFORMERS,
    films,
    open_clip_folder,
    rgb,
    stirred,
    timm_folder,
    timm_model,
    transformers_folder,
)


def stored(spec: Any, tmp_path: Path) -> Tower:
    """A tower that went through an encoder file, as in a study."""
    path = tmp_path / "file" / "encoder.safetensors"
    save_encoder(path, load_file(spec))
    return load_tower(path)


@torch.no_grad()
def embedded(tower: Tower) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Embeddings, those beside levels, and means of the levels, of all films."""
    inputs = tower.prepare(films())
    features = tower.levels(inputs)
    return tower(inputs), features.global_, [level.mean((2, 3)) for level in features.levels]


def same(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert torch.cosine_similarity(found, expected).min() >= 0.99999
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("example", TIMM)
@torch.no_grad()
def test_a_timm_tower_is_timms_model_with_timms_transform(example: str, tmp_path: Path) -> None:
    name, options = TIMM[example]
    model: Any = timm_model(name, options)
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    section = Timm(kind="timm", name=name, options=options, weights=path)
    overlay = {"input_size": (3, side, side)} if (side := options.get("img_size")) else None
    transform = create_transform(**resolve_model_data_config(model, args=overlay))
    pixels = torch.stack([transform(rgb(film)) for film in films()])
    tower = stored(section, tmp_path)
    embeddings, beside, means = embedded(tower)
    same(embeddings, model(pixels))
    same(beside, model(pixels))
    sides = [stage["reduction"] for stage in model.feature_info]
    plain = len(set(sides)) == 1
    depth = len(sides)
    taken = [depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4)] if plain else 4
    if example == "vit":
        taken = [1, 2, 4, 5]  # of six blocks: 1.5, 3, 4.5 and 6, rounded up
    levels = model.forward_intermediates(
        pixels, indices=taken, norm=plain, intermediates_only=True, output_fmt="NCHW"
    )
    for found, level in zip(means, levels, strict=True):
        same(found, level.mean((2, 3)))
    if plain:
        patches = model.forward_features(pixels)[:, model.num_prefix_tokens :]
        same(means[3], patches.mean(1))


@torch.no_grad()
def test_a_folder_that_timm_saved_is_enough(tmp_path: Path) -> None:
    timm_folder(tmp_path / "hub", *TIMM["vit"])
    by_hand = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True, num_classes=0)
    by_hand.eval()
    data = resolve_model_data_config(by_hand, args={"input_size": (3, 64, 64)})
    pixels = torch.stack([create_transform(**data)(rgb(film)) for film in films()])
    same(embedded(stored(tmp_path / "hub", tmp_path))[0], by_hand(pixels))


@pytest.mark.parametrize("example", TRANSFORMERS)
@pytest.mark.parametrize("processor", [True, False], ids=["processor", "none"])
@torch.no_grad()
def test_a_transformers_tower_is_the_folders_model_and_processor(
    example: str, processor: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, _, values = TRANSFORMERS[example]
    folder = tmp_path / "folder"
    transformers_folder(folder, example, processor=processor)
    tower = stored(folder, tmp_path)
    if processor:
        prepare = hf.AutoImageProcessor.from_pretrained(folder)
    else:
        assert "no preprocessor_config.json" in capsys.readouterr().err
        prepare = usual_processor(example, values["image_size"])
    pixels = prepare([rgb(film) for film in films()], return_tensors="pt")["pixel_values"]
    model = kind.from_pretrained(folder).eval()
    outputs = model(pixels, output_hidden_states=True)
    embeddings, beside, means = embedded(tower)
    same(embeddings, outputs.pooler_output)
    same(beside, outputs.pooler_output)
    patches = (pixels.shape[-1] // model.config.patch_size) ** 2
    norm = getattr(model, "layernorm", None) or getattr(model, "norm", None) or model.post_layernorm
    for found, number in zip(means, (2, 3, 5, 6), strict=True):
        state = norm(outputs.hidden_states[number])[:, -patches:]
        same(found, state.mean(1))


def usual_processor(family: str, side: int) -> Any:
    """The processor that published folders of a family have, at another size."""
    square = {"height": side, "width": side}
    cropped = {"size": {"shortest_edge": side}, "crop_size": square}
    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    return {
        "dinov2": lambda: hf.BitImageProcessor(**cropped, **imagenet),
        "swiglu": lambda: hf.BitImageProcessor(**cropped, **imagenet),
        "registers": lambda: hf.BitImageProcessor(**cropped, **imagenet),
        "dinov3": lambda: hf.DINOv3ViTImageProcessor(size=square),
        "vit": lambda: hf.ViTImageProcessor(size=square),
        "clip": lambda: hf.CLIPImageProcessor(**cropped),
        "siglip": lambda: hf.SiglipImageProcessor(size=square),
    }[family]()


@pytest.mark.parametrize("example", OPEN_CLIP)
@torch.no_grad()
def test_an_open_clip_tower_is_encode_image_with_preprocess_val(
    example: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    open_clip_folder(folder, OPEN_CLIP[example])
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    pixels = torch.stack([preprocess(rgb(film)) for film in films()])
    embeddings, beside, _ = embedded(stored(folder, tmp_path))
    same(embeddings, model.encode_image(pixels))
    same(beside, model.encode_image(pixels))


@torch.no_grad()
def test_an_open_clip_file_keeps_its_text_tower(tmp_path: Path) -> None:
    config = OPEN_CLIP["ViT-B-32-like"]
    model = open_clip_folder(tmp_path / "folder", config)
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, load_file(tmp_path / "folder"))
    texts = ["no pleural effusion", "tip of the tube 3 cm above the carina"]
    tower = load_text_tower(read_encoder(path))
    tokens = open_clip.SimpleTokenizer(context_length=12)(texts)
    same(tower(texts), model.encode_text(tokens))
    space = load_shared_space(path)
    assert space is not None and space.scale == pytest.approx(model.logit_scale.exp().item())
    same(torch.from_numpy(space.texts(texts)), model.encode_text(tokens, normalize=True))
    embeddings = model.encode_image(torch.rand(2, 3, 64, 64))
    unit = torch.nn.functional.normalize(embeddings, dim=-1)
    same(torch.from_numpy(space.images(embeddings.numpy())), unit)


@torch.no_grad()
def test_a_text_tower_whose_files_are_not_there_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of BiomedCLIP, whose text tower is configured by a repository on the Hub."""
    config = OPEN_CLIP["ViT-B-32-like"]
    model = open_clip_folder(tmp_path, config)
    hub = {"hf_model_name": "someone/a-bert", "hf_tokenizer_name": "someone/a-bert"}
    told = {"model_cfg": config["model_cfg"] | {"text_cfg": hub, "custom_text": True}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(told))
    tower = load(tmp_path)
    assert "the text tower is left out" in capsys.readouterr().err
    inputs = tower.prepare(films())
    same(tower(inputs), model.encode_image(tower._normalised(inputs)))


@torch.no_grad()
def test_a_text_tower_of_transformers_comes_with_its_folder(tmp_path: Path) -> None:
    """BiomedCLIP's form: a BERT with its configuration and tokenizer in a separate folder."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "no", "pleural", "effusion", "tube", "tip"]
    bert = tmp_path / "bert"
    hf.BertTokenizer(vocab={word: n for n, word in enumerate(words)}).save_pretrained(bert)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    hf.BertConfig(
        vocab_size=len(words), intermediate_size=32, max_position_embeddings=16, **sizes
    ).save_pretrained(bert)

    def config(name: str) -> dict[str, Any]:
        text = {"hf_model_name": name, "hf_tokenizer_name": name, "context_length": 12}
        text |= {"hf_proj_type": "mlp", "hf_pooler_type": "cls_last_hidden_state_pooler"}
        base = OPEN_CLIP["ViT-B-32-like"]["model_cfg"]
        return {"model_cfg": base | {"text_cfg": text, "custom_text": True}, "preprocess_cfg": {}}

    folder = tmp_path / "clip"
    model = open_clip_folder(folder, config(str(bert)))
    (folder / "open_clip_config.json").write_text(json.dumps(config("someone/bert")))
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, load_file(OpenClip(kind="open_clip", weights=folder, tokenizer=bert)))
    texts = ["no pleural effusion", "tube tip"]
    tokens = HFTokenizer(str(bert), context_length=12)(texts)
    assert len({tuple(row) for row in tokens.tolist()}) == 2
    same(load_text_tower(read_encoder(path))(texts), model.encode_text(tokens))


def test_names_and_files_are_given_as_text(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    model = timm.create_model("test_vit", pretrained=False, num_classes=10)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, path)
    tower = load(f"timm:test_vit,weights={path}")
    film = tower.prepare(films()[:1])
    model.reset_classifier(0)
    assert torch.equal(tower(film), model.eval()(tower._normalised(film)))
    random = [load(f"timm:test_vit,random={seed}")(film) for seed in (1, 1, 2)]
    assert torch.equal(random[0], random[1]) and not torch.equal(random[0], random[2])
    save_encoder(tmp_path / "encoder.safetensors", load_file(f"timm:test_vit,weights={path}"))
    assert torch.equal(load(tmp_path / "encoder.safetensors")(film), tower(film))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("timm:test_vit", "without weights: give 'weights'"),
        ("open_clip:ViT-B-32", "without weights: give 'weights'"),
        ("timm:vit_tniy_patch16_224,random=0", "did you mean vit_tiny_patch16_224"),
        ("open_clip:ViT-B-33,random=0", "'ViT-B-33' is none of open_clip's models"),
        ("timm:test_vit,weights=/nowhere/a.safetensors", "no such file"),
        ("timm:test_vit,seed=1", "seed: Extra inputs are not permitted"),
        ("timm:test_vit,random", "'random' is not of the form key=value"),
        ("/nowhere", "no encoder: give an encoder file, a run's folder"),
    ],
)
def test_what_is_no_encoder_is_told(spec: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        load(spec)


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    spec = f"timm:test_vit,weights={path}"
    good = timm.create_model("test_vit", pretrained=False, num_classes=0).state_dict()
    name = "blocks.1.attn.qkv.weight"
    broken = good[name].clone()
    broken[0, 0] = float("nan")
    for weights, said in (
        ({key: good[key] for key in good if key != name}, f"{name} (missing)"),
        (good | {name: good[name][:5].clone()}, f"{name} ((5, 64), where the model has (192, 64))"),
        (good | {name: good[name].int()}, f"{name} (torch.int32, where the model has"),
        (good | {name: broken}, f"{name} is not finite"),
        (good | {"surplus": torch.ones(2)}, "surplus (unknown)"),
    ):
        save_file(weights, path)
        with pytest.raises(ReleaseError, match=re.escape(said)):
            load(spec)
    path.write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(ReleaseError, match="not a safetensors file"):
        load(spec)
    path.rename(path.with_suffix(".bin"))
    with pytest.raises(ReleaseError, match="without running code"):
        load(spec.replace(".safetensors", ".bin"))


def test_a_transformers_folder_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    transformers_folder(tmp_path, "dinov2")
    file = tmp_path / "model.safetensors"
    weights = load_tensors(file)
    left = "encoder.layer.3.mlp.fc1.weight"
    save_file({k: v for k, v in weights.items() if k != left}, file, {"format": "pt"})
    with pytest.raises(ReleaseError, match="weights are missing or of another shape, such as"):
        load(tmp_path)


@torch.no_grad()
def test_models_that_are_no_plain_transformers_on_squares_are_refused(tmp_path: Path) -> None:
    hf.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    sizes = {"image_size": 32, "patch_size": 4, "embed_dim": 16, "window_size": 4}
    config = hf.SwinConfig(depths=[1, 1], num_heads=[1, 2], **sizes)
    hf.SwinModel(config).save_pretrained(tmp_path)
    tower = load(tmp_path)
    with pytest.raises(ReleaseError, match=r"'swin': .* only plain vision transformers"):
        tower.levels(tower.prepare(films()))
    hf.Siglip2Config().save_pretrained(tmp_path)
    with pytest.raises(ReleaseError, match="'siglip2' takes patches of any shape"):
        load(tmp_path)


@torch.no_grad()
def test_without_a_pooler_the_class_token_is_taken(tmp_path: Path) -> None:
    """As of a classifier's checkpoint: transformers would draw the pooler's weights."""
    config = hf.ViTConfig(**TRANSFORMERS["vit"][2])
    model = stirred(hf.ViTForImageClassification(config))
    model.save_pretrained(tmp_path)
    tower = load(tmp_path)
    inputs = tower.prepare(films())
    expected = model.vit(tower._normalised(inputs)).last_hidden_state[:, 0]
    same(tower(inputs), expected)


def test_code_in_a_folder_is_run_with_leave_only(tmp_path: Path) -> None:
    transformers_folder(tmp_path, "dinov2")
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}
    config["model_type"] = "mine"
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = hf.Dinov2Model(hf.Dinov2Config(**TRANSFORMERS["dinov2"][2]))
    save_file(model.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "mine.py").write_text(
        "from transformers import Dinov2Config, Dinov2Model\n"
        "class Config(Dinov2Config):\n    model_type = 'mine'\n"
        "class Model(Dinov2Model):\n    config_class = Config\n"
    )
    with pytest.raises(ReleaseError, match=r"code of its own \(mine.Config, mine.Model\)"):
        load(tmp_path)
    section = Transformers(kind="transformers", weights=tmp_path, trust_remote_code=True)
    assert type(load(section).model).__name__ == "Model"


def test_facts_are_told_without_a_library(tmp_path: Path) -> None:
    transformers_folder(tmp_path / "hf", "dinov2")
    timm_folder(tmp_path / "timm", *TIMM["vit"])
    open_clip_folder(tmp_path / "clip", OPEN_CLIP["padded"])
    code = """
import sys
from pathlib import Path
from radscale_lib.study.encoders import ENCODERS
for kind, folder in (("transformers", "hf"), ("timm", "timm"), ("open_clip", "clip")):
    each = ENCODERS[kind](kind=kind, weights=Path(sys.argv[1], folder))
    print(each.image_size, *each.place(90, 60), int(each.parameters()), each.flops() > 0)
assert not {"torch", "numpy"} & set(sys.modules)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sizes = [sum(p.numel() for p in load(tmp_path / n).parameters()) for n in ("hf", "timm")]
    assert told[0].startswith(f"56 96 64 20 4 {sizes[0]}")
    assert told[1].startswith("64 106 71 21 4 ")
    assert sizes[1] < int(told[1].split()[5]) < 1.5 * sizes[1]  # a pickle's size, with a classifier
    assert told[2].startswith("48 48 32 0 -8")
    assert all(line.endswith("True") for line in told)


@pytest.mark.parametrize("size", [(64, 64), (91, 57), (31, 40), (33, 34), (7, 200)])
@pytest.mark.parametrize("example", ["transformers", "timm", "open_clip"])
def test_points_lie_where_the_librarys_own_transform_puts_them(
    example: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """A bright dot comes to lie in the cell that the section says."""
    folder = tmp_path / "folder"
    if example == "transformers":
        transformers_folder(folder, "swiglu")
    elif example == "timm":
        timm_folder(folder, *TIMM["vit"])
    else:
        open_clip_folder(folder, OPEN_CLIP["padded"])
    tower = load(folder)
    height, width = size
    fill = tower.encoder.fill
    film = np.full(size, fill, np.uint8)
    row, column = height // 2, width // 2
    film[row, column] = 255
    ((x, y),) = map_points([(column, row)], height, width, tower.encoder)
    square = tower.prepare([film])[0, 0]
    side = square.shape[-1]
    total = (square - fill / 255).clamp(min=0)
    centre = torch.arange(side) + 0.5
    found = [float((total.sum(axis) * centre).sum() / total.sum()) / side for axis in (0, 1)]
    assert found == pytest.approx([x, y], abs=0.6 / side)
