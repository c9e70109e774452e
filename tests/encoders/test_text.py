"""Text tower and tokenizers."""

import json
import subprocess
import sys

import pytest
import torch

from radscale_lib.encoders.text import ClipTokenizer, LearntTokenizer, QuickGelu, TextTower
from radscale_lib.study.encoders import Mi2

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


def test_every_token_sees_every_other(mi2: Mi2, tokenizer: LearntTokenizer) -> None:
    """Not causal: the first position's attention reaches the last word."""
    tower = TextTower(mi2, tokenizer.size, tokenizer.end).eval()
    seen = {}
    tower.transformer.register_forward_hook(lambda _, __, out: seen.update(out=out))
    tokens = tokenizer(["no effusion"])
    tower(tokens)
    before = seen["out"][0, 0]
    tokens[0, -2] = 5
    tower(tokens)
    assert (seen["out"][0, 0] - before).abs().max() > 1e-6


def test_the_zeroth_token_is_a_word(mi2: Mi2) -> None:
    """Id 0 pads, but is also "!" of CLIP's vocabulary."""
    tokenizer = ClipTokenizer(16)
    tower = TextTower(mi2, tokenizer.size, tokenizer.end).eval()
    marked = torch.tensor([[49406, 0, 736, 49407]])
    other = torch.tensor([[49406, 1, 736, 49407]])
    assert (tower(marked) - tower(other)).abs().max() > 1e-5
    keys = tower._build_additive_mask(marked, 4, torch.float32)
    assert torch.isfinite(keys).all()


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


def test_activation() -> None:
    x = torch.linspace(-8, 8, 101)
    torch.testing.assert_close(QuickGelu()(x), x * torch.sigmoid(1.702 * x))
