"""A task: how well one feature follows another. Its facts."""

from typing import ClassVar, Literal

from radscale_lib.study.tasks import TaskSection


class BrightnessTask(TaskSection):
    """Correlation of the first with the last global feature."""

    implementation: ClassVar[str] = "radscale_dummy.evaluate"
    scoring: ClassVar[str] = "radscale_dummy.score"
    needs: ClassVar[Literal["labels", "tubes", "reports"]] = "labels"

    kind: Literal["brightness"]

    def title(self, words: str) -> str:
        return f"{words} (mean grey)"
