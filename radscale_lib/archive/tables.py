"""Look up an image's rows in the tables: reports, labels and tube annotations."""

from collections.abc import Sequence
from pathlib import Path

from radscale_lib.archive.instance import Instance
from radscale_lib.archive.join import Join
from radscale_lib.archive.sections import Texts
from radscale_lib.archive.texts import TextCounts, TextReader
from radscale_lib.archive.tubes import Tube, drawing_of
from radscale_lib.study.archive import Labels


class Reports:
    """Report texts by study."""

    def __init__(self, join: Join, reader: TextReader) -> None:
        """Take the reports of a join."""
        self._join, self._reader = join, reader

    def of(self, instance: Instance) -> Texts | None:
        """The texts of an instance's study."""
        rows = self._join.rows_of(instance.identity)
        return None if rows is None else self._reader.read(rows[0], instance.identifiers)

    @property
    def counts(self) -> TextCounts:
        """What the rules did to the texts that were read."""
        return self._reader.counts


class LabelTable:
    """Labels by image or study: 1, 0, −1 (uncertain) or null (blank)."""

    def __init__(self, join: Join, labels: Labels) -> None:
        """Take the labels of a join."""
        self._join, self._names = join, labels.columns

    def of(self, instance: Instance) -> dict[str, int | None] | None:
        """The label values of an instance, by name; null if it has no row."""
        rows = self._join.rows_of(instance.identity)
        return None if rows is None else {name: rows[0][name] for name in self._names}


class TubeTable:
    """Tubes by image: polylines, or masks in PNG files."""

    def __init__(
        self, join: Join, path: Path, labels: Labels, instances: Sequence[Instance]
    ) -> None:
        """Take the tubes of the instances; labels that the study does not name are left out.

        Args:
            join: the table's rows.
            path: the table; mask paths are relative to its folder.
            labels: the study's labels.
            instances: the images.

        Raises:
            TableError: as `drawing_of` does.
        """
        self._tubes: dict[str, list[Tube] | None] = {}
        self.other_labels = 0
        for instance in instances:
            uid = instance.sop_instance_uid
            rows = join.rows_of(instance.identity)
            if rows is None or uid in self._tubes:
                continue
            drawing = drawing_of(path, rows, (instance.rows, instance.columns), labels.tubes)
            self._tubes[uid] = drawing.tubes
            self.other_labels += drawing.other_labels

    def of(self, instance: Instance) -> list[Tube] | None:
        """The tubes of an instance; null if it has no row with one of the study's labels."""
        return self._tubes.get(instance.sop_instance_uid)
