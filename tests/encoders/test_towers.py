"""Image towers against timm's own forward, and their four levels."""

import pytest
import torch
from timm.models.davit import DaVit
from timm.models.vision_transformer import VisionTransformer

from radscale_lib.encoders.towers import build
from radscale_lib.encoders.vit import VitTower
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino


def scrambled(tower: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter a distinct value, so that no bias or scale goes unnoticed."""
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return tower.eval()


def test_levels_of_davit_are_its_stages(mi2: Mi2) -> None:
    tower = scrambled(build(mi2))
    images = torch.rand(2, 1, 48, 48)
    features = tower.levels(images)
    assert [tuple(level.shape) for level in features.levels] == [
        (2, 8, 12, 12),
        (2, 16, 6, 6),
        (2, 16, 3, 3),
        (2, 32, 2, 2),
    ]
    torch.testing.assert_close(features.global_, tower(images))
    pooled = torch.nn.functional.layer_norm(
        features.levels[3].mean(dim=(2, 3)), (32,), *tower.head["norm"].parameters()
    )
    torch.testing.assert_close(features.global_, pooled)


def test_levels_of_vit_are_normed_blocks(rad_dino: RadDino) -> None:
    tower = scrambled(build(rad_dino))
    images = torch.rand(2, 1, 32, 32)
    features = tower.levels(images)
    outputs = []
    x = torch.cat(
        [
            tower.cls_token.expand(2, -1, -1),
            tower.patch_embed["proj"](((images - 0.5307) / 0.2583).expand(-1, 3, -1, -1))
            .flatten(2)
            .transpose(1, 2),
        ],
        dim=1,
    )
    x = x + tower.pos_embed
    for block in tower.blocks:
        x = x + block.attn(block.norm1(x)) * block.ls1.gamma
        x = x + block.mlp(block.norm2(x)) * block.ls2.gamma
        outputs.append(tower.norm(x))
    assert len(features.levels) == 4
    for level, number in zip(features.levels, (2, 4, 6, 8), strict=True):
        expected = outputs[number - 1][:, 1:].reshape(2, 4, 4, 16).permute(0, 3, 1, 2)
        torch.testing.assert_close(level, expected)
    torch.testing.assert_close(features.global_, outputs[-1][:, 0])
    torch.testing.assert_close(features.global_, tower(images))


def timm_of(encoder: Mi2 | RadDino) -> torch.nn.Module:
    """timm's module of the same architecture."""
    config = encoder.image
    if isinstance(encoder, Mi2):
        return DaVit(
            embed_dims=config.dims,
            depths=config.depths,
            num_heads=config.heads,
            window_size=config.window,
            drop_path_rate=config.drop_path,
            down_kernel_size=3,
            channel_attn_v2=True,
            named_blocks=True,
            num_classes=0,
        )
    return VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        init_values=config.layer_scale,
        num_classes=0,
        dynamic_img_size=True,
    )


def test_parameters_and_first_weights_are_timms(mi2: Mi2, rad_dino: RadDino) -> None:
    for encoder in (mi2, rad_dino):
        states = []
        for make in (build, timm_of):
            torch.manual_seed(3)
            states.append({**make(encoder).state_dict(), "next draw": torch.rand(1)})
        assert list(states[0]) == list(states[1])
        assert all(map(torch.equal, *(state.values() for state in states)))


@pytest.mark.parametrize("size", [48, 80, 36])
@pytest.mark.parametrize("training", [True, False])
def test_davit_equals_timm(mi2: Mi2, size: int, training: bool) -> None:
    mi2 = mi2.model_copy(update={"image": mi2.image.model_copy(update={"drop_path": 0.4})})
    tower = scrambled(build(mi2)).train(training)
    timm = timm_of(mi2).train(training)
    timm.load_state_dict(tower.state_dict())
    images = torch.rand(4, 1, size, size)
    mean, std = (torch.tensor(of).view(3, 1, 1) for of in (mi2.image.mean, mi2.image.std))
    outputs = []
    for forward in (tower, lambda given: timm((given - mean) / std)):
        torch.manual_seed(0)
        outputs.append(forward(images))
        outputs[-1].square().sum().backward()
    assert torch.equal(*outputs)
    for own, other in zip(tower.parameters(), timm.parameters(), strict=True):
        # Windows are put together before the projection here, and after it there.
        assert (own.grad - other.grad).norm() <= 1e-5 * other.grad.norm()


@pytest.mark.parametrize("size", [32, 16, 48, 40])
def test_vit_equals_timm_at_any_size(rad_dino: RadDino, size: int) -> None:
    tower = scrambled(build(rad_dino))
    config = rad_dino.image
    timm = timm_of(rad_dino).eval()
    timm.load_state_dict(tower.state_dict())
    images = torch.rand(2, 1, size, size)
    normalised = ((images - config.mean) / config.std).expand(-1, 3, -1, -1)
    torch.testing.assert_close(tower(images), timm(normalised), atol=2e-6, rtol=1e-5)


def test_selected_tokens_equal_those_of_the_whole_block(rad_dino: RadDino) -> None:
    tower = scrambled(build(rad_dino))
    assert isinstance(tower, VitTower)
    images, patches = torch.rand(3, 1, 32, 32), torch.tensor([0, 15, 16, 40, 47])
    cls, tokens = tower.tokens(images, patches=patches)
    features = tower.levels(images)
    grid = features.levels[3].flatten(2).transpose(1, 2).reshape(-1, 16)
    torch.testing.assert_close(cls, features.global_)
    torch.testing.assert_close(tokens, grid[patches])


def test_a_mask_hides_patches_and_nothing_else(rad_dino: RadDino) -> None:
    tower = scrambled(build(rad_dino))
    images = torch.rand(2, 1, 32, 32)
    mask = torch.zeros(2, 16, dtype=torch.bool)
    mask[0, 5] = True  # row 1, column 1: pixels 8 to 15 both ways
    token = torch.randn(1, 16)
    everywhere = torch.arange(32)
    before = tower.tokens(images, mask, token, everywhere)
    other = images.clone()
    other[0, :, 8:16, 8:16] = 0.9
    torch.testing.assert_close(tower.tokens(other, mask, token, everywhere), before)
    unmasked = tower.tokens(images, torch.zeros_like(mask), token, everywhere)
    torch.testing.assert_close(unmasked, tower.tokens(images, patches=everywhere))
    assert (unmasked[0][0] - before[0][0]).abs().max() > 1e-3
    torch.testing.assert_close(unmasked[0][1], before[0][1])


def test_stochastic_depth_is_unbiased_and_only_in_training() -> None:
    encoder = RadDino.model_validate({
        "kind": "rad-dino",
        "image": {"image_size": 16, "patch": 8, "width": 8, "depth": 4, "heads": 2,
                  "drop_path": 0.5, "layer_scale": 1e-3},
    })  # fmt: skip
    tower = scrambled(build(encoder))
    for block in tower.blocks:  # small residuals: the mean of outputs is the output of means
        block.ls1.gamma.data.fill_(1e-3)
        block.ls2.gamma.data.fill_(1e-3)
    images = torch.rand(8, 1, 16, 16)
    expected = tower(images)
    torch.testing.assert_close(tower(images), expected)
    tower.train()
    torch.manual_seed(0)
    with torch.no_grad():
        draws = torch.stack([tower(images) for _ in range(150)])
    spread = draws.std(dim=0)
    assert spread.max() > 1e-4
    error = (draws.mean(dim=0) - expected).abs() / (spread / 12 + 1e-7)
    assert error.max() < 5


def test_full_size_towers_have_the_published_parameters() -> None:
    with torch.device("meta"):
        davit = build(Mi2(kind="mi2"))
        vit = build(RadDino(kind="rad-dino"))
    millions = [sum(p.numel() for p in tower.parameters()) / 1e6 for tower in (davit, vit)]
    assert round(millions[0], 1) == 360.6
    assert round(millions[1], 1) == 86.6


def test_the_paper_size_levels() -> None:
    encoder = RadDino.model_validate(
        {"kind": "rad-dino", "image": {"width": 12, "depth": 12, "heads": 3}}
    )
    features = build(encoder).eval().levels(torch.rand(1, 1, 518, 518))
    assert {tuple(level.shape) for level in features.levels} == {(1, 12, 37, 37)}
