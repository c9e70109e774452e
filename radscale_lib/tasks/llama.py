"""A Llama (arXiv 2302.13971) to train from scratch.

Parameters, initial weights and results are those of transformers' `LlamaForCausalLM`, whose import
takes longer than torch's, and three times as long with torch's compiler, torchvision and scipy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-6
"""Epsilon of the norms."""
BASE = 10_000.0
"""Base of the rotary position embedding."""

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values [B, heads, N, D / heads] of each layer."""


@dataclass(frozen=True)
class Output:
    """The model's output.

    Attributes:
        logits: [B, N, vocabulary], of the last N positions.
        past_key_values: of all positions so far, if requested.
    """

    logits: Tensor
    past_key_values: Cache | None


class Llama(nn.Module):
    """A causal language model whose output layer is its embedding."""

    def __init__(self, vocabulary: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = RmsNorm(width)
        self.apply(_draw_weights)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        _draw_weights(self.lm_head)  # as in transformers, so that later random draws are the same
        self.lm_head.weight = self.embed_tokens.weight

    def get_input_embeddings(self) -> nn.Embedding:
        """The embedding of tokens."""
        return self.embed_tokens

    def forward(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
    ) -> Output:
        """Logits of the next token.

        Args:
            inputs_embeds: [B, T, width].
            attention_mask: int64 [B, T]: 0 for masked positions; only without a cache.
            past_key_values: keys and values of earlier positions.
            use_cache: return the keys and values.
            logits_to_keep: number of last positions whose logits are wanted; 0 for all.
        """
        before = past_key_values[0][0].shape[2] if past_key_values else 0
        rotation = self._rotation(before, inputs_embeds)
        mask = _mask(inputs_embeds, before, attention_mask)
        x, cache = inputs_embeds, []
        for number, layer in enumerate(self.layers):
            # The last layer computes only the positions whose logits are wanted.
            wanted = logits_to_keep if number == len(self.layers) - 1 else 0
            seen_before = past_key_values[number] if past_key_values else None
            x, seen = layer(x, rotation, mask, seen_before, wanted)
            cache.append(seen)
        logits = self.lm_head(self.norm(x))
        return Output(logits, cache if use_cache else None)

    def _rotation(self, before: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [T, D / heads] of the positions' angles."""
        places = torch.arange(x.shape[1], device=x.device) + before
        width = self.layers[0].head_width
        steps = torch.arange(0, width, 2, dtype=torch.float32) / width  # type: ignore[call-overload]
        angles = places[:, None].float() * (1.0 / BASE**steps).to(x.device)
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


class Layer(nn.Module):
    """Self-attention and a gated MLP, each a residual after a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.gate_proj = nn.Linear(width, 4 * width, bias=False)
        self.up_proj = nn.Linear(width, 4 * width, bias=False)
        self.down_proj = nn.Linear(4 * width, width, bias=False)
        self.input_layernorm = RmsNorm(width)
        self.post_attention_layernorm = RmsNorm(width)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor,
        before: tuple[Tensor, Tensor] | None,
        wanted: int,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """[B, T, D] -> the last positions [B, N, D], and keys and values of all, earlier ones too.

        Args:
            x: [B, T, D].
            rotation: cosines and sines of these positions.
            mask: attention mask, broadcast to [B, 1, T, T and earlier].
            before: keys and values of earlier positions.
            wanted: N; 0 for T.
        """
        y = self.input_layernorm(x)
        q, k, v = (
            self._parted(project(each))
            for project, each in (
                (self.q_proj, y[:, -wanted:]),
                (self.k_proj, y),
                (self.v_proj, y),
            )
        )
        q = _rotated(q, (rotation[0][-wanted:], rotation[1][-wanted:]))
        k = _rotated(k, rotation)
        if before:
            k, v = torch.cat([before[0], k], dim=-2), torch.cat([before[1], v], dim=-2)
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[..., -wanted:, :])
        x = x[:, -wanted:]
        x = x + self.o_proj(context.transpose(1, 2).reshape(x.shape))
        y = self.post_attention_layernorm(x)
        x = x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))
        return x, (k, v)

    def _parted(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, heads, T, D / heads]."""
        return x.view(*x.shape[:2], self.heads, self.head_width).transpose(1, 2)


class RmsNorm(nn.Module):
    """Division by the root mean square, and a learnt factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + EPSILON)
        return self.weight * wide.to(x.dtype)


def _draw_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


def _mask(x: Tensor, before: int, real: Tensor | None) -> Tensor:
    """Attention mask, bool [1, 1, T, T and earlier], or [B, 1, T, T] if some are padding."""
    length = x.shape[1]
    whole = torch.ones(length, before + length, dtype=torch.bool, device=x.device)
    causal = whole.tril(before)[None, None]
    return causal if real is None else causal & real.bool()[:, None, None, :]


def _rotated(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the pairs of a head's first and second half."""
    cosines, sines = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat([-second, first], dim=-1) * sines
