"""The evaluation of a run: its features, and the predictions of all tasks and heads."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from radscale_lib.files import read_json
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.provenance.digests import digest, files_of
from radscale_lib.study.archive import Labels
from radscale_lib.study.model import NO_ENCODER, Run, Study
from radscale_lib.tasks.features import FILES, write_empty
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.kept import FOLDER, Kept, link
from radscale_lib.tasks.libraries import set_up_libraries
from radscale_lib.tasks.memory import Memory
from radscale_lib.tasks.parts import predict_part
from radscale_lib.tasks.predictions import Predicted
from radscale_lib.tasks.runs import TABLE

FAILED = "the run failed"


def evaluate_run(
    study: Study,
    run: Run,
    inputs: Inputs,
    tables: Mapping[str, Path],
    threads: int,
    work: Path | None = None,
    elsewhere: Mapping[str, Mapping[str, Path]] = MappingProxyType({}),
) -> None:
    """Write the features of a run to `inputs.features`, and the predictions of tasks.

    A part (the features, or one head of one task) is computed only if there is no earlier one from
    the same inputs and code. Features have no images and predictions no rows if the run failed, or
    if its values are not finite.

    Args:
        study: the study.
        run: which encoder, of the study or from elsewhere.
        inputs: the run's files.
        tables: `predictions.parquet` of each task, by name.
        threads: threads of the numerical libraries.
        work: folder in which parts are kept; None keeps none.
        elsewhere: the tables of each archive of `inputs.elsewhere`.

    Raises:
        NoCasesError: if a task has no images for training or for scoring.
    """
    kept = Kept(work / FOLDER / run.path) if work else None
    inputs = _remembering(inputs, study.evaluation.features.batch)
    made = _Parts(study, run, inputs, threads, kept, has_encoder(inputs))
    made.features()
    for name, path in tables.items():
        parts = [made.head(name, part) for part in study.evaluation.tasks[name].parts]
        whole = Predicted.of_parts(parts)
        whole = replace(whole, encoder=inputs.encoder_digest, images=_images(inputs))
        whole.write(path)
        for archive, theirs in elsewhere.items():
            if name in theirs:
                whole.at(archive).write(theirs[name])
        for head, fault in whole.faults.items():
            print(f"{run.path} {name} ({head}): {fault}: no predictions", file=sys.stderr)
        for head, choice in whole.choices.items():
            print(f"{run.path} {name} ({head}): chosen on validation: {choice}", file=sys.stderr)


def _remembering(inputs: Inputs, batch: int) -> Inputs:
    """The same files, with features shared by all parts."""
    elsewhere = {name: _remembering(each, batch) for name, each in inputs.elsewhere.items()}
    return replace(inputs, elsewhere=elsewhere, memory=Memory(inputs.catalog, batch))


def has_encoder(inputs: Inputs) -> bool:
    """Whether a run has an encoder: the file is not empty and its card states no failure."""
    failed = inputs.card.exists() and read_json(inputs.card).get("status") in NO_ENCODER
    return not failed and inputs.encoder.stat().st_size > 0


def _images(inputs: Inputs) -> int | None:
    """Number of unique images from which an encoder learnt; None if its card does not say."""
    images = read_json(inputs.card).get("images") if inputs.card.exists() else None
    return None if images is None else int(images)


@dataclass(frozen=True)
class _Parts:
    """The parts of a run's evaluation, computed or reused."""

    study: Study
    run: Run
    inputs: Inputs
    threads: int
    kept: Kept | None
    has_encoder: bool
    digest: Callable[[Path], str] = field(default_factory=lambda: cache(digest))

    def features(self) -> None:
        """Write the features of every archive, or link kept ones."""
        if not self.has_encoder:
            print(f"{self.run.path}: {FAILED}: no features", file=sys.stderr)
        self._features("features", self.inputs, self.study.catalog_labels)
        for archive, inputs in self.inputs.elsewhere.items():
            self._features(f"features@{archive}", inputs, self.study.labels)

    def _features(self, part: str, inputs: Inputs, labels: Labels) -> None:
        if not self.has_encoder:
            write_empty(inputs, labels)
        elif self.kept is None:
            self._extract(inputs, labels)
        else:
            folder = self.kept.folder(part)
            of = self._made_of("features", inputs)
            if inputs is not self.inputs:
                of["labels"] = " ".join(labels.columns)
            if not self.kept.has(part, of):
                self._extract(replace(inputs, features=folder), labels)
                self.kept.keep(part, of, FILES)
            for name in FILES:
                link(folder / name, inputs.features / name)

    def head(self, task: str, part: str) -> Predicted:
        """The predictions of one head of a task."""
        if not self.has_encoder:
            implementation = import_module(self.study.evaluation.tasks[task].implementation)
            empty = implementation.predictions_schema(self.study, task).to_frame()
            return Predicted(empty, faults={part: FAILED})
        if self.kept is None:
            return self._predict(task, part)
        name = f"{task}.{part}"
        folder = self.kept.folder(name)
        tables = {archive: f"{archive}.{TABLE}" for archive in self.inputs.elsewhere}
        of = self._made_of("head", self.inputs, task, part)
        if not self.kept.has(name, of):
            predicted = self._predict(task, part)
            predicted.write(folder / TABLE)
            for archive, file in tables.items():
                predicted.at(archive).write(folder / file)
            self.kept.keep(name, of, [TABLE, *tables.values()])
        elsewhere = {name: Predicted.read(folder / file).table for name, file in tables.items()}
        return replace(Predicted.read(folder / TABLE), elsewhere=elsewhere)

    def _predict(self, task: str, part: str) -> Predicted:
        return predict_part(self.study, task, part, self.inputs, self.threads)

    def _extract(self, inputs: Inputs, labels: Labels) -> None:
        from radscale_lib.tasks.extraction import extract

        set_up_libraries(self.threads, self.study.compute.device)
        try:
            extract(self.study, inputs, self.run.path, labels)
        except NotFiniteError as error:
            print(f"{self.run.path}: {error}: no features", file=sys.stderr)
            write_empty(inputs, labels, str(error))

    def _made_of(
        self, stage: str, inputs: Inputs, task: str = "", part: str = ""
    ) -> dict[str, str]:
        """Stage id of a part, and digests of its inputs."""
        names = {"task": task, "part": part} if task else {}
        section = self.study.evaluation.tasks.get(task)
        files = [inputs.catalog]
        if section:
            read = [inputs, *inputs.elsewhere.values()]
            files = [each.catalog for each in read]
            if section.reads_features:
                files += [each.features / name for each in read for name in FILES]
            files += [folder for _, folder in section.folders()]
            if self.inputs.labels and section.needs == "labels":
                every = self.study.labels.groups_in(self.inputs.labels.name)
                groups = (section.names,) if section.names else every
                files += [self.inputs.labels / f"{group}.parquet" for group in groups]
        return {
            "stage": stage_id(components(self.study, stage, arm=self.run.arm, **names)),
            "encoder": self.inputs.encoder_digest,
            "files": " ".join(self.digest(file) for path in files for file in files_of(path)),
        }
