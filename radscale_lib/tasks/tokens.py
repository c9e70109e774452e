"""Tokenizers of reports: a byte-level vocabulary learnt from them, or a released model's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


@dataclass(frozen=True)
class ReportTokenizer:
    """A tokenizer with its start and end token."""

    tokenizer: Tokenizer
    start: int
    end: int

    def __len__(self) -> int:
        """Number of tokens."""
        return int(self.tokenizer.get_vocab_size())

    def encode(self, text: str, longest: int) -> list[int]:
        """Ids of a text between start and end; texts beyond `longest` tokens are truncated."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [self.start, *ids[:longest], *([self.end] if len(ids) <= longest else [])]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids without start and end."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def learn_tokenizer(texts: Sequence[str], vocabulary: int) -> ReportTokenizer:
    """Learn a byte-level BPE vocabulary (Sennrich et al. 2016) of at most `vocabulary` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Special tokens take the first ids.
    return ReportTokenizer(tokenizer, start=0, end=1)


def released_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> ReportTokenizer:
    """The tokenizer of a language model's folder.

    Raises:
        ValueError: if it has no end token.
    """
    from transformers import AutoTokenizer

    released = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, use_fast=True, trust_remote_code=trust_remote_code
    )
    end = released.eos_token_id
    if end is None:
        raise ValueError(f"language_model {folder}: its tokenizer has no end token (eos_token)")
    start = released.bos_token_id if released.bos_token_id is not None else end
    return ReportTokenizer(released.backend_tokenizer, start, end)
