"""Files that an evaluation reads."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inputs:
    """Where a run's encoder and features, and the institution's images, lie.

    Attributes:
        encoder: `encoder.safetensors` of the run.
        features: folder of the run's pooled features.
        catalog: `catalog.parquet` of the institution.
        shards: folder of its shards.
    """

    encoder: Path
    features: Path
    catalog: Path
    shards: Path
