"""Every transfer syntax that is decoded: how tests write it, and an independent decoder."""

from pathlib import Path

import gdcm
import imagecodecs
import numpy as np
import pydicom
from pydicom import uid
from pydicom.pixels.utils import pixel_array

from radscale_lib.archive.header import read_header
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.pixels import stored_patterns

NATIVE = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}


LOSSLESS = {
    "rle": (uid.RLELossless, None),
    "jpeg lossless": (uid.JPEGLossless, lambda x, b: imagecodecs.jpeg_encode(
        x, lossless=True, predictor=4, bitspersample=b)),
    "jpeg lossless sv1": (uid.JPEGLosslessSV1, lambda x, b: imagecodecs.jpeg_encode(
        x, lossless=True, predictor=1, bitspersample=b)),
    "jpeg-ls": (uid.JPEGLSLossless, lambda x, b: imagecodecs.jpegls_encode(x)),
    "jpeg 2000": (uid.JPEG2000Lossless, lambda x, b: imagecodecs.jpeg2k_encode(
        x, codecformat="j2k", reversible=True, level=0, bitspersample=b)),
    "jpeg 2000, reversible": (uid.JPEG2000, lambda x, b: imagecodecs.jpeg2k_encode(
        x, codecformat="j2k", reversible=True, level=0, bitspersample=b)),
    "htj2k": (uid.HTJ2KLossless, lambda x, b: imagecodecs.htj2k_encode(x, reversible=True)),
    "htj2k rpcl": (uid.HTJ2KLosslessRPCL, lambda x, b: imagecodecs.htj2k_encode(
        x, reversible=True)),
}  # fmt: skip


LOSSY = {
    "jpeg baseline": (uid.JPEGBaseline8Bit, 8, lambda x: imagecodecs.jpeg_encode(x, 90)),
    "jpeg extended": (uid.JPEGExtended12Bit, 12, lambda x: imagecodecs.jpeg_encode(
        x, 90, bitspersample=12)),
    "jpeg-ls near": (uid.JPEGLSNearLossless, 12, lambda x: imagecodecs.jpegls_encode(
        x, 3)),
    "jpeg 2000": (uid.JPEG2000, 12, lambda x: imagecodecs.jpeg2k_encode(
        x, 40, codecformat="j2k", reversible=False, bitspersample=12)),
    "htj2k": (uid.HTJ2K, 12, lambda x: imagecodecs.htj2k_encode(
        x, 0.01, reversible=False)),
}  # fmt: skip


def decode(path: Path) -> np.ndarray:
    """Stored values, as the library gives them."""
    instance = instance_of(read_header(path), "PA")
    patterns, grey = stored_patterns(instance)
    return grey.stored_values()[patterns]


def values_of(make_image, bits: int, signed: bool) -> np.ndarray:
    """An odd-sized image that uses the whole range."""
    image = make_image(37, 51, 2**bits - 1)
    image[0, :2] = 0, 2**bits - 1
    if signed:
        image -= 2 ** (bits - 1)
    kind = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    return image.astype(kind)


def encode(path, image, name, bits, make_dicom, **more):
    """Write an image; encoders get the two's complement of BitsStored bits, as PS3.5 8.2 asks."""
    syntax, encoder = LOSSLESS[name]
    tags = {"BitsStored": bits, "PixelRepresentation": int(image.dtype.kind == "i"), **more}
    if encoder is None:
        make_dicom(path, image, **tags)
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False)
        dataset.save_as(path)
        return path
    patterns = image.view(f"u{image.dtype.itemsize}") & (2**bits - 1)
    return make_dicom(path, image, syntax=syntax, frame=bytes(encoder(patterns, bits)), **tags)


def by_another(path: Path) -> np.ndarray:
    """Stored values by GDCM, or by OpenJPEG what GDCM does not know: HTJ2K."""
    syntax = pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID
    if syntax in (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K):
        return pixel_array(str(path), raw=True, decoding_plugin="pylibjpeg")
    return by_gdcm(path)[0]


def by_gdcm(path: Path) -> tuple[np.ndarray, str]:
    """Pixels [H, W] or [H, W, 3], palettes applied, and their photometric interpretation."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    image = reader.GetImage()
    if image.GetPhotometricInterpretation().GetString().startswith("PALETTE"):
        palette = gdcm.ImageApplyLookupTable()
        palette.SetInput(image)
        assert palette.Apply()
        image = palette.GetOutput()
    kind = image.GetPixelFormat()
    sign = "i" if kind.GetPixelRepresentation() else "u"
    buffer = image.GetBuffer().encode("utf-8", errors="surrogateescape")
    shape = image.GetDimension(1), image.GetDimension(0), kind.GetSamplesPerPixel()
    pixels = np.frombuffer(buffer, f"{sign}{kind.GetBitsAllocated() // 8}").reshape(shape)
    space = image.GetPhotometricInterpretation().GetString().strip()
    return pixels if shape[2] > 1 else pixels[..., 0], space
