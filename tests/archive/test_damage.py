"""Mutated files: each costs itself, quickly, and is explained.

`benchmarks/fuzz_ingest.py` tries many more.
"""

import random
import time

import imagecodecs
import numpy as np
import pytest
from pydicom import uid

from benchmarks.fuzz_ingest import mutate
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.outcomes import OUTCOMES
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
