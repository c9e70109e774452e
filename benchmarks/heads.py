"""Processor time of every kind of head and decoder at the size of a finished study.

    python -m benchmarks.heads RESULTS [--arms mi2-open rad-dino-open]

For each encoder, on one core: its features, the heads of the study's tasks, and one of each other
kind. The encoder runs once for all heads, as in an evaluation job.
"""

import argparse
import contextlib
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.tables import markdown
from radscale_lib.report.finished import settings_of
from radscale_lib.study import Study
from radscale_lib.study.decoders import DECODERS
from radscale_lib.study.heads import HEADS
from radscale_lib.study.model import Run
from radscale_lib.study.tasks.classification import Classification
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.extraction import extract
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.libraries import set_up_libraries
from radscale_lib.tasks.memory import Memory
from radscale_lib.tasks.parts import predict_part

SHORT: dict[str, dict[str, Any]] = {
    "attention": {"steps": 200, "batch": 32, "rates": (1e-3, 3e-3)},
    "pyramid": {"width": 32},
    "upernet": {"width": 32},
}
"""Settings of the kinds that a study does not have, at the embedded study's size."""


def with_every_kind(study: Study) -> Study:
    """The study, its first classification task with each kind of head, and with each decoder."""
    tasks = dict(study.evaluation.tasks)
    for section, kinds in ((Classification, HEADS), (Segmentation, DECODERS)):
        name = next(name for name, task in tasks.items() if isinstance(task, section))
        heads = tasks[name].heads
        absent = kinds.keys() - {head.kind for head in heads.values()}
        added = {kind: kinds[kind](kind=kind, **SHORT.get(kind, {})) for kind in sorted(absent)}
        tasks[name] = tasks[name].model_copy(update={"heads": {**heads, **added}})
    evaluation = study.evaluation.model_copy(update={"tasks": tasks})
    return study.model_copy(update={"evaluation": evaluation})


def seconds(study: Study, results: Path, arm: str) -> Iterator[tuple[str, float]]:
    """Names of the parts of an encoder's evaluation, and their processor time."""
    data = results / "data/institution"
    with TemporaryDirectory() as folder:
        inputs = Inputs(
            results / "encoders" / Run(arm, 0, 0).path / "encoder.safetensors",
            Path(folder),
            data / "catalog.parquet",
            data / "shards",
            data / "ranges.arrow",
            memory=Memory(data / "catalog.parquet", study.evaluation.features.batch),
        )
        start = time.process_time()
        extract(study, inputs, arm, study.catalog_labels)
        yield "features", time.process_time() - start
        for name, task in study.evaluation.tasks.items():
            for part in task.parts:
                start = time.process_time()
                predict_part(study, name, part, inputs, 1)
                yield f"{name}, {part}", time.process_time() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Time every part of each encoder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--arms", nargs="+", default=["rad-dino-open", "mi2-open"])
    args = parser.parse_args(argv)
    study = with_every_kind(settings_of(args.results, "fits"))
    set_up_libraries(1, "cpu")
    taken: dict[str, dict[str, float]] = {}
    for arm in args.arms:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for part, spent in seconds(study, args.results, arm):
                taken.setdefault(part, {})[arm] = spent
    rows = [[part, *(f"{by_arm[arm]:.2f}" for arm in args.arms)] for part, by_arm in taken.items()]
    print(markdown(["part", *(f"{arm}, CPU s" for arm in args.arms)], rows))


if __name__ == "__main__":
    main()
