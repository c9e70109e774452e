"""The encoder file itself: both towers, and what continued training needs."""

from pathlib import Path

from radscale_lib.encoders.storage import EncoderFile, save_encoder

USAGE = """\
import radscale_lib

tower = radscale_lib.load_encoder("FOLDER/encoder.safetensors")
embeddings = radscale_lib.embed_images([image], tower)  # grey uint8 arrays; [1, channels]
"""


def export(content: EncoderFile, folder: Path) -> str:
    """Write the file again, with the same bytes, and return how to load it."""
    save_encoder(folder / "encoder.safetensors", content)
    return USAGE
