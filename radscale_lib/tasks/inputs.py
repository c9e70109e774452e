"""The files that an evaluation reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from radscale_lib.files import file_digest
from radscale_lib.shards.labels import label_files
from radscale_lib.study.model import Study

if TYPE_CHECKING:
    from radscale_lib.tasks.memory import Memory


@dataclass(frozen=True)
class Inputs:
    """The locations of a run's encoder and features, and of the institution's images.

    Attributes:
        encoder: `encoder.safetensors` of the run.
        features: folder of the run's pooled features.
        catalog: `catalog.parquet` of the institution.
        shards: folder of its shards.
        ranges: their index, by which images are verified when read; None: pages are verified.
        labels: folder of the label tables; None: labels are in the catalog.
        elsewhere: the same for each test archive, by name, with the same encoder.
        memory: the encoder's features of the images, shared by all tasks; None: each computes them.
    """

    encoder: Path
    features: Path
    catalog: Path
    shards: Path
    ranges: Path | None = None
    labels: Path | None = None
    elsewhere: Mapping[str, "Inputs"] = field(default_factory=dict)
    memory: "Memory | None" = None

    @property
    def card(self) -> Path:
        """The run's card, beside its encoder; an encoder from elsewhere has none."""
        return self.encoder.with_name("encoder.json")

    @cached_property
    def encoder_digest(self) -> str:
        """SHA-256 of the encoder's file."""
        return file_digest(self.encoder)

    def files(self, study: Study, tasks: Iterable[str]) -> list[Path]:
        """The files that tasks read except the shards, released language models included."""
        return [
            self.encoder,
            *([self.card] if self.card.exists() else []),
            self.catalog,
            *([self.ranges] if self.ranges else []),
            *label_files(study.labels, self.labels),
            *(each.catalog for each in self.elsewhere.values()),
            *(each.ranges for each in self.elsewhere.values() if each.ranges),
            *(folder for task in tasks for _, folder in study.evaluation.tasks[task].folders()),
        ]
