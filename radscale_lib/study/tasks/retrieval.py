"""Retrieval: reports by images and images by reports, without training."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.tasks.base import TaskSection


class Retrieval(TaskSection):
    """Image-report retrieval in the shared space of both towers; recall among the first answers."""

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
        """Always true: it embeds texts; images already have their global embeddings."""
        return True

    @property
    def reads_features(self) -> bool:
        """Always true: it reads the global embeddings."""
        return True

    @property
    def head_names(self) -> tuple[str, ...]:
        """Its only head: the cosine of both embeddings."""
        return ("cosine",)

    def title(self, words: str) -> str:
        """The task's name in a heading."""
        return words if "retrieval" in words else f"{words} retrieval"
