"""Generation: reports by a language model that reads the deepest level."""

import json
from collections.abc import Iterator
from math import isqrt
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from radscale_lib.metrics.weights import CHEXBERT_FILES, RADGRAPH_FILES, RADGRAPH_MODELS
from radscale_lib.study.archive import Labels
from radscale_lib.study.base import Section, whole_heads
from radscale_lib.study.heads.base import Encoding
from radscale_lib.study.tasks.base import Decoder, TaskSection


class LanguageModel(Section):
    """A causal language model trained from scratch, if there is no released one."""

    vocabulary: int = Field(512, ge=256, description="Byte-pair tokens learnt from the reports.")
    width: int = Field(128, ge=8, description="Width of the transformer.")
    layers: int = Field(3, ge=1, description="Layers of the transformer.")
    heads: int = Field(4, ge=1, description="Attention heads.")

    @model_validator(mode="after")
    def _divisible(self) -> "LanguageModel":
        whole_heads(self.width, self.heads)
        return self


def _released_or_scratch(value: Any) -> str:
    return "released" if isinstance(value, str | Path) else "scratch"


class Generation(TaskSection):
    """Report generation: visual tokens, a projector and a causal language model."""

    implementation: ClassVar[str] = "radscale_lib.tasks.generation"
    scoring: ClassVar[str] = "radscale_lib.tasks.report_scoring"
    only_scored_by: ClassVar[tuple[str, ...]] = ("phrases", "chexbert", "radgraph")
    tables: ClassVar[tuple[str, ...]] = ("examples",)
    needs: ClassVar[Literal["labels", "tubes", "reports"]] = "reports"

    kind: Literal["generation"]
    decoder: Decoder
    section: Literal["findings", "impression"] = Field("findings", description="Section written.")
    language_model: Annotated[
        Annotated[LanguageModel, Tag("scratch")] | Annotated[Path, Tag("released")],
        Discriminator(_released_or_scratch),
    ] = Field(
        LanguageModel(), description="A small model from scratch, or a folder in Hugging Face form."
    )
    trust_remote_code: bool = Field(
        False,
        description="Run code that comes in language_model's folder; false refuses such a folder.",
    )
    lora_rank: int = Field(
        0,
        ge=0,
        description="Rank of LoRA adapters on a released model; 0 trains the projector only.",
    )
    visual_tokens: int = Field(
        64,
        ge=1,
        description="Visual tokens given to the language model, at most: a square number.",
    )
    max_tokens: int = Field(100, ge=4, description="Longest report, tokens.")
    phrases: dict[str, tuple[str, ...]] = Field(
        {},
        description="Further phrases that mention a label in a report, by label name, for "
        "lexical F1; an ellipsis (…) stands for up to four words.",
    )
    chexbert: Path | None = Field(
        None,
        description="Folder with CheXbert's weights (chexbert.pth) and its BERT's config.json and "
        "vocab.txt: adds CheXbert F1, of reports in English.",
    )
    radgraph: Path | None = Field(
        None,
        description="Folder of RadGraph's weights, unpacked and called as the model, such as "
        "radgraph-xl: adds RadGraph F1, of reports in English, by the package radgraph.",
    )

    @field_validator("visual_tokens")
    @classmethod
    def _square(cls, tokens: int) -> int:
        side = isqrt(tokens)
        if side**2 != tokens:
            raise ValueError(f"not a square number: use {side**2} or {(side + 1) ** 2}")
        return tokens

    @model_validator(mode="after")
    def _adapters_adapt(self) -> "Generation":
        if self.lora_rank and isinstance(self.language_model, LanguageModel):
            raise ValueError(
                f"lora_rank {self.lora_rank} adapts a released language model and this one is "
                "trained from scratch: set it to 0, or language_model to a folder"
            )
        return self

    @property
    def runs_encoder(self) -> bool:
        """Always true: the language model reads grids, which are not kept."""
        return True

    @property
    def decoder_seeds(self) -> int:
        """One: the generator is trained once."""
        return 1

    @property
    def head_names(self) -> tuple[str, ...]:
        """Its only decoder."""
        return ("language-model",)

    def title(self, words: str) -> str:
        """The task's name in a heading."""
        return "report generation" if words in {"report", "reports"} else f"{words} generation"

    def encoding(self, trained: float, validated: float, tested: float) -> Encoding:
        """Its use of the encoder, with this many images in each split."""
        every = self.decoder.encoding(trained, validated, tested)
        # At most the deepest of the four levels.
        return every._replace(kept=every.kept / 4, read=every.read / 4)

    def folders(self) -> Iterator[tuple[str, Path]]:
        """The folder of a released language model."""
        if isinstance(self.language_model, Path):
            yield "language_model", self.language_model

    @property
    def metric_weights(self) -> dict[str, Path]:
        """Folders of metrics that have weights, by the key that names them."""
        given = {"chexbert": self.chexbert, "radgraph": self.radgraph}
        return {key: folder for key, folder in given.items() if folder is not None}

    def scoring_folders(self) -> Iterator[tuple[str, Path]]:
        """The folders of metrics that have weights."""
        yield from self.metric_weights.items()

    def folder_problems(self) -> Iterator[tuple[str, str]]:
        """A released language model must have files with known names, and a maximum length."""
        yield from self._weight_problems()
        for key, folder in self.folders():
            if not folder.is_dir():
                continue
            if not any(folder.glob("*.safetensors")):
                yield key, f"no safetensors file in {str(folder)!r}: put the weights there"
            config = folder / "config.json"
            try:
                values = json.loads(config.read_bytes())
                places = values.get("max_position_embeddings")
            except (OSError, ValueError, AttributeError):
                yield (
                    key,
                    f"{str(config)!r} cannot be read: give a folder with a causal language model "
                    "in Hugging Face form",
                )
                continue
            if not self.trust_remote_code and values.get("auto_map"):
                yield (
                    "trust_remote_code",
                    f"{str(folder)!r} brings code of its own, which is not run unless this is "
                    "true: read it, then set it, or give a folder of a model that transformers has",
                )
            if isinstance(places, int) and self.visual_tokens + self.max_tokens > places:
                yield (
                    "max_tokens",
                    f"{self.max_tokens} and {self.visual_tokens} visual tokens are more than the "
                    f"{places} places of the language model: lower one of the two",
                )

    def _weight_problems(self) -> Iterator[tuple[str, str]]:
        """Metrics recognise their weights by the names of files and of the folder."""
        for key, files in (("chexbert", CHEXBERT_FILES), ("radgraph", RADGRAPH_FILES)):
            folder = self.metric_weights.get(key)
            if folder is None or not folder.is_dir():
                continue
            for name in files:
                if not (folder / name).is_file():
                    yield key, f"no {name} in {str(folder)!r}: put the published weights there"
                    break
        if self.radgraph and (self.radgraph / RADGRAPH_FILES[0]).is_file():
            yield from _bert_problems(self.radgraph / RADGRAPH_FILES[0])
        if self.radgraph and self.radgraph.name not in RADGRAPH_MODELS:
            yield (
                "radgraph",
                f"{self.radgraph.name!r} is not a model of the package: call the folder as the "
                "model, "
                f"one of {', '.join(RADGRAPH_MODELS)}",
            )

    def packages(self) -> Iterator[tuple[str, str, str]]:
        """LoRA adapters need peft, and RadGraph F1 the package radgraph."""
        if self.lora_rank:
            yield "lora_rank", "peft", "install it (pip install '.[lora]'), or set 0"
        if self.radgraph:
            yield (
                "radgraph",
                "radgraph",
                "install it (pip install '.[radgraph]'), or remove the key",
            )

    def problems(self, labels: Labels) -> Iterator[tuple[str, str]]:
        """Phrases for labels that the study does not have."""
        known = [*labels.findings, *labels.tubes]
        for label in self.phrases:
            if label not in known:
                yield f"phrases.{label}", f"no such label: use one of {known}"


def _bert_problems(config: Path) -> Iterator[tuple[str, str]]:
    """The BERT in RadGraph's configuration must be on disk, since nothing is downloaded."""
    try:
        parts = json.loads(config.read_text(encoding="utf-8"))
        name = parts["model"]["embedder"]["token_embedders"]["bert"]["model_name"]
    except (ValueError, KeyError, TypeError, OSError):
        yield "radgraph", f"{str(config)!r} is not RadGraph's: put the published archive there"
        return
    from huggingface_hub import try_to_load_from_cache

    if not Path(name).is_dir() and not isinstance(try_to_load_from_cache(name, "config.json"), str):
        yield (
            "radgraph",
            f"the BERT {name!r} that {str(config)!r} names is neither a folder nor in the cache of "
            "Hugging Face: fetch it there, or name a folder in that file",
        )
