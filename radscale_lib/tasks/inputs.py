"""Files that an evaluation reads."""

from dataclasses import dataclass
from pathlib import Path

from radscale_lib.study.model import Study


@dataclass(frozen=True)
class Inputs:
    """Where a run's encoder and features, and the institution's images, lie.

    Attributes:
        encoder: `encoder.safetensors` of the run.
        features: folder of the run's pooled features.
        catalog: `catalog.parquet` of the institution.
        shards: folder of its shards.
        ranges: their index, by which images are verified as they are read; None: pages are.
    """

    encoder: Path
    features: Path
    catalog: Path
    shards: Path
    ranges: Path | None = None

    @property
    def card(self) -> Path:
        """The run's card, beside its encoder; there is none beside an encoder from elsewhere."""
        return self.encoder.with_name("encoder.json")

    def files(self, study: Study, task: str) -> list[Path]:
        """The files that a task reads, without the shards: a released language model is one."""
        released = getattr(study.evaluation.tasks[task], "language_model", None)
        return [
            self.encoder,
            *([self.card] if self.card.exists() else []),
            *(self.features / name for name in ("features.safetensors", "index.parquet")),
            self.catalog,
            *([self.ranges] if self.ranges else []),
            *([released] if isinstance(released, Path) else []),
        ]
