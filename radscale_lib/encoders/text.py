"""MI2's text tower and its tokenizers."""

from collections.abc import Iterable, Sequence
from typing import Protocol, cast

import torch
import torch.nn.functional as F
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

from radscale_lib.encoders.layers import run
from radscale_lib.study.encoders.mi2 import Mi2

PAD = 0
EPSILON = 1e-12
"""Epsilon of the norms."""


QUICK = 1.702
"""CLIP's activation is x sigmoid(1.702 x) = SiLU(1.702 x) / 1.702."""


class TextTower(nn.Module):
    """CLIP's text transformer as used by MedImageInsight.

    Every token attends to every other (not causal) up to the end-of-text token, where the output is
    pooled. Parameters and initial weights are those of open_clip's `TextTransformer`, which instead
    masks by the value of the padding id, a real token ("!") of CLIP's vocabulary.
    """

    def __init__(self, encoder: Mi2, tokens: int, end: int) -> None:
        super().__init__()
        config = encoder.text
        self.end = end
        self._recomputes = False
        self.token_embedding = nn.Embedding(tokens, config.width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context, config.width))
        blocks = [TextBlock(config.width, config.heads) for _ in range(config.layers)]
        self.transformer = nn.ModuleDict({"resblocks": nn.Sequential(*blocks)})
        self.ln_final = nn.LayerNorm(config.width, eps=EPSILON)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        deep = (2 * config.layers) ** -0.5
        for block in blocks:
            block.draw_weights(deep)

    def recompute(self) -> None:
        """Recompute activations in backward passes, block by block."""
        self._recomputes = True

    def compile_blocks(self) -> None:
        """Compile the blocks, for texts of any length."""
        for block in self.transformer["resblocks"].children():
            block.compile(dynamic=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embeddings [B, D] of texts, int64 [B, L], from a tokenizer."""
        length = tokens.shape[1]
        ends = (tokens == self.end).int().argmax(dim=-1)
        x = self.token_embedding(tokens) + self.positional_embedding[:length]
        mask = self._mask(ends, length, x)
        *blocks, last = cast(Iterable[TextBlock], self.transformer["resblocks"].children())
        for block in blocks:
            x = run(block, self._recomputes, x, mask)
        pooled: Tensor = self.ln_final(last.pooled(x, mask, ends))
        return pooled

    def _mask(self, ends: Tensor, length: int, like: Tensor) -> Tensor:
        """Mask added to attention scores, [B, 1, 1, L]: -inf after the end of a text."""
        behind = torch.arange(length, device=ends.device) > ends[:, None]
        mask = like.new_zeros(behind.shape).masked_fill(behind, float("-inf"))
        return mask[:, None, None, :]


class TextBlock(nn.Module):
    """Attention and an MLP, each a residual after a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, eps=EPSILON)
        wide, narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.ModuleDict({"c_fc": wide, "c_proj": narrow})

    def draw_weights(self, deep: float) -> None:
        """Draw initial weights; layers that add to the residual stream are scaled by `deep`."""
        width = self.attn.embed_dim
        wide, narrow = self.mlp["c_fc"], self.mlp["c_proj"]
        for weight, sd in (
            (self.attn.in_proj_weight, width**-0.5),
            (self.attn.out_proj.weight, width**-0.5 * deep),
            (wide.weight, (2 * width) ** -0.5),
            (narrow.weight, width**-0.5 * deep),
        ):
            nn.init.normal_(cast(Tensor, weight), std=sd)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D], with a mask [B, 1, 1, L] that is added."""
        y = self.ln_1(x)
        x = x + self._attended(y, y, mask)
        x = x + self._expanded(self.ln_2(x))
        return x

    def pooled(self, x: Tensor, mask: Tensor, ends: Tensor) -> Tensor:
        """The same [B, D] at one position of each text, int64 [B]."""
        y = self.ln_1(x)
        texts = torch.arange(len(x), device=x.device)
        at_end = x[texts, ends] + self._attended(y[texts, ends][:, None], y, mask)[:, 0]
        at_end = at_end + self._expanded(self.ln_2(at_end))
        return at_end

    def _attended(self, asking: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """The output of attention to tokens [B, L, D] for queries [B, M, D]."""
        width = self.attn.embed_dim
        weight, bias = self.attn.in_proj_weight, self.attn.in_proj_bias
        if asking is y:
            q, k, v = F.linear(y, weight, bias).chunk(3, dim=-1)
        else:
            q = F.linear(asking, weight[:width], bias[:width])
            k, v = F.linear(y, weight[width:], bias[width:]).chunk(2, dim=-1)
        q, k, v = (
            each.view(*each.shape[:2], self.attn.num_heads, -1).transpose(1, 2)
            for each in (q, k, v)
        )
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype))
        added: Tensor = self.attn.out_proj(found.transpose(1, 2).reshape(asking.shape))
        return added

    def _expanded(self, y: Tensor) -> Tensor:
        """The MLP's output; factors of its activation are folded into the fewer weights."""
        wide, narrow = (cast(nn.Linear, self.mlp[name]) for name in ("c_fc", "c_proj"))
        y = F.silu(F.linear(y, QUICK * wide.weight, QUICK * wide.bias))
        return F.linear(y, narrow.weight / QUICK, narrow.bias)


class TextTokenizer(Protocol):
    """Texts to tokens."""

    size: int
    """Number of tokens in the vocabulary."""
    end: int
    """Id of the end-of-text token."""
    context: int
    """Maximum number of tokens in a text, start and end included."""
    json: str | None
    """What is stored beside the weights; None for CLIP's own tokenizer."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Tokens int64 [B, L], start and end included, padded; L = longest end-of-text."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, start and end included, if it were not cut."""


class ClipTokenizer:
    """CLIP's own byte-pair tokenizer, 49,408 tokens."""

    json: str | None = None

    def __init__(self, context: int) -> None:
        from open_clip.tokenizer import SimpleTokenizer  # imports transformers, torchvision, …

        self._tokenizer = SimpleTokenizer(context_length=context)
        self.context = context
        self.size: int = self._tokenizer.vocab_size
        self.end: int = self._tokenizer.eot_token_id

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Tokens int64 [B, L], start and end included, padded; L = longest end-of-text."""
        tokens: Tensor = self._tokenizer(list(texts))
        return tokens[:, : int((tokens == self.end).int().argmax(dim=-1).max()) + 1]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, start and end included, if it were not cut."""
        return [len(self._tokenizer.encode(text)) + 2 for text in texts]


class LearntTokenizer:
    """A byte-level byte-pair tokenizer learnt from texts (arXiv 1508.07909)."""

    def __init__(self, json: str) -> None:
        self.json: str | None = json
        self._tokenizer = Tokenizer.from_str(json)
        self._uncut = Tokenizer.from_str(json)
        self._uncut.no_truncation()
        self._uncut.no_padding()
        self.context: int = (self._tokenizer.truncation or {})["max_length"]
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
        # Sorted, so that the result does not depend on the order of texts.
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

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, start and end included, if it were not cut."""
        return [len(code.ids) for code in self._uncut.encode_batch(list(texts))]


def load_tokenizer(encoder: Mi2, json: str | None) -> TextTokenizer:
    """The tokenizer of an encoder file."""
    return ClipTokenizer(encoder.text.context) if json is None else LearntTokenizer(json)
