"""Report generator: frozen visual tokens, a projector and a causal language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from radscale_lib.study.tasks.generation import LanguageModel
from radscale_lib.tasks.llama import Llama

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ReportGenerator(nn.Module):
    """Projector and language model in the manner of LLaVA-1.5 (Liu et al. 2023).

    Projected visual tokens come first in the language model's input, followed by text.
    """

    def __init__(self, language_model: Llama | PreTrainedModel, channels: int) -> None:
        """Connect a language model to visual tokens with the given number of channels."""
        super().__init__()
        width = language_model.get_input_embeddings().get_parameter("weight").shape[1]
        self.language_model = language_model
        self.standardise = nn.BatchNorm1d(channels, affine=False)
        self.projector = nn.Sequential(
            nn.Linear(channels, width), nn.GELU(), nn.Linear(width, width)
        )

    def loss(self, visual: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """Mean cross-entropy of the next token over the texts.

        Args:
            visual: [B, V, channels].
            ids: int64 [B, T], start and end tokens included, padded at the end.
            lengths: int64 [B], tokens before padding.
        """
        texts, length = ids.shape
        real = torch.arange(length, device=ids.device) < lengths[:, None]
        prefix = real.new_ones(texts, visual.shape[1])
        logits = self.language_model(
            inputs_embeds=self._embed(visual, ids),
            attention_mask=torch.cat([prefix, real], 1).long(),
            use_cache=False,
            logits_to_keep=length,
        ).logits
        predicted = real[:, 1:]
        return F.cross_entropy(logits[:, :-1][predicted].float(), ids[:, 1:][predicted])

    @torch.no_grad()
    def write(self, visual: Tensor, start: int, end: int, longest: int) -> list[list[int]]:
        """Write a text for each image, greedily, with cached keys and values.

        Args:
            visual: [B, V, channels].
            start: id of the start token.
            end: id of the end token.
            longest: maximum number of tokens.

        Returns:
            Ids of each text, without start and end.
        """
        ids = torch.full((len(visual), 1), start, device=visual.device)
        hidden, cache = self._embed(visual, ids), None
        written = []
        finished = torch.zeros(len(visual), dtype=torch.bool, device=visual.device)
        for _ in range(longest):
            output = self.language_model(
                inputs_embeds=hidden, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            cache = output.past_key_values
            token = output.logits[:, -1].argmax(-1).masked_fill(finished, end)
            finished |= token == end
            if finished.all():
                break
            written.append(token)
            hidden = self.language_model.get_input_embeddings()(token[:, None])
        rows = torch.stack(written, 1).tolist() if written else [[] for _ in visual]
        return [row[: row.index(end)] if end in row else row for row in rows]

    def _embed(self, visual: Tensor, ids: Tensor) -> Tensor:
        words = self.language_model.get_input_embeddings()(ids)
        standard = self.standardise(visual.transpose(1, 2)).transpose(1, 2)
        return torch.cat([self.projector(standard).to(words.dtype), words], 1)


def scratch_model(section: LanguageModel, vocabulary: int) -> Llama:
    """A Llama of the section's size with random weights and the given vocabulary size."""
    return Llama(vocabulary, section.width, section.layers, section.heads)


def released_model(
    folder: Path, lora_rank: int, *, trust_remote_code: bool = False
) -> PreTrainedModel:
    """A frozen language model from a folder in Hugging Face form, adapted by LoRA if asked.

    Code in the folder is run only if `trust_remote_code`, without a prompt.

    Raises:
        FileNotFoundError: if there is no such folder.
        ModuleNotFoundError: if `lora_rank` is above 0 and the package peft is not installed.
    """
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"language_model {folder}: no config.json in it: give a folder in Hugging Face form"
        )
    model = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, trust_remote_code=trust_remote_code
    )
    model.requires_grad_(False)
    if not lora_rank:
        return model
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"lora_rank {lora_rank} needs the package peft: install radscale[lora], or set "
            "lora_rank to 0"
        ) from None
    config = LoraConfig(r=lora_rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted: PreTrainedModel = get_peft_model(model, config)
    return adapted
