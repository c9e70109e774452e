"""Starting an MI2 run: image-text pairs, tokenizer, both towers."""

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.encoders.text import LearntTokenizer, TextTokenizer, load_tokenizer
from radscale_lib.pretrain.data import ImageSource, Share
from radscale_lib.pretrain.rows import Rows
from radscale_lib.pretrain.start import Start, continue_from
from radscale_lib.pretrain.texts import Pairing, present_labels, shared_words
from radscale_lib.pretrain.unicl_data import UniclBatches
from radscale_lib.pretrain.unicl_learner import Mi2Model, UniclLearner
from radscale_lib.study.encoders import Mi2
from radscale_lib.study.pretrain import Pretraining, Unicl


def start(
    encoder: Mi2,
    section: Pretraining,
    rows: Rows,
    source: ImageSource,
    share: Share,
    base: EncoderFile | None,
    smallest_cell: int = 1,
) -> Start:
    """UniCL on images with their reports, their labels, or both.

    Args:
        encoder: architecture.
        section: the arm or base weights to train.
        rows: images with their texts and labels.
        source: the images' pixels.
        share: this process's share of each batch.
        base: what to continue; None draws weights and learns a tokenizer.
        smallest_cell: patients whose reports have a word, at least, for the tokenizer to learn it.

    Raises:
        PretrainError: if the base does not fit the architecture.
    """
    recipe = section.recipe
    assert isinstance(recipe, Unicl)
    pairing = Pairing(
        rows.labels,
        section.supervision,
        recipe.label_share,
        rows.study,
        present_labels(rows.label_values, rows.labels),
    )
    if base:
        tokenizer = load_tokenizer(encoder, base.tokenizer)
    else:
        tokenizer = _new_tokenizer(encoder, rows, pairing, smallest_cell)
    model = Mi2Model(encoder, tokenizer)
    if base:
        continue_from(base, model)
    batches = UniclBatches(rows, source, pairing, tokenizer, encoder.image, recipe, share)
    return Start(UniclLearner(model, recipe), batches, tokenizer.json)


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
