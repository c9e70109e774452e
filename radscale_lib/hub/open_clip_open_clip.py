"""An open_clip encoder for open_clip: both towers, with the validation transform."""

from pathlib import Path

from radscale_lib.encoders.open_clip_tower import FILES
from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.files import write_json
from radscale_lib.hub.files import ExportError, write_weights
from radscale_lib.study.encoders.open_clip import CONFIG, RESIZE, OpenClip

USAGE = """\
import open_clip
model, _, preprocess = open_clip.create_model_and_transforms("local-dir:FOLDER")
tokenizer = open_clip.get_tokenizer("local-dir:FOLDER")
embedding = model.eval().encode_image(preprocess(image).unsqueeze(0))  # a PIL image
"""


def export(content: EncoderFile, folder: Path) -> str:
    """Write the model, and return how to load it.

    Raises:
        ExportError: for a file without its text tower, which open_clip would initialise at random,
            or an input that its validation transform cannot produce.
    """
    encoder = content.encoder
    assert isinstance(encoder, OpenClip)
    known = encoder.known_input
    assert encoder.config is not None and known is not None
    text = content.part("text")
    if not text:
        raise ExportError(
            "the encoder file has no text tower, and open_clip would draw one at random: import it "
            "with 'tokenizer', or export it --to safetensors"
        )
    mode = next(name for name, resize in RESIZE.items() if resize == known.resize)
    if known.crop != "rounded" or known.resized != known.size:
        raise ExportError("the study's 'input' is one that open_clip's transform cannot make")
    preprocessing = {
        "size": known.size,
        "mode": "RGB",
        "mean": known.mean,
        "std": known.std,
        "interpolation": known.resampling,
        "resize_mode": mode,
        "fill_color": known.fill,
    }
    model = dict(encoder.config["model_cfg"])
    if encoder.resolution:
        model["vision_cfg"] = {**model["vision_cfg"], "image_size": encoder.resolution}
    write_json(folder / CONFIG, {"model_cfg": model, "preprocess_cfg": preprocessing})
    images = {f"visual.{name}": each for name, each in content.part("image.model").items()}
    write_weights(folder / FILES[0], images | text)
    return USAGE
