"""What jobs cost: from benchmarks and run cards where there are any, else from FLOP counts."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from radscale_lib.planning.flops import sample_flops
from radscale_lib.planning.needs import images
from radscale_lib.study.model import Study

SECONDS_PER_MPIXEL = 0.02
"""Assumed: one core decodes, resizes and encodes a 5 megapixel radiograph in 0.1 s."""
SOURCE_MPIXELS = 5.0
"""Assumed: size of a hospital's radiograph, megapixels."""
START_SECONDS = 5.0
"""Assumed: start of a process with torch."""


@dataclass(frozen=True)
class Cost:
    """Cost of one job.

    Attributes:
        seconds: wall time.
        cores: CPU cores it holds.
        gpus: GPUs it holds.
        source: `measured` (this job), `similar` (jobs of the same kind) or `computed`.
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


def cost(
    study: Study, rule: str, wildcards: Mapping[str, str], cores: int = 1, gpus: int = 0
) -> Cost:
    """Estimate the cost of one job."""
    folder = study.folder / "benchmarks" / rule
    name = ".".join(_benchmark_name(wildcards))
    exact = folder / f"{name}.tsv" if name else folder.with_suffix(".tsv")
    if (seconds := _benchmark(exact)) is not None:
        return Cost(seconds, cores, gpus, "measured")
    kind = wildcards.get("task") or wildcards.get("arm") or wildcards.get("archive") or ""
    similar = [_benchmark(path) for path in sorted(folder.glob(f"{kind}*.tsv"))]
    known = [seconds for seconds in similar if seconds is not None]
    if known:
        return Cost(median(known), cores, gpus, "similar")
    return Cost(computed_seconds(study, rule, wildcards, gpus), cores, gpus, "computed")


def _benchmark_name(wildcards: Mapping[str, str]) -> list[str]:
    values = dict(wildcards)
    names = [values[key] for key in ("task", "archive", "arm", "part") if key in values]
    if "size" in values:
        names += [f"n={values['size']}", f"seed={values['seed']}"]
    return names


def _benchmark(path: Path) -> float | None:
    if not path.exists():
        return None
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return float(rows[-1]["s"]) if rows else None


def computed_seconds(study: Study, rule: str, wildcards: Mapping[str, str], gpus: int = 0) -> float:
    """Seconds of a job that nothing like it has been measured for."""
    rate = study.compute.tflops * 1e12 * study.compute.utilisation * max(gpus, 1)
    total = images(study)
    if rule in ("pretrain_arm", "pretrain_base"):
        arm = wildcards["arm"]
        recipe = (study.arms.get(arm) or study.bases[arm]).recipe
        flops = sample_flops(study.encoders[study.encoder_of(arm)], recipe)
        return START_SECONDS + recipe.optimiser.samples * flops / rate
    held_out = study.splits.train + study.splits.validation + study.splits.test
    if rule in ("extract_features", "evaluate_task"):
        encoder = study.encoders[study.encoder_of(wildcards["arm"])]
        forward = sample_flops(encoder, None)
        if rule == "extract_features":
            return START_SECONDS + total * held_out * forward / rate
        task = study.evaluation.tasks[wildcards["task"]]
        if task.kind == "classification":
            return START_SECONDS + total * held_out / 2000
        decoder = task.decoder
        tested = decoder.test_images or total * study.splits.test
        return START_SECONDS + (decoder.steps * decoder.batch + tested) * forward * 2 / rate
    if rule == "ingest_partition":
        archive = study.archives[wildcards["archive"]]
        if archive.phantom:
            return 2 + archive.phantom.patients * 3 / archive.partitions / 100
        return total / archive.partitions * SOURCE_MPIXELS * SECONDS_PER_MPIXEL
    if rule == "make_phantom":
        phantom = study.archives[wildcards["archive"]].phantom
        return 2 + (phantom.patients * 3 / 80 if phantom else 0)
    return START_SECONDS + total / 1e5


def expected(study: Study) -> dict[str, float]:
    """Seconds of a typical job of each rule of the study."""
    archive = {"archive": "institution", "part": "0"}
    arm = {"arm": next(iter(study.arms)), "size": str(study.subsets.sizes[0]), "seed": "0"}
    tasks = [{**arm, "task": task} for task in study.evaluation.tasks]
    typical: dict[str, list[dict[str, str]]] = {
        "make_phantom": [archive],
        "ingest_partition": [archive],
        "pretrain_base": [{"arm": name} for name in study.bases],
        "pretrain_arm": [{**arm, "arm": name} for name in study.arms],
        "extract_features": [arm],
        "evaluate_task": tasks,
        "fit_scaling": [{}],
        "draw_figures": [{}],
    }
    return {
        rule: sum(cost(study, rule, wildcards).seconds for wildcards in jobs) / len(jobs)
        for rule, jobs in typical.items()
        if jobs
    }
