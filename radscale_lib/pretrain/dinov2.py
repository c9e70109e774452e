"""Starting a RAD-DINO run: multi-crops of images alone."""

from radscale_lib.pretrain.dinov2_data import Dinov2Batches
from radscale_lib.pretrain.dinov2_learner import Dinov2Learner, RadDinoModel
from radscale_lib.pretrain.setup import Setup, Trainable, continue_from
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.paradigms.dinov2 import Dinov2


def build(setup: Setup) -> Trainable:
    """DINOv2 on images alone; a base brings its head.

    Raises:
        PretrainError: if the base does not fit the architecture.
    """
    encoder, recipe = setup.encoder, setup.section.recipe
    assert isinstance(encoder, RadDino) and isinstance(recipe, Dinov2)
    model = RadDinoModel(encoder)
    if setup.base:
        continue_from(setup.base, model)
    batches = Dinov2Batches(setup.source, encoder.image, recipe, setup.share)
    return Trainable(Dinov2Learner(model, recipe), batches)


def build_model(encoder: EncoderSection) -> RadDinoModel:
    """The model that an encoder file with released weights belongs to."""
    assert isinstance(encoder, RadDino)
    return RadDinoModel(encoder)
