"""A pretraining job: a run and its inputs."""

from dataclasses import dataclass
from pathlib import Path

from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.model import Run, Study
from radscale_lib.study.pretrain import Arm, Base


@dataclass(frozen=True)
class Job:
    """A run and its inputs.

    Attributes:
        study: the study.
        run: arm (or base weights, with size 0), size and seed.
        stage: the stage id.
        catalog: `catalog.parquet` of the archive.
        shards: folder or address of its shards.
        ranges: their index of byte ranges; None reads by row group.
        subset: `n=N.parquet`; None trains on the whole catalog.
        base: `encoder.safetensors` to continue from; None starts from random weights.
        work: folder of all training states.
        scratch: node-local folder to copy shards to; None reads them where they are.
        labels: folder of the label tables; None: labels are in the catalog, or not used.
    """

    study: Study
    run: Run
    stage: str
    catalog: Path
    shards: Path | str
    ranges: Path | None
    subset: Path | None
    base: Path | None
    work: Path
    scratch: Path | None = None
    labels: Path | None = None

    @property
    def section(self) -> Arm | Base:
        """The study's section of the arm or base."""
        return (self.study.bases | self.study.trained_arms)[self.run.arm]

    @property
    def encoder(self) -> EncoderSection:
        """The study's section of the encoder."""
        return self.study.encoders[self.section.encoder]

    @property
    def kept(self) -> dict[float, int]:
        """Steps before the last after which the encoder is kept, by share of the budget."""
        return {} if isinstance(self.section, Base) else self.section.kept

    @property
    def seed(self) -> int:
        """Seed of all random draws of the run."""
        return self.section.seed if isinstance(self.section, Base) else self.run.seed
