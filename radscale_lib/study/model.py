"""The study file as one typed model, with the rules that hold across its sections."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, model_validator

from radscale_lib.study.archive import Archive, Labels, Splits
from radscale_lib.study.base import Name, Section
from radscale_lib.study.compute import Compute
from radscale_lib.study.encoders import Encoder
from radscale_lib.study.pretrain import Arm, Base
from radscale_lib.study.report import Report
from radscale_lib.study.scaling import Scaling
from radscale_lib.study.subsets import Subsets
from radscale_lib.study.tasks import Evaluation


class Run(NamedTuple):
    """One encoder of the study: an arm at a size and seed, or a baseline at size 0."""

    arm: str
    size: int
    seed: int

    @property
    def path(self) -> str:
        """Folder of the run below `encoders/`, `features/` and each task."""
        return f"{self.arm}/n={self.size}/seed={self.seed}"


class Study(Section):
    """A data-scaling study."""

    name: Name = Field(description="Name of the study; results go to <results>/<name>/.")
    results: Path = Field(Path("results"), description="Folder of all results.")
    institution: Archive = Field(description="The archive whose data are scaled.")
    public: Archive | None = Field(
        None, description="The archive that base weights are trained on, if they are made here."
    )
    labels: Labels = Labels()
    splits: Splits = Splits()
    subsets: Subsets
    encoders: dict[Name, Encoder] = Field(description="Encoders by name.")
    bases: dict[Name, Base] = Field(
        {}, description="Base weights trained on the 'public' archive; each is a baseline."
    )
    arms: dict[Name, Arm] = Field(description="Arms by name.")
    evaluation: Evaluation
    scaling: Scaling
    report: Report = Report()
    compute: Compute = Compute()
    strict: bool = Field(
        False, description="Stop at a failed run instead of reporting 'n of N runs'."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        problems = list(self._contradictions())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        for name, arm in self.arms.items():
            yield from self._arm_problems(f"arms.{name}", arm)
        for name, base in self.bases.items():
            yield from self._arm_problems(f"bases.{name}", base)
            if self.public is None:
                yield f"bases.{name}: there is no 'public' archive to train it on: add one"
        for encoder in {arm.encoder for arm in self.arms.values()} & set(self.encoders):
            made = [name for name, base in self.bases.items() if base.encoder == encoder]
            if self.encoders[encoder].weights is None and len(made) != 1:
                yield (
                    f"encoders.{encoder}.weights: no initial weights: give released weights, or "
                    f"one entry of 'bases' that trains them (found {len(made)})"
                )
            if self.encoders[encoder].weights is not None and made:
                yield (
                    f"bases.{made[0]}: encoder {encoder!r} has released weights: "
                    "remove one of the two"
                )
        for name in self.arms:
            if name in self.bases or name in self.baselines.values():
                yield f"arms.{name}: the name is taken by a baseline: rename the arm"
        yield from self._task_problems()
        if self.institution.phantom:
            pool = 1 - self.splits.train - self.splits.validation - self.splits.test
            most = int(self.institution.phantom.patients * 4 * pool)
            if self.subsets.sizes[-1] > most:
                yield (
                    f"subsets.sizes: {self.subsets.sizes[-1]} is above what a phantom of "
                    f"{self.institution.phantom.patients} patients can hold ({most}): raise "
                    "institution.phantom.patients or lower the size"
                )
        for arm_name in self.report.colours:
            if arm_name not in self.arms:
                yield f"report.colours.{arm_name}: no such arm: use one of {sorted(self.arms)}"

    def _arm_problems(self, key: str, arm: Arm | Base) -> Iterator[str]:
        encoder = self.encoders.get(arm.encoder)
        if encoder is None:
            yield f"{key}.encoder: {arm.encoder!r} is no encoder: use one of {sorted(self.encoders)}"
            return
        archive = self.institution if isinstance(arm, Arm) else self.public
        expected = {"mi2": "unicl", "rad-dino": "dinov2"}[encoder.kind]
        if arm.recipe.paradigm != expected:
            yield (
                f"{key}.recipe.paradigm: {arm.recipe.paradigm!r} does not train a {encoder.kind} "
                f"encoder: use {expected!r}"
            )
        if archive and "reports" in arm.supervision and not archive.has_reports:
            yield (
                f"{key}.supervision: 'reports' needs a reports table: set 'reports' of the archive "
                "or drop the arm"
            )
        if archive and "labels" in arm.supervision:
            if not archive.has_labels:
                yield (
                    f"{key}.supervision: 'labels' needs a label table: set 'labels' of the archive "
                    "or drop the arm"
                )
            if not (self.labels.findings or self.labels.tubes):
                yield f"{key}.supervision: 'labels' needs label names: fill labels.findings"
        if isinstance(arm, Arm) and arm.sizes is not None:
            unknown = sorted(set(arm.sizes) - set(self.subsets.sizes))
            if unknown or not arm.sizes:
                yield (
                    f"{key}.sizes: {unknown or 'empty'} not among subsets.sizes "
                    f"{list(self.subsets.sizes)}: add the size there or remove it here"
                )
        if (
            arm.recipe.paradigm == "dinov2"
            and encoder.kind == "rad-dino"
            and arm.recipe.local_size % encoder.image.patch
        ):
            yield (
                f"{key}.recipe.local_size: {arm.recipe.local_size} is no multiple of the "
                f"encoder's patch {encoder.image.patch}"
            )

    def _task_problems(self) -> Iterator[str]:
        archive = self.institution
        for name, task in self.evaluation.tasks.items():
            key = f"evaluation.tasks.{name}"
            if task.kind == "classification":
                if not archive.has_labels:
                    yield f"{key}: needs institution.labels: set it or remove the task"
                if not getattr(self.labels, task.target):
                    yield f"{key}.target: labels.{task.target} is empty: name its columns"
            elif task.kind == "segmentation":
                if not archive.has_tubes:
                    yield f"{key}: needs institution.tubes: set it or remove the task"
                if not self.labels.tubes:
                    yield f"{key}: labels.tubes is empty: name the mask classes"
            elif not archive.has_reports:
                yield f"{key}: needs institution.reports: set it or remove the task"
            if name not in self.scaling.metrics:
                yield f"scaling.metrics: no metric for task {name!r}: name the one to fit"
        allowed = {
            "classification": ("auroc", "auprc"),
            "segmentation": ("dice", "cldice"),
            "generation": ("bleu", "rouge_l", "lexical_f1"),
        }
        for name, metric in self.scaling.metrics.items():
            if name not in self.evaluation.tasks:
                yield f"scaling.metrics.{name}: no such task: remove it or add the task"
            elif metric not in allowed[self.evaluation.tasks[name].kind]:
                yield (
                    f"scaling.metrics.{name}: {metric!r} is no metric of this task: use one of "
                    f"{list(allowed[self.evaluation.tasks[name].kind])}"
                )

    @property
    def folder(self) -> Path:
        """Folder of this study's results."""
        return self.results / self.name

    @property
    def archives(self) -> dict[str, Archive]:
        """The study's archives by name."""
        return {"institution": self.institution} | ({"public": self.public} if self.public else {})

    @property
    def baselines(self) -> dict[str, str]:
        """Name of the baseline of each encoder that an arm uses."""
        used = dict.fromkeys(arm.encoder for arm in self.arms.values())
        made = {base.encoder: name for name, base in self.bases.items()}
        return {encoder: made.get(encoder, f"{encoder}-open") for encoder in used}

    @property
    def baseline_runs(self) -> list[Run]:
        """Size 0: the initial weights of each encoder in use."""
        return [Run(name, 0, 0) for name in self.baselines.values()]

    @property
    def pretraining_runs(self) -> list[Run]:
        """Every (arm, size, seed) of the study."""
        return [
            Run(name, size, seed)
            for name, arm in self.arms.items()
            for seed in arm.seeds
            for size in arm.sizes or self.subsets.sizes
        ]

    @property
    def runs(self) -> list[Run]:
        """Every encoder that is evaluated, baselines first."""
        return self.baseline_runs + self.pretraining_runs

    def encoder_of(self, arm: str) -> str:
        """Name of the encoder of an arm or a baseline."""
        if arm in self.arms:
            return self.arms[arm].encoder
        return next(encoder for encoder, name in self.baselines.items() if name == arm)

    def baseline_of(self, arm: str) -> Run:
        """The size-0 run that an arm starts from."""
        return Run(self.baselines[self.encoder_of(arm)], 0, 0)
