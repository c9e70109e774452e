"""Build a RAD-DINO run: multi-crops of images without texts or labels."""

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.pretrain.dinov2_data import Dinov2Batches
from radscale_lib.pretrain.dinov2_learner import Dinov2Learner, RadDinoModel
from radscale_lib.pretrain.setup import Setup, Trainable, continue_from
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.paradigms.dinov2 import Dinov2


def build(setup: Setup) -> Trainable:
    """Build DINOv2 training; a base brings its head, or new heads are warmed up.

    Raises:
        PretrainError: if the base does not fit the architecture.
    """
    encoder, recipe = setup.encoder, setup.section.recipe
    assert isinstance(encoder, RadDino) and isinstance(recipe, Dinov2)
    model = RadDinoModel(encoder, recipe.separate_ibot_head)
    if setup.base:
        continue_from(_with_heads(setup.base, model, recipe), model)
    batches = Dinov2Batches(setup.source, encoder.image, recipe, setup.share)
    return Trainable(Dinov2Learner(model, recipe), batches)


def _with_heads(base: EncoderFile, model: RadDinoModel, recipe: Dinov2) -> EncoderFile:
    """Match a base to the model's heads: missing ones are new if the recipe warms up heads.

    A patch head starts as a copy of the base's single head; a head that the model lacks is dropped.
    """
    if not base.tensors:
        return base
    tensors = dict(base.tensors)
    if not model.ibot_head:
        tensors = {name: x for name, x in tensors.items() if not name.startswith("ibot_head.")}
    elif not any(name.startswith("ibot_head.") for name in tensors):
        copies = {f"ibot_{name}": x for name, x in tensors.items() if name.startswith("head.")}
        tensors |= copies
    if recipe.head_warmup and not any(name.startswith("head.") for name in tensors):
        new = {n: x for n, x in model.state_dict().items() if not n.startswith("image.")}
        kept = {n: x for n, x in tensors.items() if n in new or n.startswith("image.")}
        tensors = new | kept
    return EncoderFile(base.encoder, tensors)


def build_model(encoder: EncoderSection, recipe: Dinov2 | None = None) -> RadDinoModel:
    """The model that a recipe trains; without a recipe, the model of released weights."""
    assert isinstance(encoder, RadDino)
    return RadDinoModel(encoder, recipe is not None and recipe.separate_ibot_head)
