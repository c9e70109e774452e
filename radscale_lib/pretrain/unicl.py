"""Build an MI2 run: image-text pairs, tokenizer, both towers."""

from typing import Literal

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.encoders.text import LearntTokenizer, TextTokenizer, load_tokenizer
from radscale_lib.pretrain.rows import Rows
from radscale_lib.pretrain.setup import Setup, Trainable, continue_from
from radscale_lib.pretrain.texts import Pairing, shared_words
from radscale_lib.pretrain.texts import label_samples as label_samples
from radscale_lib.pretrain.unicl_data import UniclBatches
from radscale_lib.pretrain.unicl_learner import Mi2Model, UniclLearner, first_logits
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.paradigms.unicl import Unicl


def build(setup: Setup) -> Trainable:
    """Build UniCL training on images with their reports, their labels, or both.

    Raises:
        PretrainError: if the base does not fit the architecture.
    """
    encoder, recipe, rows = setup.encoder, setup.section.recipe, setup.rows
    assert isinstance(encoder, Mi2) and isinstance(recipe, Unicl)
    supervision = setup.section.supervision
    pairing = Pairing(rows.labels, supervision, recipe, rows.targets, rows.other_targets)
    if setup.base:
        tokenizer = load_tokenizer(encoder, setup.base.tokenizer)
    else:
        tokenizer = _new_tokenizer(encoder, rows, pairing, setup.smallest_cell)
    model = Mi2Model(encoder, tokenizer, recipe.loss)
    if setup.base:
        continue_from(_with_logits(setup.base, recipe.loss), model)
    batches = UniclBatches(
        rows, setup.source, pairing, tokenizer, encoder.image, recipe, setup.share
    )
    return Trainable(UniclLearner(model, recipe), batches, tokenizer.json)


def build_model(
    encoder: EncoderSection, recipe: Unicl | None = None, tokenizer: str | None = None
) -> Mi2Model:
    """The model that a recipe trains; without a recipe, the model of released weights.

    Its vocabulary is that of an encoder file's tokenizer; without one, CLIP's.
    """
    assert isinstance(encoder, Mi2)
    words = load_tokenizer(encoder, tokenizer)
    return Mi2Model(encoder, words, recipe.loss if recipe else "unicl")


def _with_logits(base: EncoderFile, loss: Literal["unicl", "siglip"]) -> EncoderFile:
    """A base with this loss's temperature and bias; they start anew if the loss changed."""
    starts = first_logits(loss)
    if not base.tensors or ("logit_bias" in base.tensors) == ("logit_bias" in starts):
        return base
    others = {name: x for name, x in base.tensors.items() if not name.startswith("logit_")}
    return EncoderFile(base.encoder, others | starts, base.tokenizer)


def _new_tokenizer(encoder: Mi2, rows: Rows, pairing: Pairing, smallest_cell: int) -> TextTokenizer:
    """CLIP's own, or one learnt from the reports and label texts of the run."""
    config = encoder.text
    if config.vocabulary is None:
        return load_tokenizer(encoder, None)
    reports, prompts = [], []
    for index in range(len(rows)):
        row = rows[index]
        reports += [row["findings"] or "", row["impression"] or ""]
        prompts.append(pairing.prompt(index, row["view"]))
    shared = shared_words(reports, rows.patient.repeat(2), smallest_cell)
    return LearntTokenizer.learn(
        filter(None, [*shared, *prompts]), config.vocabulary, config.context
    )
