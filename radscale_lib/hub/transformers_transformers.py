"""A transformers encoder for transformers: its own model, with its image processor."""

from pathlib import Path
from typing import Any

from radscale_lib.encoders.storage import EncoderFile, tower_of
from radscale_lib.encoders.transformers_tower import processor_of
from radscale_lib.files import write_json
from radscale_lib.hub.files import ExportError, image_processor
from radscale_lib.study.encoders.transformers import Transformers

EMBEDDINGS = {
    "pooler": "outputs.pooler_output",
    "class": "outputs.last_hidden_state[:, 0]",
    "mean": "outputs.last_hidden_state.mean(1)",
}
"""The global embedding in a model's outputs; a model without a pooler has no weights for one."""


def export(content: EncoderFile, folder: Path) -> str:
    """Write the model and its image processor, and return how to load them.

    Raises:
        ExportError: for a model with its own code in its folder, or an input that no image
            processor can produce.
    """
    encoder = content.encoder
    assert isinstance(encoder, Transformers)
    if code := encoder.code():
        raise ExportError(f"the model's code ({code}) is in its own folder: copy that instead")
    model: Any = tower_of(content).model
    model.save_pretrained(folder)
    if encoder.input:
        write_json(folder / "preprocessor_config.json", image_processor(encoder.input))
    else:
        processor_of(encoder).save_pretrained(folder)
    return f"""\
from transformers import AutoImageProcessor, AutoModel
model = AutoModel.from_pretrained("FOLDER").eval()
processor = AutoImageProcessor.from_pretrained("FOLDER")
outputs = model(**processor(image.convert("RGB"), return_tensors="pt"))  # a PIL image
embedding = {EMBEDDINGS[encoder.pooled or "pooler"]}  # [1, channels]
"""
