"""The study file as one typed model, with rules across its sections."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, field_validator, model_validator

from radscale_lib.study.archive import Archive, Labels, Splits, TestArchive
from radscale_lib.study.base import Name, Section
from radscale_lib.study.compute import Compute
from radscale_lib.study.contradictions import contradictions
from radscale_lib.study.disclosure import Disclosure
from radscale_lib.study.encoders import Encoder, EncoderSection
from radscale_lib.study.evaluation import Evaluation
from radscale_lib.study.floors import FloorKind, Pixels
from radscale_lib.study.pretrain import Arm, ArmSection, Base, Baseline, Interpolation
from radscale_lib.study.report import Report
from radscale_lib.study.scaling import Scaling
from radscale_lib.study.subsets import Subsets
from radscale_lib.study.watch import Watch

NO_ENCODER = ("failed", "collapsed")
"""The `status` in the card of a run without an encoder."""
KEPT = "@"
"""Separator of arm and budget share in the name of an intermediate encoder."""


def kept_name(arm: str, share: float) -> str:
    """Name of an arm's encoder at a share of its budget, such as `rad-dino@0.25`."""
    return f"{arm}{KEPT}{share:g}"


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
        None, description="The archive on which base weights are trained, if they are made here."
    )
    test_archives: dict[Name, TestArchive] = Field(
        {},
        description="Further archives by name, ingested in the same way. Heads trained on the "
        "institution's labels are scored on them too, and nothing learns from them.",
    )
    labels: Labels = Labels()
    splits: Splits = Splits()
    subsets: Subsets = Subsets()
    encoders: dict[Name, Encoder] = Field(min_length=1, description="Encoders by name.")
    bases: dict[Name, Base] = Field(
        {}, description="Base weights trained on the 'public' archive; each is a baseline."
    )
    baselines: dict[Name, Baseline] = Field(
        {}, description="Further encoders that are only evaluated, by name."
    )
    arms: dict[Name, ArmSection] = Field(
        {}, description="Arms by name; a study of baselines alone has none."
    )
    evaluation: Evaluation
    scaling: Scaling
    report: Report = Report()
    disclosure: Disclosure = Disclosure()
    compute: Compute = Compute()
    watch: Watch = Watch()
    strict: bool = Field(
        False, description="Stop at a failed run instead of reporting 'n of N runs'."
    )

    @field_validator("arms", mode="before")
    @classmethod
    def _completed(cls, arms: Any) -> Any:
        """Complete interpolations with the values of their arms."""
        if not isinstance(arms, Mapping):
            return arms
        done = dict(arms)
        for name, values in arms.items():
            if isinstance(values, Mapping) and "interpolates" in values:
                arm = arms.get(str(values["interpolates"]))
                if isinstance(arm, Mapping) and "interpolates" not in arm:
                    done[name] = Interpolation.complete(values, arm)
        return done

    @field_validator("results")
    @classmethod
    def _no_pattern(cls, results: Path) -> Path:
        """Refuse patterns of Snakemake or polars in paths: {wildcard}, <variable>, *?[glob]."""
        taken = sorted({c for c in str(results) if c in "{}<>*?[]" or ord(c) < 32})
        if taken:
            raise ValueError(
                f"no folder of results may have {' '.join(map(repr, taken))} in its path, which "
                "would be read as a pattern: choose another"
            )
        return results

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        problems = list(contradictions(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def folder(self) -> Path:
        """Folder of this study's results."""
        return self.results / self.name

    @property
    def archives(self) -> dict[str, Archive]:
        """The study's archives by name."""
        return self.learnt_archives | self.test_archives

    @property
    def learnt_archives(self) -> dict[str, Archive]:
        """The archives from which encoders learn."""
        return {"institution": self.institution} | ({"public": self.public} if self.public else {})

    def key_of(self, archive: str) -> str:
        """The key of an archive in the study file."""
        return f"test_archives.{archive}" if archive in self.test_archives else archive

    def labels_in(self, archive: str) -> Labels:
        """The labels that the tables of an archive have."""
        test = self.test_archives.get(archive)
        stored = self.stored_labels(archive)
        return stored.without(test.without_labels) if test else stored

    @property
    def catalog_labels(self) -> Labels:
        """The labels in the institution's catalog for evaluation; others have their own tables."""
        return Labels() if self.labels.readers else self.labels

    def stored_labels(self, archive: str) -> Labels:
        """The labels with a column in the shards of an archive.

        Labels read from the institution's reports are in tables of their own; its shards still have
        the drawings of tubes.
        """
        labels = self.labels
        if archive != "institution" or "table" in labels.sources:
            return labels
        tubes = labels.tubes if self.institution.has_tubes else ()
        return Labels(tubes=tubes, uncertain=labels.uncertain, blank=labels.blank)

    def data_folder(self, archive: str) -> Path:
        """The folder of an archive's catalog and shards: here, or where it was ingested."""
        return (self.archives[archive].ingested or self.folder) / "data" / archive

    def smallest_cell(self, archive: str) -> int:
        """Minimum number of an archive's patients in a published cell; 1 for a phantom."""
        return 1 if self.archives[archive].phantom else self.disclosure.smallest_cell

    def tasks_at(self, archive: str) -> list[str]:
        """Tasks scored on a test archive: those for which it has the table and labels.

        Tasks on reports need the institution's language, in which heads were trained.
        """
        test, labels = self.test_archives[archive], self.labels_in(archive)
        return [
            name
            for name, task in self.evaluation.tasks.items()
            if getattr(test, f"has_{task.needs}")
            and (task.names is None or task.targets(labels))
            and (task.needs != "reports" or test.language == self.institution.language)
        ]

    def seen_from(self, archive: str) -> "Study":
        """The study with a test archive in place of the institution.

        It has the archive's labels, the tasks scored there, and the claims on these. No checkpoints
        are chosen there.
        """
        tasks = self.tasks_at(archive)
        scaling = self.scaling
        claims = {name: one for name, one in scaling.claims.items() if {*one.on} <= {*tasks}}
        scored = {
            "metrics": {task: of for task, of in scaling.metrics.items() if task in tasks},
            "claims": claims,
            "checkpoint_by": None,
        }
        evaluated = {"tasks": {task: self.evaluation.tasks[task] for task in tasks}}
        return self.model_copy(
            update={
                "institution": self.test_archives[archive],
                "labels": self.labels_in(archive),
                "evaluation": self.evaluation.model_copy(update=evaluated),
                "scaling": scaling.model_copy(update=scored),
                "test_archives": {},
            }
        )

    @property
    def shortcuts(self) -> dict[str, str]:
        """Tubes that give findings away, by finding."""
        if self.evaluation.shortcuts is not None:
            return self.evaluation.shortcuts

        def called(labels: tuple[str, ...], name: str) -> list[str]:
            return [label for label in labels if re.sub(r"[\s_-]+", " ", label).lower() == name]

        findings = called(self.labels.findings, "pneumothorax")
        tubes = called(self.labels.tubes, "chest tube")
        return dict(zip(findings, tubes, strict=False))

    def head_of(self, task: str) -> str:
        """The head of a task that is fitted and drawn; for other tasks, the first."""
        section = self.evaluation.tasks[task]
        return self.scaling.heads.get(task) or section.only_head or section.head_names[0]

    @property
    def trained_arms(self) -> dict[str, Arm]:
        """The arms that train."""
        return {name: arm for name, arm in self.arms.items() if isinstance(arm, Arm)}

    @property
    def interpolated_arms(self) -> dict[str, Interpolation]:
        """The arms made from another arm's weights and its base's."""
        return {name: arm for name, arm in self.arms.items() if isinstance(arm, Interpolation)}

    @property
    def kept(self) -> dict[str, tuple[str, float]]:
        """Arm and budget share of the intermediate encoders, by name: `arm@0.25`."""
        return {
            kept_name(name, share): (name, share)
            for name, arm in self.trained_arms.items()
            for share in arm.kept
        }

    @property
    def origins(self) -> dict[str, str]:
        """Name of the initial weights of each encoder used by an arm or made by a base."""
        used = dict.fromkeys(each.encoder for each in (self.arms | self.bases).values())
        made = {base.encoder: name for name, base in self.bases.items()}
        return {encoder: made.get(encoder, f"{encoder}-open") for encoder in used}

    @property
    def continued_whole(self) -> set[str]:
        """Encoders of which an arm continues more than the image tower, such as a head."""
        return {arm.encoder for arm in self.trained_arms.values() if arm.recipe.continues_whole}

    @property
    def evaluated_only(self) -> dict[str, str]:
        """Encoder of each baseline by name: initial weights of arms first, then the others."""
        initial = {name: encoder for encoder, name in self.origins.items()}
        return initial | {name: each.encoder for name, each in self.baselines.items()}

    @property
    def floors(self) -> dict[str, tuple[str, FloorKind]]:
        """Encoder and kind of each floor by name."""
        if not self.evaluation.floors:
            return {}
        kinds: tuple[FloorKind, ...] = ("random", "pixels")
        return {f"{name}-{kind}": (name, kind) for name in self.origins for kind in kinds}

    @property
    def baseline_runs(self) -> list[Run]:
        """Runs of size 0: the initial weights of each encoder in use, and other encoders."""
        return [Run(name, 0, 0) for name in self.evaluated_only]

    @property
    def floor_runs(self) -> list[Run]:
        """Runs of size 0 that are evaluated as floors."""
        return [Run(name, 0, 0) for name in self.floors]

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
    def kept_runs(self) -> list[Run]:
        """Every intermediate encoder, kept before its run's budget is spent."""
        runs = self.pretraining_runs
        return [
            Run(name, run.size, run.seed)
            for name, (arm, _) in self.kept.items()
            for run in runs
            if run.arm == arm
        ]

    @property
    def runs(self) -> list[Run]:
        """Every encoder that is evaluated, baselines first, floors last."""
        return self.baseline_runs + self.pretraining_runs + self.kept_runs + self.floor_runs

    def uses_labels(self, archive: str) -> bool:
        """Whether the labels and tubes of an archive are read; a base may need only reports."""
        if archive != "public":
            return True
        return any("labels" in base.supervision for base in self.bases.values())

    def has_labels(self, archive: str) -> bool:
        """Whether an archive has structured labels, or reports from which they are read."""
        source = self.archives[archive]
        if archive != "institution":
            return source.has_labels
        return any(
            source.has_reports if each in self.labels.readers else source.has_labels
            for each in self.labels.source
        )

    def tables_of(self, archive: str) -> tuple[str, ...]:
        """Names of the tables of an archive that are read, if it has them."""
        if not self.uses_labels(archive):
            return ("reports",)
        wanted = archive != "institution" or "table" in self.labels.sources
        return ("reports", "labels", "tubes") if wanted else ("reports", "tubes")

    def encoder_of(self, arm: str) -> str:
        """Name of the encoder of an arm, an intermediate encoder, a baseline or a floor."""
        arm = arm.partition(KEPT)[0]
        if arm in self.bases or arm in self.arms:
            return (self.bases | self.arms)[arm].encoder
        return self.floors[arm][0] if arm in self.floors else self.evaluated_only[arm]

    def section_of(self, arm: str) -> EncoderSection:
        """The encoder of an arm, a baseline or a floor."""
        encoder = self.encoders[self.encoder_of(arm)]
        is_pixels = arm in self.floors and self.floors[arm][1] == "pixels"
        return Pixels(like=encoder) if is_pixels else encoder

    def baseline_of(self, arm: str) -> Run:
        """The size-0 run that an arm starts from."""
        return Run(self.origins[self.encoder_of(arm)], 0, 0)
