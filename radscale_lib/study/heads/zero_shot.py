"""Zero-shot head: similarity of an image to texts that say a label is present or absent."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from radscale_lib.study.base import Distinct, Section
from radscale_lib.study.heads.base import HeadSection


def _with_a_place(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError(f"{template!r} needs {{}} once, where the prompt stands, and no more")
    return template


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Distinct, Field(min_length=1)]


class Prompts(Section):
    """Prompts for a label; each is put into every template."""

    present: Texts = Field(description="Texts that affirm the label, such as 'pleural effusion'.")
    absent: Texts = Field(description="Texts that deny the label, such as 'no pleural effusion'.")


class ZeroShot(HeadSection):
    """Similarity to prompts, without training, for encoders with a text tower (CLIP, CheXzero)."""

    implementation: ClassVar[str] = "radscale_lib.tasks.heads.zero_shot"
    runs_encoder: ClassVar[bool] = True

    kind: Literal["zero-shot"]
    templates: Annotated[
        tuple[Annotated[str, AfterValidator(_with_a_place)], ...], Distinct, Field(min_length=1)
    ] = Field(
        ("x-ray chest {}", "{}.", "There is {}."),
        description="Texts into which prompts are put, at {}; their embeddings are averaged.",
    )
    prompts: dict[str, Prompts] = Field(
        {},
        description="Prompts by label; by default the label's name in words, and the same after "
        "'no'.",
    )

    def problems(self, labels: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Prompts for labels that the task does not have."""
        for label in self.prompts:
            if label not in labels:
                yield f"prompts.{label}", f"no such label: use one of {list(labels)}"
