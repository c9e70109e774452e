"""Archives: where the images, reports and labels come from, and how they become shards."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from radscale_lib.study.base import Distinct, Fraction, Section
from radscale_lib.study.definitions import default_definition
from radscale_lib.study.labels import (
    READERS,
    Audit,
    Endpoint,
    NotBlank,
    Phrase,
    SomeSources,
    Source,
    Sources,
)

TABLES = ("reports", "labels", "tubes")
"""Names of an archive's tables."""

DEMOGRAPHICS = ("sex", "age_band")
"""Patient columns that an archive may keep."""

Difference = Literal["apostrophe", "decimals", "case", "punctuation", "leading_zeros"]

Interpolation = Literal[
    "bspline",
    "opencv-linear",
    "opencv-cubic",
    "opencv-area",
    "opencv-lanczos",
    "pillow-box",
    "pillow-bilinear",
    "pillow-bicubic",
    "pillow-lanczos",
]

Encoding = Literal["png", "tiff"]

Language = Literal["de", "en", "es", "fr", "ja", "pt", "zh"]
"""Languages of reports (ISO 639-1), each with a data file in `radscale_lib/languages`."""
PHRASED = frozenset({"de", "en", "es", "fr", "pt"})
"""Languages that also have phrases for what a report affirms and denies."""

PHANTOM_LABELS = {
    "findings": (
        "cardiomegaly",
        "effusion",
        "pneumothorax",
        "consolidation",
        "nodule",
        "edema",
        "atelectasis",
    ),
    "tubes": ("ett", "ngt", "cvc", "chest_tube"),
    "positions": (
        *("ett_normal", "ett_borderline", "ett_abnormal"),
        *("ngt_normal", "ngt_borderline", "ngt_abnormal", "ngt_incomplete"),
        *("cvc_normal", "cvc_borderline", "cvc_abnormal"),
    ),
}
"""Label columns of a phantom archive."""


BODY_PARTS = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BREAST", "CALCANEUS", "CERVICALSPINE", "CHEST",
    "CHESTABDOMEN", "CHESTABDPELVIS", "CLAVICLE", "COCCYX", "CSPINE", "CTSPINE", "ELBOW",
    "EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HEART", "HIP", "HUMERUS",
    "JAW", "KNEE", "LEG", "LSPINE", "LSSPINE", "LUMBARSPINE", "LUNG", "MAXILLA", "NECK", "ORBIT",
    "PATELLA", "PELVIS", "RIB", "RIBS", "SACRUM", "SCAPULA", "SHOULDER", "SKULL", "SPINE", "SSPINE",
    "STERNUM", "TIBIA", "TLSPINE", "TOE", "TSPINE", "THORACICSPINE", "THORAX", "UPRIGHTCHEST",
    "WHOLEBODY", "WRIST",
})  # fmt: skip
"""Defined terms of Body Part Examined in projection radiography, and common spellings
(PS3.16 annex L)."""


class Phantom(Section):
    """The embedded archive of simulated chest radiographs (without real patients)."""

    patients: int = Field(ge=2, description="Patients drawn; each has one to three studies.")
    seed: int = Field(0, ge=0, description="Seed of every random draw of the archive.")
    site: Literal["institution", "public"] = Field(
        "institution",
        description="Acquisition style: 'public' has other body habitus, exposure, prevalences "
        "and wording.",
    )
    pixels: int = Field(128, ge=64, le=2048, description="Rows of a rendered frontal image.")
    broken: int = Field(8, ge=0, description="Defective files planted among the intact ones.")


class Select(Section):
    """Which images enter the study; the others are listed in the ledger with the reason."""

    modalities: tuple[str, ...] = Field(("CR", "DX"), description="Modality (0008,0060).")
    views: tuple[Literal["PA", "AP", "LL", "RL", "unknown"], ...] = Field(
        ("PA", "AP"),
        description="View position (0018,5101); 'unknown' admits images that do not state theirs.",
    )
    body_parts: tuple[str, ...] = Field(
        (),
        description="Body Part Examined (0018,0015), otherwise the one that Series Description "
        "names, such as CHEST; 'unknown' admits images that state none. Empty: all.",
    )
    lateralities: tuple[Literal["L", "R", "B", "U", "unknown"], ...] = Field(
        (),
        description="Image Laterality (0020,0062), otherwise Laterality (0020,0060). Empty: all.",
    )
    derived: bool = Field(
        True, description="Admit images processed from others (Image Type, value 1: DERIVED)."
    )
    secondary: bool = Field(
        False, description="Admit images made after the examination (value 2: SECONDARY)."
    )
    for_processing: bool = Field(
        False, description="Admit raw detector images (Presentation Intent Type: FOR PROCESSING)."
    )
    burned_in: bool = Field(
        False, description="Admit images whose header states burnt-in text (0028,0301)."
    )
    colour: bool = Field(
        False,
        description="Admit colour and palette images, as their luminance "
        "0.299 R + 0.587 G + 0.114 B.",
    )
    minimum_pixels: int = Field(
        64, ge=1, description="Images with a shorter side below this are excluded."
    )
    maximum_pixels: int = Field(
        10_000, ge=1, description="Images with a longer side above this are excluded."
    )

    @model_validator(mode="after")
    def _known_body_parts(self) -> "Select":
        strange = [part for part in self.body_parts if part not in {*BODY_PARTS, "unknown"}]
        if strange:
            raise ValueError(
                f"body_parts: {strange[0]!r} is not a defined term, so no image would have it: "
                "write "
                "one as DICOM has it, such as CHEST, or 'unknown'"
            )
        return self


class Image(Section):
    """How an accepted image is prepared and stored."""

    shorter_side: int = Field(518, ge=16, description="Shorter side of the stored image, pixels.")
    interpolation: Interpolation = Field(
        "bspline",
        description="Resize: the cubic B-spline (RAD-DINO), or a library's, which gives other "
        "pixels (docs/hospital/pixels.md).",
    )
    alignment: Literal["centred", "origin"] = Field(
        "centred",
        description="B-spline sampling grid: pixel centres, or SimpleITK's same-origin grid.",
    )
    window: Literal["minmax", "percentile", "voi"] = Field(
        "minmax",
        description="Grey window before 8 bits: minimum-maximum (RAD-DINO), percentiles 1-99, "
        "or the file's own VOI.",
    )
    bits: Literal[8, 16] = Field(
        8, description="Bits of a stored pixel; training and features use 8 of 16, rounded."
    )
    encoding: Encoding = Field(
        "png",
        description="Lossless encoding: PNG, or TIFF with Zstandard, which decodes faster "
        "(docs/hospital/pixels.md).",
    )
    burned_in_text: Literal["keep", "mask", "exclude"] = Field(
        "keep",
        description="Lines of text found in the pixels: keep them, cover them with the grey "
        "around them, or exclude the image (docs/hospital/deidentification.md says "
        "what is missed).",
    )

    @model_validator(mode="after")
    def _grid_of_the_spline(self) -> "Image":
        if self.interpolation != "bspline" and self.alignment == "origin":
            raise ValueError(
                f"alignment 'origin' is a grid of the B-spline, and {self.interpolation!r} has one "
                "of its own: remove 'alignment', or set interpolation: bspline"
            )
        return self


class Join(Section):
    """How a table is read, and joined to the images."""

    columns: dict[str, str] = Field(
        {},
        description="Names of the table's columns if they are not the expected ones, as "
        '`accession_number: "Accession Number"`.',
    )
    separator: Literal["comma", "semicolon", "tab"] | None = Field(
        None, description="Separator of a CSV file; null: detected from the names in its first row."
    )
    encoding: str | None = Field(
        None,
        description="Encoding of a CSV or JSONL file, such as `cp1250` or `gb18030`; null: UTF-8, "
        "UTF-16 or Windows-1252, detected from its bytes.",
    )
    ignore: Annotated[tuple[Difference, ...], Distinct] = Field(
        (),
        description="Accession numbers count as equal if they differ only in these: an apostrophe "
        'or ="" around them (Excel), decimals (1000001.0), case, punctuation and '
        "blanks, leading zeros.",
    )
    most_unmatched: Fraction = Field(
        0.05,
        description="Share of the table's rows that may match no file, or files of several "
        "patients; above it the study stops at the catalog. 1.0 never stops it.",
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        try:
            if encoding is not None:
                "".encode(encoding)
        except LookupError:
            raise ValueError(
                f"{encoding!r} is not an encoding: write one as utf-8, utf-16, cp1252 or gb18030"
            ) from None
        return encoding

    @model_validator(mode="after")
    def _columns_once(self) -> "Join":
        names = list(self.columns.values())
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"columns: {twice!r} is given for two columns: give one for each")
        return self


class Joins(Section):
    """How the tables of an archive are joined to its images (docs/hospital/ingest.md)."""

    reports: Join = Field(Join(), description="The table of reports.")
    labels: Join = Field(Join(), description="The table of labels.")
    tubes: Join = Field(Join(), description="The table of tubes.")


class Archive(Section):
    """One archive: DICOM files (or the phantom) with reports, labels and tube annotations."""

    phantom: Phantom | None = Field(None, description="Make an embedded phantom archive instead.")
    dicom: Path | None = Field(None, description="Folder searched for DICOM files, recursively.")
    ingested: Path | None = Field(
        None,
        description="Folder of another study's results, `<results>/<name>`, whose archive of this "
        "name is used as ingested there, with its settings and splits; give no other "
        "key (docs/hospital/project-folders.md).",
    )
    reports: Path | None = Field(
        None,
        description="Reports as CSV, Parquet or JSONL with columns accession_number (or "
        "study_instance_uid), and findings and impression, or report.",
    )
    language: Language = Field(
        "en",
        description="Language of the reports: headings, dates, names and numbers are recognised "
        "by its words (docs/hospital/deidentification.md says how well).",
    )
    most_foreign_reports: Fraction = Field(
        0.05,
        description="Share of the reports in another language above which the study stops; below, "
        "their texts are left out. 1.0 leaves all of them out.",
    )
    scrub_reports: bool = Field(
        True,
        description="Remove names, dates, telephone numbers and other numbers from report texts "
        "by rules (docs/hospital/deidentification.md says what they miss); false for "
        "texts that are already de-identified.",
    )
    labels: Path | None = Field(
        None,
        description="Labels as CSV or Parquet: accession_number, study_instance_uid or "
        "sop_instance_uid, and one column per label with 1, 0, -1 (uncertain) or blank.",
    )
    tubes: Path | None = Field(
        None,
        description="Tubes as CSV, Parquet or JSONL: sop_instance_uid, label, and data (polyline "
        "in RANZCR CLiP form: JSON list of [x, y] in pixels of the original image) or "
        "mask (path, relative to the table's folder, of a PNG of the original image's "
        "size, 0 where there is no tube).",
    )
    joins: Joins = Field(Joins(), description="How the tables are read, and joined to the images.")
    partitions: int = Field(
        1, ge=1, le=100_000, description="Ingest jobs, and shards, of this archive."
    )
    key_file: Path | None = Field(
        None, description="File with the secret key of the pseudonyms (or set RADSCALE_KEY)."
    )
    rescan: bool = Field(
        True,
        description="Look for new and changed files each time snakemake starts; false for an "
        "archive that is complete.",
    )
    most_quarantined: Fraction = Field(
        0.1,
        description="Share of defective files above which the study stops, with the top reasons.",
    )
    most_of_one_patient: Fraction = Field(
        0.02,
        description="Share of the images above which one patient stops the study: a placeholder "
        "in Patient ID makes one patient of many. 100 images are plausible if they "
        "are at most half of the archive; 1.0 switches this off.",
    )
    demographics: Annotated[tuple[Literal["sex", "age_band"], ...], Distinct] = Field(
        (),
        description="What is kept about the patient, for scores of subgroups: sex; age in bands "
        "(0-17, 18-39, 40-64, 65-79, 80+). The catalog leaves out what few patients "
        "share (disclosure.smallest_cell).",
    )
    select: Select = Field(Select(), description="Which instances enter the study.")
    image: Image = Field(Image(), description="How an image is prepared and stored.")

    @model_validator(mode="after")
    def _one_source(self) -> "Archive":
        if (self.phantom is None) == (self.dicom is None):
            found = "both" if self.dicom else "neither"
            raise ValueError(f"give exactly one of 'phantom' and 'dicom' (found {found})")
        given = [key for key in TABLES if getattr(self, key)]
        if self.phantom and given:
            raise ValueError(
                "a phantom archive writes its own reports, labels and tubes: remove "
                f"{' and '.join(given)}, or give a 'dicom' folder instead of the phantom"
            )
        if self.phantom and self.language != "en":
            raise ValueError("language: a phantom archive writes English: remove it")
        for key in TABLES:
            if not (self.phantom or getattr(self, key)) and getattr(self.joins, key) != Join():
                raise ValueError(
                    f"joins.{key}: there is no table to join: set '{key}', or remove it here"
                )
        return self

    @property
    def has_reports(self) -> bool:
        """Whether image-text pairs can be formed."""
        return self.phantom is not None or self.reports is not None

    @property
    def has_labels(self) -> bool:
        """Whether structured labels are available."""
        return self.phantom is not None or self.labels is not None

    @property
    def has_tubes(self) -> bool:
        """Whether tube polylines are available."""
        return self.phantom is not None or self.tubes is not None


class TestArchive(Archive):
    """A further archive on which trained heads are scored; nothing learns from it."""

    without_labels: Annotated[tuple[str, ...], Distinct] = Field(
        (),
        description="Labels of the study that this archive's tables do not have: they are not "
        "scored there.",
    )


class Labels(Section):
    """Names of the label columns, and what an uncertain label (-1) means."""

    findings: Annotated[tuple[str, ...], Distinct] = Field(
        (), description="Label columns of the findings task and of the label arm."
    )
    tubes: Annotated[tuple[str, ...], Distinct] = Field(
        (), description="Label columns of the tube tasks and of the label arm; also mask classes."
    )
    positions: Annotated[tuple[str, ...], Distinct] = Field(
        (),
        description="Label columns of tube positions (`ETT - Abnormal`), for classification with "
        "target: positions; no encoder learns from them.",
    )
    others: Annotated[tuple[str, ...], Distinct] = Field(
        (),
        description="Label columns that belong to no task but forbid the label text 'no finding' "
        "if present or doubtful: further findings in the table.",
    )
    uncertain: Literal["ignore", "positive", "negative"] = Field(
        "ignore", description="Policy for -1 in training and evaluation."
    )
    blank: Literal["ignore", "negative"] = Field(
        "negative", description="Policy for a blank label of a labelled study."
    )
    source: SomeSources = Field(
        ("table",),
        description="Where the institution's labels come from: `table`, `rules` or `endpoint` "
        "(docs/hospital/labels.md). Of several, a later one fills in what the earlier "
        "ones do not know.",
    )
    compared: Sources = Field(
        (), description="Further sources, which are only compared with the others."
    )
    test_source: Source | None = Field(
        None, description="Source of the test patients' labels, if it differs."
    )
    definitions: dict[str, NotBlank] = Field(
        {},
        description="A sentence for each label that a person and a model can follow, where the "
        "built-in one does not fit or there is none.",
    )
    phrases: dict[str, tuple[Phrase, ...]] = Field(
        {},
        description="Further phrases that mention a label, for rules; an ellipsis (…) stands for "
        "up to four words.",
    )
    endpoint: Endpoint | None = Field(None, description="The server that is asked by `endpoint`.")
    audit: Audit = Field(Audit(), description="How far the labels can be trusted.")
    partitions: int = Field(
        1, ge=1, le=10_000, description="Jobs that read the reports, for each source."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column read from the label table, without duplicates."""
        every = (*self.findings, *self.tubes, *self.positions, *self.others)
        return tuple(dict.fromkeys(every))

    def without(self, names: Collection[str]) -> "Labels":
        """The same without the named labels."""
        keys = ("findings", "tubes", "positions", "others")
        left = {key: tuple(n for n in getattr(self, key) if n not in names) for key in keys}
        return self.model_copy(update=left)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups with at least one label."""
        every = ("findings", "tubes", "positions", "others")
        return tuple(group for group in every if getattr(self, group))

    def groups_in(self, folder: str) -> tuple[str, ...]:
        """Groups with a table in `pool`, for training, or in `held-out`, for evaluation."""
        left_out = {"pool": "positions", "held-out": "others"}[folder]
        return tuple(group for group in self.groups if group != left_out)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source that is read, those used for labels first."""
        last = () if self.test_source is None else (self.test_source,)
        return tuple(dict.fromkeys([*self.source, *self.compared, *last]))

    @property
    def readers(self) -> tuple[Source, ...]:
        """Sources that read reports; if there are any, labels are in tables of their own."""
        return tuple(source for source in self.sources if source in READERS)

    def definition(self, label: str) -> str | None:
        """The definition of a label: the study's sentence, or else the built-in one."""
        return self.definitions.get(label) or default_definition(label)

    @model_validator(mode="after")
    def _no_means(self) -> "Labels":
        taken = [name for name in self.columns if name in ("macro", "micro")]
        if taken:
            raise ValueError(
                f"{taken[0]!r} is the name of scores over all labels: rename the label"
            )
        blank = [name for name in self.columns if not any(map(str.isalnum, name))]
        if blank:
            raise ValueError(
                f"{blank[0]!r} cannot be a label's name: it has neither a letter nor a digit"
            )
        return self

    @model_validator(mode="after")
    def _others_are_others(self) -> "Labels":
        taken = {*self.findings, *self.tubes}
        for key in ("positions", "others"):
            twice = [name for name in getattr(self, key) if name in taken]
            if twice:
                raise ValueError(
                    f"{key}: {twice} are labels of the study already: remove them here"
                )
            taken |= {*getattr(self, key)}
        return self


class Splits(Section):
    """Shares of patients; the remainder is the pool from which subsets are drawn."""

    train: Fraction = Field(0.2, description="Patients whose labels train the probes and decoders.")
    validation: Fraction = Field(
        0.05, description="Patients on whom penalties and epochs are chosen."
    )
    test: Fraction = Field(0.25, description="Patients on whom every score is computed.")

    empty_below: int = Field(
        50,
        ge=0,
        description="Number of patients from which a split without patients stops the study; "
        "below, the log says so.",
    )

    @property
    def pool(self) -> float:
        """Share of patients from whom subsets are drawn."""
        return 1 - self.train - self.validation - self.test

    @model_validator(mode="after")
    def _leave_a_pool(self) -> "Splits":
        held_out = self.train + self.validation + self.test
        if held_out >= 1:
            raise ValueError(
                f"train + validation + test = {held_out:g} leaves no patients to pretrain on: "
                "lower them below 1 together"
            )
        empty = [key for key in ("train", "validation", "test") if getattr(self, key) == 0]
        if empty:
            raise ValueError(f"{' and '.join(empty)} is 0 and every task needs it: raise it")
        return self
