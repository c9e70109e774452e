"""From a run's section of the study to what the loop trains."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.pretrain.data import ImageSource, Share
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.learner import Learner
from radscale_lib.pretrain.rows import Rows
from radscale_lib.study.archive import Labels
from radscale_lib.study.encoders import Mi2, RadDino
from radscale_lib.study.pretrain import Pretraining

if TYPE_CHECKING:
    from radscale_lib.encoders.text import TextTokenizer
    from radscale_lib.pretrain.texts import Pairing


class Paradigm(NamedTuple):
    """What the loop trains, on what, and the tokenizer to store beside the weights."""

    learner: Learner
    batches: Dataset[dict[str, Tensor]]
    tokenizer: str | None = None


def dinov2(
    encoder: RadDino, section: Pretraining, source: ImageSource, share: Share, base: EncoderFile | None
) -> Paradigm:
    """DINOv2 on images alone."""
    from radscale_lib.pretrain.dinov2 import Dinov2Learner, RadDinoModel
    from radscale_lib.pretrain.dinov2_data import Dinov2Batches

    model = RadDinoModel(encoder)
    if base:
        _load(model, base)
    batches = Dinov2Batches(source, encoder.image, section.recipe, share)
    return Paradigm(Dinov2Learner(model, section.recipe), batches)


def unicl(
    encoder: Mi2,
    section: Pretraining,
    labels: Labels,
    rows: Rows,
    source: ImageSource,
    share: Share,
    base: EncoderFile | None,
) -> Paradigm:
    """UniCL on images with their reports, their labels, or both."""
    from radscale_lib.encoders.text import load_tokenizer
    from radscale_lib.pretrain.texts import Pairing, present_labels
    from radscale_lib.pretrain.unicl import Mi2Model, UniclLearner
    from radscale_lib.pretrain.unicl_data import UniclBatches

    recipe = section.recipe
    pairing = Pairing(
        labels,
        section.supervision,
        recipe.label_share,
        rows.study,
        present_labels(rows.label_values, labels),
    )
    if base:
        tokenizer = load_tokenizer(encoder, base.tokenizer)
    else:
        tokenizer = _new_tokenizer(encoder, rows, pairing)
    model = Mi2Model(encoder, tokenizer)
    if base:
        _load(model, base)
    batches = UniclBatches(rows, source, pairing, tokenizer, encoder.image, recipe, share)
    return Paradigm(UniclLearner(model, recipe), batches, tokenizer.json)


def _new_tokenizer(encoder: Mi2, rows: Rows, pairing: "Pairing") -> "TextTokenizer":
    """CLIP's own, or one learnt from the reports and label texts of the run."""
    from radscale_lib.encoders.text import LearntTokenizer, load_tokenizer

    if encoder.text.vocabulary is None:
        return load_tokenizer(encoder, None)
    texts = []
    for index in range(len(rows)):
        row = rows[index]
        texts += [row["findings"], row["impression"], pairing.prompt(index, row["view"])]
    return LearntTokenizer.learn(
        filter(None, texts), encoder.text.vocabulary, encoder.text.context
    )


def _load(model: nn.Module, base: EncoderFile) -> None:
    """Continue from a base.

    Raises:
        PretrainError: if the base lacks weights or has others, as a DINOv2 tower without its head,
            which collapses when it is trained on.
    """
    if not base.tensors:
        raise PretrainError("the base is the empty encoder of a failed run: see its encoder.json")
    own = model.state_dict()
    wrong = sorted(
        name
        for name in own.keys() | base.tensors.keys()
        if name not in own or name not in base.tensors or own[name].shape != base.tensors[name].shape
    )
    if wrong:
        raise PretrainError(
            f"{len(wrong)} weights of the base are missing or of another shape than the study's "
            f"encoder section says, such as {', '.join(wrong[:3])}: give that section the base's "
            "architecture, or another base"
        )
    with torch.no_grad():
        model.load_state_dict(dict(base.tensors))
