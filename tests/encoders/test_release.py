"""Released weights: small checkpoints in the releases' own layouts, and what they compute."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from radscale_lib.encoders.release import ReleaseError, read_release
from radscale_lib.encoders.storage import EncoderFile, load_tower, read_encoder, save_encoder
from radscale_lib.encoders.text import ClipTokenizer, LearntTokenizer
from radscale_lib.pretrain.dinov2 import _with_heads
from radscale_lib.pretrain.dinov2_learner import RadDinoModel
from radscale_lib.pretrain.head import DinoHead
from radscale_lib.pretrain.released import released_weights
from radscale_lib.pretrain.setup import continue_from, mismatches
from radscale_lib.pretrain.unicl_learner import Mi2Model
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.paradigms.dinov2 import Dinov2

# The released head was built with the first of torch's two weight normalisations.
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")


def head_as_released(encoder: RadDino) -> nn.Module:
    """A projection head as DINOv2's code builds it: same layers, torch's first weight norm."""
    config = encoder.head
    head = nn.Module()
    head.mlp = nn.Sequential(
        nn.Linear(encoder.image.width, config.hidden),
        nn.GELU(),
        nn.Linear(config.hidden, config.hidden),
        nn.GELU(),
        nn.Linear(config.hidden, config.bottleneck),
    )
    last = nn.Linear(config.bottleneck, config.prototypes, bias=False)
    head.last_layer = nn.utils.weight_norm(last)
    return head


def transformers_release(encoder: RadDino, folder: Path) -> nn.Module:
    """A released folder: transformers' own model.safetensors, and a head."""
    from transformers import Dinov2Config, Dinov2Model

    config = encoder.image
    model = Dinov2Model(
        Dinov2Config(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            image_size=config.image_size,
            patch_size=config.patch,
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    save_file(head_as_released(encoder).state_dict(), folder / "dino_head.safetensors")
    return model


def test_rad_dino_from_transformers(rad_dino: RadDino, tmp_path: Path) -> None:
    released = transformers_release(rad_dino, tmp_path)
    content = read_release(rad_dino, tmp_path)
    save_encoder(tmp_path / "encoder.safetensors", content)
    tower = load_tower(tmp_path / "encoder.safetensors")
    images = torch.rand(2, 1, 32, 32)
    normalised = (images - rad_dino.image.mean) / rad_dino.image.std
    with torch.no_grad():
        expected = released(normalised.expand(-1, 3, -1, -1), output_hidden_states=True)
        features = tower.levels(images)
    torch.testing.assert_close(features.global_, expected.pooler_output)
    for level, block in zip(features.levels, (2, 4, 6, 8), strict=True):
        hidden = released.layernorm(expected.hidden_states[block])[:, 1:]
        torch.testing.assert_close(level.flatten(2).transpose(1, 2), hidden)
    torch.testing.assert_close(content.tensors["mask_token"], released.embeddings.mask_token)


def test_masking_is_that_of_transformers(rad_dino: RadDino, tmp_path: Path) -> None:
    released = transformers_release(rad_dino, tmp_path)
    content = read_release(rad_dino, tmp_path)
    save_encoder(tmp_path / "encoder.safetensors", content)
    tower = load_tower(tmp_path / "encoder.safetensors")
    images, mask = torch.rand(2, 1, 32, 32), torch.rand(2, 16) < 0.4
    normalised = ((images - rad_dino.image.mean) / rad_dino.image.std).expand(-1, 3, -1, -1)
    with torch.no_grad():
        expected = released(normalised, bool_masked_pos=mask).last_hidden_state
        cls, patches = tower.tokens(images, mask, content.tensors["mask_token"], torch.arange(32))
    torch.testing.assert_close(cls, expected[:, 0])
    torch.testing.assert_close(patches, expected[:, 1:].reshape(32, -1))


def test_rad_dino_in_original_names(rad_dino: RadDino, tmp_path: Path) -> None:
    """`backbone_compatible.safetensors` holds what `model.safetensors` holds."""
    model = transformers_release(rad_dino, tmp_path)
    expected = dict(read_release(rad_dino, tmp_path).tensors)
    embeddings = model.embeddings
    original: dict[str, Tensor] = {
        "cls_token": embeddings.cls_token,
        "pos_embed": embeddings.position_embeddings,
        "mask_token": embeddings.mask_token,
        "patch_embed.proj.weight": embeddings.patch_embeddings.projection.weight,
        "patch_embed.proj.bias": embeddings.patch_embeddings.projection.bias,
        "norm.weight": model.layernorm.weight,
        "norm.bias": model.layernorm.bias,
    }
    saved = load_file(tmp_path / "model.safetensors")
    for number in range(rad_dino.image.depth):
        block, layer = f"blocks.{number}", f"encoder.layer.{number}"
        for kind in ("weight", "bias"):
            qkv = [
                saved[f"{layer}.attention.attention.{part}.{kind}"]
                for part in ("query", "key", "value")
            ]
            original |= {
                f"{block}.attn.qkv.{kind}": torch.cat(qkv),
                f"{block}.attn.proj.{kind}": saved[f"{layer}.attention.output.dense.{kind}"],
            }
            for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                original[f"{block}.{name}.{kind}"] = saved[f"{layer}.{name}.{kind}"]
        for scale in "12":
            original[f"{block}.ls{scale}.gamma"] = saved[f"{layer}.layer_scale{scale}.lambda1"]
    tensors = {name: tensor.detach().contiguous() for name, tensor in original.items()}
    save_file(tensors, tmp_path / "backbone_compatible.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.testing.assert_close(dict(read_release(rad_dino, tmp_path).tensors), dict(expected))


def test_released_head_computes_the_same(rad_dino: RadDino) -> None:
    released = head_as_released(rad_dino)
    with torch.no_grad():
        released.last_layer.weight_g.uniform_(0.5, 2)
    head = DinoHead(rad_dino.image.width, rad_dino.head)
    head.load_state_dict(released.state_dict())
    x = torch.randn(5, rad_dino.image.width)
    expected = released.last_layer(F.normalize(released.mlp(x), dim=-1))
    torch.testing.assert_close(head(x) @ head.prototypes().T, expected)


def test_a_missing_head_is_an_error_for_an_arm_only(rad_dino: RadDino, tmp_path: Path) -> None:
    transformers_release(rad_dino, tmp_path)
    (tmp_path / "dino_head.safetensors").unlink()
    section = rad_dino.model_copy(update={"weights": tmp_path})
    with pytest.raises(ReleaseError, match="without its trained head"):
        released_weights(section, "encoders.rad-dino", trained=True)
    content = released_weights(section, "encoders.rad-dino", trained=False)
    assert not content.part("head") and content.part("image")


# MedImageInsight: names and computation of its published code, written down independently.


def medimageinsight(encoder: Mi2, tokens: int) -> dict[str, Tensor]:
    """Random weights in the layout of the published checkpoint."""
    image, text = encoder.image, encoder.text
    weights: dict[str, Tensor] = {}

    def linear(name: str, outputs: int, *inputs: int) -> None:
        weights[f"{name}.weight"] = torch.randn(outputs, *inputs) / math.prod(inputs) ** 0.5
        weights[f"{name}.bias"] = torch.randn(outputs) * 0.1

    def norm(name: str, width: int) -> None:
        weights[f"{name}.weight"] = 1 + 0.1 * torch.randn(width)
        weights[f"{name}.bias"] = 0.1 * torch.randn(width)

    for stage, (dim, depth) in enumerate(zip(image.dims, image.depths, strict=True)):
        before = 3 if stage == 0 else image.dims[stage - 1]
        kernel = 7 if stage == 0 else 3
        linear(f"image_encoder.convs.{stage}.proj", dim, before, kernel, kernel)
        norm(f"image_encoder.convs.{stage}.norm", dim if stage == 0 else before)
        for block in range(depth):
            for kind, attention in (("spatial", "window"), ("channel", "channel")):
                name = f"image_encoder.blocks.{stage}.{block}.{kind}_block"
                linear(f"{name}.conv1.fn.dw", dim, 1, 3, 3)
                norm(f"{name}.{attention}_attn.norm", dim)
                linear(f"{name}.{attention}_attn.fn.qkv", 3 * dim, dim)
                linear(f"{name}.{attention}_attn.fn.proj", dim, dim)
                linear(f"{name}.conv2.fn.dw", dim, 1, 3, 3)
                norm(f"{name}.ffn.norm", dim)
                linear(f"{name}.ffn.fn.net.fc1", 4 * dim, dim)
                linear(f"{name}.ffn.fn.net.fc2", dim, 4 * dim)
    norm("image_encoder.norms", image.dims[-1])
    for layer in range(text.layers):
        name = f"lang_encoder.resblocks.{layer}"
        norm(f"{name}.ln_1", text.width)
        weights[f"{name}.attn.in_proj_weight"] = torch.randn(3 * text.width, text.width) * 0.2
        weights[f"{name}.attn.in_proj_bias"] = torch.randn(3 * text.width) * 0.1
        linear(f"{name}.attn.out_proj", text.width, text.width)
        norm(f"{name}.ln_2", text.width)
        linear(f"{name}.mlp.c_fc", 4 * text.width, text.width)
        linear(f"{name}.mlp.c_proj", text.width, 4 * text.width)
    norm("lang_encoder.ln_final", text.width)
    weights["lang_encoder.token_embedding.weight"] = torch.randn(tokens, text.width)
    weights["lang_encoder.positional_embedding"] = torch.randn(text.context, text.width) * 0.1
    weights["image_projection"] = torch.randn(image.dims[-1], encoder.projection)
    weights["lang_projection"] = torch.randn(text.width, encoder.projection)
    weights["logit_scale"] = torch.tensor(4.5)
    return weights


def image_reference(weights: dict[str, Tensor], encoder: Mi2, x: Tensor) -> Tensor:
    """The image tower, token by token, from the published weights' names."""
    config = encoder.image

    def linear(name: str, y: Tensor) -> Tensor:
        return y @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, y: Tensor) -> Tensor:
        y = (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
        return y * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def depthwise(name: str, y: Tensor) -> Tensor:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return y + F.conv2d(
            y.permute(0, 3, 1, 2), weight, bias, padding=1, groups=len(weight)
        ).permute(0, 2, 3, 1)

    def windows(name: str, y: Tensor, heads: int) -> Tensor:
        batch, height, width, dim = y.shape
        side = config.window
        rows, columns = math.ceil(height / side), math.ceil(width / side)
        out = torch.zeros(batch, rows * side, columns * side, dim)
        padded = out.clone()
        padded[:, :height, :width] = y
        for i in range(rows):
            for j in range(columns):
                part = padded[:, i * side : (i + 1) * side, j * side : (j + 1) * side]
                tokens = linear(f"{name}.qkv", part.reshape(batch, side * side, dim))
                q, k, v = (
                    z.reshape(batch, -1, heads, dim // heads).transpose(1, 2)
                    for z in tokens.split(dim, dim=-1)
                )
                scores = (q @ k.transpose(-1, -2) / (dim // heads) ** 0.5).softmax(dim=-1)
                mixed = (scores @ v).transpose(1, 2).reshape(batch, side, side, dim)
                out[:, i * side : (i + 1) * side, j * side : (j + 1) * side] = mixed
        return linear(f"{name}.proj", out)[:, :height, :width]

    def channels(name: str, y: Tensor, groups: int) -> Tensor:
        batch, height, width, dim = y.shape
        count = height * width
        q, k, v = (
            z.reshape(batch, count, groups, dim // groups).permute(0, 2, 3, 1)
            for z in linear(f"{name}.qkv", y.reshape(batch, count, dim)).split(dim, dim=-1)
        )
        scores = (q @ k.transpose(-1, -2) / count**0.5).softmax(dim=-1)
        mixed = (scores @ v).permute(0, 3, 1, 2).reshape(batch, height, width, dim)
        return linear(f"{name}.proj", mixed)

    for stage, heads in enumerate(config.heads):
        name = f"image_encoder.convs.{stage}"
        if stage:
            x = norm(f"{name}.norm", x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        stride, padding = (2, 1) if stage else (4, 3)
        weight, bias = weights[f"{name}.proj.weight"], weights[f"{name}.proj.bias"]
        y = F.conv2d(x, weight, bias, stride, padding).permute(0, 2, 3, 1)
        if not stage:
            y = norm(f"{name}.norm", y)
        for block in range(config.depths[stage]):
            for kind, attention, mix in (
                ("spatial", "window", windows),
                ("channel", "channel", channels),
            ):
                name = f"image_encoder.blocks.{stage}.{block}.{kind}_block"
                y = depthwise(f"{name}.conv1.fn.dw", y)
                normed = norm(f"{name}.{attention}_attn.norm", y)
                y = y + mix(f"{name}.{attention}_attn.fn", normed, heads)
                y = depthwise(f"{name}.conv2.fn.dw", y)
                hidden = F.gelu(linear(f"{name}.ffn.fn.net.fc1", norm(f"{name}.ffn.norm", y)))
                y = y + linear(f"{name}.ffn.fn.net.fc2", hidden)
        x = y.permute(0, 3, 1, 2)
    return norm("image_encoder.norms", x.mean(dim=(2, 3))) @ weights["image_projection"]


def text_reference(weights: dict[str, Tensor], encoder: Mi2, words: list[int]) -> Tensor:
    """The text tower for one text without padding, ending in the end-of-text token."""
    width, heads = encoder.text.width, encoder.text.heads

    def norm(name: str, y: Tensor) -> Tensor:
        y = (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, correction=0) + 1e-12).sqrt()
        return y * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(name: str, y: Tensor) -> Tensor:
        return y @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    y = weights["lang_encoder.token_embedding.weight"][words]
    y = y + weights["lang_encoder.positional_embedding"][: len(words)]
    for layer in range(encoder.text.layers):
        name = f"lang_encoder.resblocks.{layer}"
        inputs = norm(f"{name}.ln_1", y)
        joined = inputs @ weights[f"{name}.attn.in_proj_weight"].T
        joined = joined + weights[f"{name}.attn.in_proj_bias"]
        q, k, v = (
            z.reshape(len(words), heads, width // heads).transpose(0, 1)
            for z in joined.split(width, dim=-1)
        )
        scores = (q @ k.transpose(-1, -2) / (width // heads) ** 0.5).softmax(dim=-1)
        mixed = (scores @ v).transpose(0, 1).reshape(len(words), width)
        y = y + linear(f"{name}.attn.out_proj", mixed)
        hidden = linear(f"{name}.mlp.c_fc", norm(f"{name}.ln_2", y))
        y = y + linear(f"{name}.mlp.c_proj", hidden * torch.sigmoid(1.702 * hidden))
    return norm("lang_encoder.ln_final", y[-1]) @ weights["lang_projection"]


def test_medimageinsight(mi2: Mi2, tmp_path: Path) -> None:
    encoder = mi2.model_copy(update={"text": mi2.text.model_copy(update={"vocabulary": None})})
    tokenizer = ClipTokenizer(encoder.text.context)
    weights = medimageinsight(encoder, tokenizer.size)
    path = tmp_path / "medimageinsigt-v1.0.0.pt"
    save_file(weights, path)
    content = read_release(encoder, path)
    model = Mi2Model(encoder, tokenizer).eval()
    assert mismatches(model, content) == []
    model.load_state_dict(dict(content.tensors))

    images = torch.rand(2, 1, 48, 48)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    rgb = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    tokens = tokenizer(["no pleural effusion", "cardiomegaly!"])
    words = [row[: row.index(tokenizer.end) + 1] for row in tokens.tolist()]
    with torch.no_grad():
        u, v = model(images, tokens)
        expected = image_reference(weights, encoder, rgb)
        texts = torch.stack([text_reference(weights, encoder, row) for row in words])
    torch.testing.assert_close(u, expected, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(v, texts, atol=2e-5, rtol=1e-4)
    assert model.logit_scale.item() == 4.5


def test_older_names_of_medimageinsight(mi2: Mi2, tmp_path: Path) -> None:
    encoder = mi2.model_copy(update={"text": mi2.text.model_copy(update={"vocabulary": None})})
    weights = medimageinsight(encoder, 300)
    save_file(weights, tmp_path / "new.pt")
    older = {
        "image_encoder.": "visual.",
        "lang_encoder.": "text.",
        "image_projection": "vision_projection",
        "lang_projection": "text_projection",
    }
    old = {}
    for name, tensor in weights.items():
        for beginning, before in older.items():
            if name.startswith(beginning):
                name = before + name.removeprefix(beginning)
        old[name] = tensor
    assert not any(name.startswith(("image_", "lang_")) for name in old)
    save_file(old, tmp_path / "old.pt")
    expected = dict(read_release(encoder, tmp_path / "new.pt").tensors)
    torch.testing.assert_close(
        dict(read_release(encoder, tmp_path / "old.pt").tensors), expected, rtol=0, atol=0
    )


@pytest.mark.parametrize("context", [16, 24, 9])
def test_positions_of_another_context_are_interpolated(
    mi2: Mi2, context: int, tmp_path: Path
) -> None:
    weights = medimageinsight(mi2, 300)
    save_file(weights, tmp_path / "x.pt")
    text = mi2.text.model_copy(update={"context": context})
    content = read_release(mi2.model_copy(update={"text": text}), tmp_path / "x.pt")
    found = content.tensors["text.positional_embedding"].numpy()
    before = weights["lang_encoder.positional_embedding"].numpy()
    places = (np.arange(context) + 0.5) * len(before) / context - 0.5
    expected = [np.interp(places, np.arange(len(before)), column) for column in before.T]
    np.testing.assert_allclose(found, np.stack(expected, 1), atol=1e-6)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_teacher_of_dinov2s_training(
    rad_dino: RadDino, chunked: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transformers_release(rad_dino, tmp_path / "folder")
    expected = dict(read_release(rad_dino, tmp_path / "folder").tensors)
    half = rad_dino.image.depth // 2
    teacher = {}
    for name, tensor in expected.items():
        name = re.sub(r"^(?:image\.|(?=mask_token))", "backbone.", name)
        name = re.sub(r"^head\.", "dino_head.", name)
        if chunked:
            name = re.sub(r"blocks\.(\d+)\.", lambda m: f"blocks.{int(m[1]) // half}.{m[1]}.", name)
            for number, part in enumerate("gv"):
                new = f"last_layer.parametrizations.weight.original{number}"
                name = name.replace(f"last_layer.weight_{part}", new)
        teacher[name] = tensor
    teacher |= {"ibot_head.mlp.0.weight": torch.ones(3, 3)}
    path = tmp_path / "teacher_checkpoint.pth"
    torch.save({"teacher": teacher, "iteration": 7}, path)
    for given in (path, tmp_path):
        section = rad_dino.model_copy(update={"weights": given})
        found = dict(released_weights(section, "encoders.rad-dino", trained=True).tensors)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert "the iBOT head is left out: it has other sizes" in capsys.readouterr().err
    del teacher["ibot_head.mlp.0.weight"]
    own = {n.replace("dino_", "ibot_"): x + 1 for n, x in teacher.items() if "dino_head" in n}
    torch.save({"teacher": teacher | own}, path)
    section = rad_dino.model_copy(update={"weights": path})
    found = released_weights(section, "encoders.rad-dino", trained=True)
    name = "head.mlp.0.weight"
    assert torch.equal(found.tensors[f"ibot_{name}"], found.tensors[name] + 1)
    for separate in (False, True):  # only an arm that trains it continues it
        recipe = Dinov2.model_construct(separate_ibot_head=separate, head_warmup=0.0)
        model = RadDinoModel(rad_dino, separate)
        continue_from(_with_heads(found, model, recipe), model)
        assert (f"ibot_{name}" in model.state_dict()) == separate


def test_what_is_no_number_is_named(rad_dino: RadDino, tmp_path: Path) -> None:
    transformers_release(rad_dino, tmp_path)
    path = tmp_path / "model.safetensors"
    good = load_file(path)
    name = "encoder.layer.5.mlp.fc1.weight"
    for bad, said in (
        (torch.where(torch.eye(64, 16).bool(), math.nan, good[name]), "is not finite"),
        (torch.where(torch.eye(64, 16).bool(), math.inf, good[name]), "is not finite"),
        (good[name].int(), "is not a floating-point tensor"),
    ):
        save_file(good | {name: bad}, path)
        with pytest.raises(ReleaseError, match=f"{name} {said}"):
            save_encoder(tmp_path / "out.safetensors", read_release(rad_dino, tmp_path))
        assert not (tmp_path / "out.safetensors").exists()


def test_a_release_is_imported_a_tensor_at_a_time(tmp_path: Path) -> None:
    """The peak of memory is that of the largest tensor, not of the file."""
    code = """
import json, resource, sys
from pathlib import Path
from radscale_lib.pretrain.released import _model, import_alone, section_of
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
folder = Path(sys.argv[1])
spec = f"rad-dino:weights={folder},image.image_size=224,image.depth=8"
header, end = {}, 0
for name, tensor in _model(section_of(spec)).state_dict().items():
    if not name.startswith("head."):
        begin, end = end, end + 4 * tensor.numel()
        entry = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
        header[name.removeprefix("image.")] = entry
text = json.dumps(header).encode()
with open(folder / "backbone_compatible.safetensors", "wb") as file:
    file.write(len(text).to_bytes(8, "little") + text)
    file.truncate(8 + len(text) + end)
before = peak()
import_alone(spec, folder / "out")
print(end, peak() - before)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    size, grown = map(int, ended.stdout.split())
    assert size > 200e6 and grown < size / 4


def test_full_size_medimageinsight_has_the_published_size() -> None:
    """The published file has 2,464,060,700 bytes, in float32."""
    encoder = Mi2(kind="mi2")
    with torch.device("meta"):
        model = Mi2Model(encoder, ClipTokenizer(encoder.text.context))
    size = 4 * sum(parameter.numel() for parameter in model.parameters())
    assert 0 < 2_464_060_700 - size < 150_000  # the file's header


def test_other_files_are_refused(mi2: Mi2, rad_dino: RadDino, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"a pickle, perhaps")
    with pytest.raises(ReleaseError, match="not a safetensors file"):
        read_release(mi2, tmp_path / "x.pt")
    with pytest.raises(ReleaseError, match="no such file"):
        read_release(rad_dino, tmp_path)


# Encoder files of this project as released weights.


def own_file(encoder: Mi2 | RadDino, path: Path) -> EncoderFile:
    """Weights trained here, stored in half precision; the MI2 has its own vocabulary."""
    torch.manual_seed(0)
    if isinstance(encoder, Mi2):
        tokenizer = LearntTokenizer.learn(["no pneumothorax", "right effusion"], 300, 16)
        text = encoder.text.model_copy(update={"context": 16, "vocabulary": 300})
        encoder = encoder.model_copy(update={"text": text})
        model: nn.Module = Mi2Model(encoder, tokenizer)
    else:
        model, tokenizer = RadDinoModel(encoder), None
    halved = {name: x.half() for name, x in model.state_dict().items()}
    content = EncoderFile(encoder, halved, tokenizer.json if tokenizer else None)
    save_encoder(path, content)
    return content


@pytest.mark.parametrize("kind", ["mi2", "rad_dino"])
def test_own_encoder_files_are_releases(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "encoder.safetensors"
    own = own_file(request.getfixturevalue(kind), path)
    given = own.encoder.model_copy(update={"weights": path})
    if isinstance(given, Mi2):
        text = given.text.model_copy(update={"vocabulary": None})
        given = given.model_copy(update={"text": text})
    for headers_only in (True, False):
        found = released_weights(given, "encoders.x", trained=True, headers_only=headers_only)
        assert found.tokenizer == own.tokenizer
        assert {x.dtype for x in found.tensors.values()} == {torch.float32}
    expected = {name: x.float() for name, x in own.tensors.items()}
    assert_equal(dict(found.tensors), expected)
    save_encoder(tmp_path / "imported.safetensors", found)
    assert_equal(dict(read_encoder(tmp_path / "imported.safetensors").tensors), expected)
    x = torch.rand(2, 1, given.image_size, given.image_size)
    first, second = (load_tower(each)(x) for each in (path, tmp_path / "imported.safetensors"))
    torch.testing.assert_close(first, second)


def test_own_encoder_files_of_another_architecture_are_refused(
    mi2: Mi2, rad_dino: RadDino, tmp_path: Path
) -> None:
    path = tmp_path / "encoder.safetensors"
    own_file(rad_dino, path)
    image = rad_dino.image.model_copy(update={"heads": 2 * rad_dino.image.heads})
    wider = rad_dino.model_copy(update={"image": image})
    with pytest.raises(ReleaseError, match=rf"trained with image\.heads {rad_dino.image.heads}:"):
        read_release(wider, path)
    with pytest.raises(ReleaseError, match="kind 'rad-dino'"):
        read_release(mi2, path)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """The same tensors, to the bit."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
