"""Mutated files: each costs itself, quickly, and is explained."""

import random
import time

import imagecodecs
import numpy as np
import pytest
from pydicom import uid

from radscale_lib.archive.catalog import OUTCOMES
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.listing import refresh
from radscale_lib.study.archive import Archive, Image, Labels

ENCODERS = {
    uid.ImplicitVRLittleEndian: None,
    uid.ExplicitVRBigEndian: None,
    uid.DeflatedExplicitVRLittleEndian: None,
    uid.JPEG2000Lossless: lambda x: imagecodecs.jpeg2k_encode(x, codecformat="j2k", level=0),
    uid.HTJ2KLossless: lambda x: imagecodecs.htj2k_encode(x, reversible=True),
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEGLosslessSV1: lambda x: imagecodecs.jpeg_encode(x, lossless=True),
}
EXTREMES = (b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\xff", b"\xff\xff\xff\x7f")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change, insert, cut or overwrite bytes; half of the time in the header."""
    mutated = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        end = len(mutated) if rng.random() < 0.5 else min(len(mutated), 1000)
        at = rng.randrange(128, end)
        match rng.randrange(5):
            case 0 | 1:
                mutated[at] = rng.randrange(256)
            case 2:
                del mutated[at : at + rng.randrange(1, 9)]
            case 3:
                mutated[at:at] = rng.randbytes(4)
            case 4:
                mutated[at : at + 4] = rng.choice(EXTREMES)
    return bytes(mutated)


@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda syntax: syntax.keyword)
def test_mutated_files(make_dicom, make_image, tmp_path, syntax):
    image = make_image(66, 70, 4095).astype(np.uint16)
    encoder = ENCODERS[syntax]
    frame = bytes(encoder(image)) if encoder else None
    rng = random.Random(7)
    dicom = tmp_path / "dicom"
    for number in range(60):
        path = make_dicom(dicom / f"{number}.dcm", image, number, syntax=syntax, frame=frame)
        path.write_bytes(mutate(path.read_bytes(), rng))
    refresh(dicom, tmp_path, 1)
    archive = Archive(dicom=dicom, image=Image(shorter_side=32))
    outputs = Outputs(*(tmp_path / f"{name}.parquet" for name in ("index", "ledger", "shard")))
    start = time.process_time()
    counts = ingest(
        archive,
        Labels(),
        b"0123456789abcdef",
        "id",
        tmp_path / "part=0.tsv",
        Sources(dicom),
        outputs,
    )
    assert time.process_time() - start < 20
    assert set(counts) <= set(OUTCOMES)
    assert sum(counts.values()) == 60
    assert counts["quarantined"] > 0
