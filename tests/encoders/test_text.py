"""Text tower and tokenizers."""

import json
import subprocess
import sys
from functools import partial

import pytest
import torch
from open_clip.transformer import LayerNorm, QuickGELU, TextTransformer

from radscale_lib.encoders.text import ClipTokenizer, LearntTokenizer, TextTower
from radscale_lib.study.encoders.mi2 import Mi2

TEXTS = ["No pleural effusion.", "The heart is enlarged; an ETT is in place.", "Oedème (2 cm)"] * 3


@pytest.fixture
def tokenizer() -> LearntTokenizer:
    return LearntTokenizer.learn(TEXTS, 300, 16)


def test_padding_changes_nothing(mi2: Mi2, tokenizer: LearntTokenizer) -> None:
    tower = TextTower(mi2, tokenizer.size, tokenizer.end).eval()
    together = tokenizer(["no effusion", "the heart is enlarged; an ett"])
    alone = tokenizer(["no effusion"])
    assert together.shape[1] > alone.shape[1]
    torch.testing.assert_close(tower(together)[:1], tower(alone))
    longer = torch.nn.functional.pad(alone, (0, 3), value=7)
    torch.testing.assert_close(tower(longer), tower(alone))


def test_text_tower_equals_open_clip(mi2: Mi2, tokenizer: LearntTokenizer) -> None:
    """First weights to the bit, outputs and gradients, where no text has the padding's id."""

    def open_clip() -> TextTransformer:
        config = mi2.text
        return TextTransformer(
            context_length=config.context,
            vocab_size=tokenizer.size,
            width=config.width,
            heads=config.heads,
            layers=config.layers,
            output_dim=None,
            no_causal_mask=True,
            use_pad_mask=True,
            pool_type="eos",
            eos_id=tokenizer.end,
            act_layer=QuickGELU,
            norm_layer=partial(LayerNorm, eps=1e-12),
        )

    towers = []
    for make in (lambda: TextTower(mi2, tokenizer.size, tokenizer.end), open_clip):
        torch.manual_seed(3)
        towers.append(make())
        towers[-1].next_draw = torch.rand(1)
    states = [tower.state_dict() for tower in towers]
    assert list(states[0]) == list(states[1])
    assert all(map(torch.equal, *(state.values() for state in states)))
    assert torch.equal(*(tower.next_draw for tower in towers))
    tokens = tokenizer(["no effusion", "the heart is enlarged; an ett"])
    outputs = [tower(tokens) for tower in towers]
    torch.testing.assert_close(*outputs)
    direction = torch.randn_like(outputs[0])
    for output in outputs:
        (output * direction).sum().backward()
    for own, other in zip(*(tower.parameters() for tower in towers), strict=True):
        assert (own.grad - other.grad).norm() <= 1e-5 * other.grad.norm()


def test_every_token_sees_every_other(mi2: Mi2, tokenizer: LearntTokenizer) -> None:
    """Not causal: the first position's attention reaches the last word."""
    tower = TextTower(mi2, tokenizer.size, tokenizer.end).eval()
    block = tower.transformer["resblocks"][0]
    x, mask = torch.randn(1, 5, mi2.text.width), torch.zeros(1, 1, 1, 5)
    before = block(x, mask)[0, 0]
    x[0, -1] *= -1
    assert (block(x, mask)[0, 0] - before).abs().max() > 1e-6
    mask[..., -1] = float("-inf")
    hidden = block(x, mask)[0, 0]
    x[0, -1] *= -1
    assert torch.equal(block(x, mask)[0, 0], hidden)


def test_the_zeroth_token_is_a_word(mi2: Mi2) -> None:
    """Id 0 pads, but is also "!" of CLIP's vocabulary."""
    tokenizer = ClipTokenizer(16)
    tower = TextTower(mi2, tokenizer.size, tokenizer.end).eval()
    marked = torch.tensor([[49406, 0, 736, 49407]])
    other = torch.tensor([[49406, 1, 736, 49407]])
    assert (tower(marked) - tower(other)).abs().max() > 1e-5
    mask = tower._mask(torch.tensor([3]), 4, torch.zeros(1))
    assert torch.isfinite(mask).all()


def test_clip_tokens() -> None:
    tokenizer = ClipTokenizer(77)
    assert (tokenizer.size, tokenizer.end, tokenizer.json) == (49408, 49407, None)
    # "a photo of a cat" in CLIP's vocabulary, as published with CLIP.
    assert tokenizer(["a photo of a cat", "a"]).tolist() == [
        [49406, 320, 1125, 539, 320, 2368, 49407],
        [49406, 320, 49407, 0, 0, 0, 0],
    ]
    assert tokenizer(["word " * 200]).shape == (1, 77)


def test_learnt_tokenizer(tokenizer: LearntTokenizer) -> None:
    assert tokenizer.size <= 300
    again = LearntTokenizer(tokenizer.json)
    tokens = again(["No pleural effusion.", "unseen €"])
    assert (tokens[:, 0] == 1).all()
    assert (tokens == tokenizer.end).sum(dim=1).tolist() == [1, 1]
    cut = again(["effusion " * 100])
    assert cut.shape == (1, 16)
    assert cut[0, -1] == tokenizer.end


def test_learning_depends_on_the_texts_alone() -> None:
    texts = TEXTS + [f"word{i % 7} thing{i % 11}" for i in range(200)]
    here = LearntTokenizer.learn(texts, 320, 16).json
    assert LearntTokenizer.learn(texts[::-1], 320, 16).json == here
    code = (
        "import sys, json\n"
        "from radscale_lib.encoders.text import LearntTokenizer\n"
        "print(LearntTokenizer.learn(json.loads(sys.argv[1]), 320, 16).json)"
    )
    there = subprocess.run(
        [sys.executable, "-c", code, json.dumps(texts)],
        check=True,
        timeout=300,
        capture_output=True,
        text=True,
    )
    assert there.stdout.strip() == here
