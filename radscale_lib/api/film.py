"""Read one image file as grey pixels."""

from pathlib import Path

from radscale_lib.archive import imagefile
from radscale_lib.shards.codec import Stored
from radscale_lib.study.archive import Image


def read_dicom(path: str | Path, image: Image | None = None) -> Stored:
    """Read a DICOM file as the pixels that ingest stores: windowed, resized, black is 0.

    Any modality, view and purpose is read, and so are files without identifiers; an image of
    several frames is refused.

    Args:
        path: the file.
        image: how pixels are prepared, as `study.settings.institution.image`; None: the defaults,
            8 bits with a shorter side of 518 pixels.

    Returns:
        Grey levels [H, W]: uint8, or uint16 where `image` says 16 bits.

    Raises:
        RefusedError: with a fixed code as `reason` (docs/hospital/ingest.md), free of identifiers.

    Example:
        >>> import radscale_lib
        >>> film = radscale_lib.read_dicom("film.dcm")
        >>> film.dtype, min(film.shape)
        (dtype('uint8'), 518)
    """
    return imagefile.read_dicom(Path(path), image)


def read_image(path: str | Path, image: Image | None = None) -> Stored:
    """Read a PNG or JPEG at its own size, and anything else as `read_dicom` does.

    Pictures are turned upright by their EXIF orientation; colours become their luminance; the white
    of 16 bits is the largest value of 10, 12, 14 or 16 bits, the fewest that hold all values.

    Args:
        path: the file.
        image: how DICOM pixels are prepared; None: the defaults.

    Returns:
        Grey levels [H, W]: uint8, or uint16 of DICOM where `image` says 16 bits.

    Raises:
        RefusedError: as `read_dicom`.

    Example:
        >>> import radscale_lib
        >>> from PIL import Image
        >>> Image.new("L", (40, 30), 128).save("grey.png")
        >>> radscale_lib.read_image("grey.png").shape
        (30, 40)
    """
    return imagefile.read_image(Path(path), image)
