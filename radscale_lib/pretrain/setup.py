"""What a paradigm gives to the training loop, and how it continues from a base."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.utils.data import Dataset

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.pretrain.data import ImageSource, Share
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.learner import Learner
from radscale_lib.pretrain.rows import Rows
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.pretrain import Pretraining


@dataclass(frozen=True)
class Setup:
    """The inputs from which a paradigm builds its learner.

    Attributes:
        encoder: architecture.
        section: the arm or base weights to train.
        rows: images with their texts and labels.
        source: the images' pixels.
        share: this process's share of each batch.
        base: the encoder to continue from; None draws weights and, if needed, learns a tokenizer.
        smallest_cell: number of patients whose reports have a word, for a tokenizer to learn it.
    """

    encoder: EncoderSection
    section: Pretraining
    rows: Rows
    source: ImageSource
    share: Share
    base: EncoderFile | None
    smallest_cell: int = 1


class Trainable(NamedTuple):
    """The learner, its batches, and the tokenizer to store beside the weights."""

    learner: Learner
    batches: Dataset[dict[str, Tensor]]
    tokenizer: str | None = None


def continue_from(base: EncoderFile, model: nn.Module) -> None:
    """Load the weights of a base into a model.

    Raises:
        PretrainError: if the base's weights do not match, as for a DINOv2 tower without its head,
            which would collapse in training.
    """
    if not base.tensors:
        raise PretrainError("the base is the empty encoder of a failed run: see its encoder.json")
    wrong = mismatches(model, base)
    if wrong:
        raise PretrainError(
            f"{len(wrong)} weights of the base are missing or of another shape than the study's "
            f"encoder section says, such as {', '.join(wrong[:3])}: give that section the base's "
            "architecture, or another base"
        )
    model.load_state_dict(dict(base.tensors))


def mismatches(model: nn.Module, content: EncoderFile) -> list[str]:
    """Names of weights that only one of a model and a file has, or that differ in shape."""
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    given = {name: tensor.shape for name, tensor in content.tensors.items()}
    return sorted(name for name in own.keys() | given.keys() if own.get(name) != given.get(name))
