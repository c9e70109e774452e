"""Tables beside the images: reports, labels and tube annotations, joined by key.

Only the rows of a partition's images are kept in memory. Errors name the file, the column and the
number of the row, never a value.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radscale_lib.archive.instance import Instance
from radscale_lib.archive.masks import MASK_COLUMN
from radscale_lib.archive.scrub import scrub
from radscale_lib.archive.sections import Texts, split_report, tidy
from radscale_lib.archive.tablefile import LINE, TableError, TableFile, shown
from radscale_lib.archive.tubes import Tube, drawing_of
from radscale_lib.study.archive import Labels

_STUDY_KEYS = ("study_instance_uid", "accession_number")
_IMAGE_KEYS = ("sop_instance_uid", *_STUDY_KEYS)


class Reports:
    """Report texts by study."""

    def __init__(self, path: Path, instances: Sequence[Instance], scrubbed: bool) -> None:
        """Read the reports of some instances; `scrubbed`: remove identifiers by rules.

        Raises:
            TableError: if the table lacks a key or the text, or contradicts itself.
        """
        table = TableFile(path)
        self.key = table.choose(_STUDY_KEYS)
        if "report" in table.columns:
            columns = ["report"]
        else:
            columns = [name for name in Texts._fields if name in table.columns]
            if not {"findings", "impression"} & set(columns):
                raise TableError(
                    f"{path}: no column 'findings', 'impression' or 'report': name the text's "
                    f"column so (found {shown(table.columns)})"
                )
        rows = table.one_row_each(self.key, columns, instances)
        self._scrubbed = scrubbed
        self._texts = {
            row[self.key]: (
                split_report(row["report"] or "")
                if "report" in row
                else Texts(**{name: tidy(row.get(name)) for name in Texts._fields})
            )
            for row in rows
        }

    def of(self, instance: Instance) -> Texts | None:
        """The texts of an instance's study."""
        texts = self._texts.get(getattr(instance, self.key))
        if texts is None or not self._scrubbed:
            return texts
        return Texts(*(text and scrub(text, instance.identifiers) for text in texts))


class LabelTable:
    """Labels by image or study: 1, 0, −1 (uncertain) or null (blank)."""

    def __init__(self, path: Path, labels: Labels, instances: Sequence[Instance]) -> None:
        """Read the labels of some instances.

        Raises:
            TableError: if the table lacks a key or a label of the study, holds another value, or
                contradicts itself.
        """
        table = TableFile(path)
        self.key = table.choose(_IMAGE_KEYS)
        names = [*labels.findings, *labels.tubes]
        for name in names:
            if name not in table.columns:
                raise TableError(
                    f"{path}: no column {name!r}: add it, or remove {name!r} from the study's "
                    f"labels (found {shown(table.columns)})"
                )
        rows = table.one_row_each(self.key, names, instances)
        self._labels = {
            row[self.key]: {name: _label(path, name, row) for name in names} for row in rows
        }

    def of(self, instance: Instance) -> dict[str, int | None] | None:
        """The label values of an instance, by name; null if it has no row."""
        return self._labels.get(getattr(instance, self.key))


class TubeTable:
    """Tubes by image: polylines, or masks in PNG files."""

    def __init__(self, path: Path, labels: Labels, instances: Sequence[Instance]) -> None:
        """Read the tubes of some instances; labels that the study does not name are left out.

        Raises:
            TableError: if a column is missing, or as `drawing_of` does.
        """
        table = TableFile(path)
        self.key = table.choose(("sop_instance_uid",))
        table.require("label")
        columns = [name for name in ("data", MASK_COLUMN) if name in table.columns]
        if not columns:
            table.require("data")
        self._tubes: dict[str, list[Tube] | None] = {}
        self.other_labels = 0
        sizes = {
            getattr(instance, self.key): (instance.rows, instance.columns) for instance in instances
        }
        by_key: dict[str, list[dict[str, Any]]] = {}
        for row in table.rows(self.key, ["label", *columns], instances):
            by_key.setdefault(row[self.key], []).append(row)
        for key, rows in by_key.items():
            drawing = drawing_of(path, rows, sizes[key], labels.tubes)
            self._tubes[key] = drawing.tubes
            self.other_labels += drawing.other_labels

    def of(self, instance: Instance) -> list[Tube] | None:
        """The tubes of an instance; null if it has no row of the study's labels."""
        return self._tubes.get(getattr(instance, self.key))


def _label(path: Path, name: str, row: dict[str, Any]) -> int | None:
    text = (row[name] or "").strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isnan(value):
        return None
    if value not in (0, 1, -1):
        raise TableError(
            f"{path}: {name}: row {row[LINE]} is none of 1, 0, -1 (uncertain) and blank: correct it"
        )
    return int(value)
