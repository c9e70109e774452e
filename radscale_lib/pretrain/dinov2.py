"""Starting a RAD-DINO run: multi-crops of images alone."""

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.pretrain.data import ImageSource, Share
from radscale_lib.pretrain.dinov2_data import Dinov2Batches
from radscale_lib.pretrain.dinov2_learner import Dinov2Learner, RadDinoModel
from radscale_lib.pretrain.start import Start, continue_from
from radscale_lib.study.encoders import RadDino
from radscale_lib.study.pretrain import Dinov2, Pretraining


def start(
    encoder: RadDino,
    section: Pretraining,
    source: ImageSource,
    share: Share,
    base: EncoderFile | None,
) -> Start:
    """DINOv2 on images alone.

    Args:
        encoder: architecture.
        section: the arm or base weights to train.
        source: the images' pixels.
        share: this process's share of each batch.
        base: what to continue, head included; None draws weights.

    Raises:
        PretrainError: if the base does not fit the architecture.
    """
    recipe = section.recipe
    assert isinstance(recipe, Dinov2)
    model = RadDinoModel(encoder)
    if base:
        continue_from(base, model)
    batches = Dinov2Batches(source, encoder.image, recipe, share)
    return Start(Dinov2Learner(model, recipe), batches)
