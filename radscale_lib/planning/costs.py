"""Estimate what jobs cost: from benchmarks and run cards if any, else from FLOP counts."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from radscale_lib.files import read_json
from radscale_lib.planning.stages import STAGES
from radscale_lib.planning.stages.base import START_SECONDS
from radscale_lib.planning.stages.pretrain import training
from radscale_lib.study.model import Run, Study


@dataclass(frozen=True)
class Cost:
    """Cost of one job.

    Attributes:
        seconds: wall time.
        cores: CPU cores it holds.
        gpus: GPUs it holds.
        source: `measured` (this job), `similar` (jobs of the same kind), `rate` (FLOPs at the rate
            of other trainings) or `computed` (at stated rates).
    """

    seconds: float
    cores: int
    gpus: int
    source: str

    @property
    def core_hours(self) -> float:
        """Cores times hours."""
        return self.seconds * self.cores / 3600

    @property
    def gpu_hours(self) -> float:
        """GPUs times hours."""
        return self.seconds * self.gpus / 3600


class Costs:
    """Estimates the cost of a study's jobs, each from the best available source."""

    def __init__(self, study: Study) -> None:
        """Read the cards of all trainings; benchmarks are read on demand."""
        self.study = study
        self.trained: dict[Run, float] = {}
        """Seconds of each training finished on the study's kind of device, over all attempts,
        scaled to the samples that the study asks for now."""
        self._rates: dict[str, list[float]] = {}
        self._benchmarks: dict[tuple[Path, str], float | None] = {}
        for run in study.runs:
            if run.arm not in study.trained_arms | study.bases:
                continue  # imported or interpolated weights
            card = study.folder / "encoders" / run.path / "encoder.json"
            values = read_json(card) if card.exists() else {}
            if values.get("seconds") and values["device"] == study.compute.device:
                recipe, flops = training(study, run.arm)
                each = values["seconds"] / values["samples_seen"]
                self.trained[run] = START_SECONDS + recipe.optimiser.samples * each
                self._rates.setdefault(recipe.paradigm, []).append(flops / each)

    def of(
        self,
        stage: str,
        names: Mapping[str, str],
        cores: int = 1,
        gpus: int = 0,
        benchmark: Path | None = None,
    ) -> Cost:
        """Cost of one job.

        Args:
            stage: its stage, a key of `stages.STAGES`.
            names: the job's archive, arm, size, seed and task, as far as it has them.
            cores: CPU cores that it holds.
            gpus: GPUs that it holds.
            benchmark: its benchmark file, which need not exist yet; those of similar jobs are
                beside it.
        """
        known: Iterable[tuple[str, float | None]] = ()
        if stage == "pretrain":
            known = self._training(names)
        elif benchmark:
            known = self._benchmarked(benchmark, names)
        for source, seconds in known:
            if seconds is not None:
                return Cost(seconds, cores, gpus, source)
        compute = self.study.compute
        rate = compute.tflops * 1e12 * compute.utilisation * max(gpus, 1)
        seconds = STAGES[stage].seconds(self.study, names, rate)
        return Cost(seconds, cores, gpus, "computed")

    def _training(self, names: Mapping[str, str]) -> Iterator[tuple[str, float | None]]:
        """Cost from cards: a benchmark only has the last attempt, or a copy of an earlier run."""
        arm = names["arm"]
        run = Run(arm, int(names.get("size", 0)), int(names.get("seed", 0)))
        yield "measured", self.trained.get(run)
        # All runs of an arm see the same number of samples.
        yield "similar", _median(took for run, took in self.trained.items() if run.arm == arm)
        recipe, flops = training(self.study, arm)
        every = [rate for rates in self._rates.values() for rate in rates]
        rate = _median(self._rates.get(recipe.paradigm, every))
        yield "rate", rate and START_SECONDS + recipe.optimiser.samples * flops / rate

    def _benchmarked(
        self, benchmark: Path, names: Mapping[str, str]
    ) -> Iterator[tuple[str, float | None]]:
        yield "measured", _benchmark(benchmark)
        folder = benchmark.parent
        if folder.name == "benchmarks":
            return  # the only job of its kind
        kind = names.get("task") or names.get("arm") or names.get("archive") or ""
        if (folder, kind) not in self._benchmarks:
            others = sorted(folder.glob(f"{kind}.*" if kind else "*.tsv"))
            self._benchmarks[folder, kind] = _median(map(_benchmark, others))
        yield "similar", self._benchmarks[folder, kind]


def _median(seconds: Iterable[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return median(known) if known else None


def _benchmark(path: Path) -> float | None:
    """Seconds of a job from Snakemake's benchmark file, if there is one."""
    if not path.exists():
        return None
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return float(rows[-1]["s"]) if rows else None
