"""Retrieval: reports by images and images by reports, without training."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.tasks.base import TaskSection


class Retrieval(TaskSection):
    """Image-report retrieval in the space that both towers share; recall among the first."""

    implementation: ClassVar[str] = "radscale_lib.tasks.retrieval"
    scoring: ClassVar[str] = "radscale_lib.tasks.retrieval_scoring"
    needs: ClassVar[Literal["labels", "tubes", "reports"]] = "reports"

    kind: Literal["retrieval"]
    section: Literal["findings", "impression"] = Field("findings", description="Section searched.")
    test_images: int | None = Field(
        5000,
        ge=2,
        description="Test images that are searched (first by keyed hash); null uses all. Recall "
        "falls as there are more.",
    )

    @property
    def runs_encoder(self) -> bool:
        """It embeds texts; images have their global embeddings already."""
        return True

    @property
    def reads_features(self) -> bool:
        """The global embeddings."""
        return True

    @property
    def head_names(self) -> tuple[str, ...]:
        """The cosine of both embeddings."""
        return ("cosine",)

    def title(self, words: str) -> str:
        """What the task is called in a heading."""
        return words if "retrieval" in words else f"{words} retrieval"
