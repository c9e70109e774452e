"""MI2's text tower and its tokenizers."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import LayerNorm, TextTransformer
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from torch import Tensor, nn

from radscale_lib.study.encoders import Mi2

PAD = 0


class QuickGelu(nn.Module):
    """x sigmoid(1.702 x), CLIP's activation, by way of the fused SiLU: half the memory passes."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return F.silu(1.702 * x) / 1.702


class TextTower(TextTransformer):  # type: ignore[misc]
    """open_clip's text transformer as MedImageInsight uses it.

    Every token sees every other (not causal) up to the end-of-text token, where the output is
    pooled. open_clip masks by the value of the padding id instead, which is a real token ("!") of
    CLIP's vocabulary.
    """

    def __init__(self, encoder: Mi2, tokens: int, end: int) -> None:
        config = encoder.text
        super().__init__(
            context_length=config.context,
            vocab_size=tokens,
            width=config.width,
            heads=config.heads,
            layers=config.layers,
            output_dim=None,
            no_causal_mask=True,
            use_pad_mask=True,
            pool_type="eos",
            eos_id=end,
            act_layer=QuickGelu,
            norm_layer=partial(LayerNorm, eps=1e-12),
        )

    def _build_additive_mask(self, text: Tensor, seq_len: int, dtype: torch.dtype) -> Tensor:
        ends = (text == self.eos_id).int().argmax(dim=-1, keepdim=True)
        behind = torch.arange(seq_len, device=text.device) > ends
        mask = torch.zeros(behind.shape, dtype=dtype, device=text.device)
        mask = mask.masked_fill(behind, float("-inf"))
        return mask[:, None, :].expand(-1, seq_len, -1).repeat_interleave(self.heads, 0)


class TextTokenizer(Protocol):
    """Texts to tokens."""

    size: int
    """Tokens of the vocabulary."""
    end: int
    """Id of the end-of-text token."""
    json: str | None
    """What is stored beside the weights; None for CLIP's own tokenizer."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Tokens int64 [B, L], start and end included, padded; L = longest end-of-text."""


class ClipTokenizer:
    """CLIP's own byte-pair tokenizer, 49,408 tokens."""

    json: str | None = None

    def __init__(self, context: int) -> None:
        self._tokenizer = SimpleTokenizer(context_length=context)
        self.size: int = self._tokenizer.vocab_size
        self.end: int = self._tokenizer.eot_token_id

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Tokens int64 [B, L], start and end included, padded; L = longest end-of-text."""
        tokens: Tensor = self._tokenizer(list(texts))
        return tokens[:, : int((tokens == self.end).int().argmax(dim=-1).max()) + 1]


class LearntTokenizer:
    """A byte-level byte-pair tokenizer learnt from texts (arXiv 1508.07909)."""

    def __init__(self, json: str) -> None:
        self.json: str | None = json
        self._tokenizer = Tokenizer.from_str(json)
        self.size: int = self._tokenizer.get_vocab_size()
        self.end: int = self._tokenizer.encode("").ids[-1]

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, context: int) -> "LearntTokenizer":
        """Learn at most `size` tokens; texts are lower-cased and cut to `context` tokens."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=["[PAD]", "[START]", "[END]"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        # Sorted: the order of texts must not matter to what is learnt.
        tokenizer.train_from_iterator(sorted(texts), trainer)
        special = [(name, tokenizer.token_to_id(name)) for name in ("[START]", "[END]")]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[START] $A [END]", special_tokens=special
        )
        tokenizer.enable_truncation(context)
        tokenizer.enable_padding(pad_id=PAD, pad_token="[PAD]")
        return cls(tokenizer.to_str())

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Tokens int64 [B, L], start and end included, padded; L = longest end-of-text."""
        return torch.tensor([code.ids for code in self._tokenizer.encode_batch(list(texts))])


def load_tokenizer(encoder: Mi2, json: str | None) -> TextTokenizer:
    """The tokenizer of an encoder file."""
    return ClipTokenizer(encoder.text.context) if json is None else LearntTokenizer(json)
