"""`radscale embed`: every image in order, equal to the tower's own output; bad ones are
reported."""

from pathlib import Path

import numpy as np
import PIL.Image
import polars as pl
import pytest
import torch

from radscale_lib.archive.imagefile import read_dicom, read_picture
from radscale_lib.archive.outcomes import QuarantinedError
from radscale_lib.cli.embed import main
from radscale_lib.encoders.prepare import to_input
from radscale_lib.encoders.storage import EncoderFile, load_tower, save_encoder
from radscale_lib.encoders.towers import build
from radscale_lib.study.archive import Image
from radscale_lib.study.encoders.rad_dino import RadDino
from tests.archive.conftest import smooth, write_dicom

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ViT's file."""
    section = RadDino.model_validate({
        "kind": "rad-dino",
        "image": {"image_size": 32, "patch": 8, "width": 16, "depth": 4, "heads": 2,
                  "layer_scale": 0.5},
    })  # fmt: skip
    torch.manual_seed(0)
    tensors = {f"image.{name}": value for name, value in build(section).state_dict().items()}
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    save_encoder(path, EncoderFile(section, tensors))
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Films in three formats, in folders, and other files."""
    folder = tmp_path / "images"
    write_dicom(folder / "b" / "1", smooth(70, 60, 4000).astype(np.uint16), BitsStored=12)
    write_dicom(
        folder / "a.dcm", smooth(40, 50, 255, 1).astype(np.uint8), 1, PatientID="SECRET",
        PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    grey = smooth(90, 81, 255, 2).astype(np.uint8)
    PIL.Image.fromarray(grey).save(folder / "c.png")
    PIL.Image.fromarray(grey).convert("RGB").save(folder / "b" / "d.JPG", format="JPEG")
    (folder / "notes.txt").write_text("no film")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def ended(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_rows_are_the_images_by_path_with_the_towers_features(
    encoder: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "embeddings.parquet"
    folder = encoder.parent  # of a run
    assert ended(folder, images, "--out", out, "--levels", "--batch", 3, "--threads", 2) == 0
    table = pl.read_parquet(out)
    assert table["path"].to_list() == ["a.dcm", "b/1", "b/d.JPG", "c.png"]
    assert table.schema["embedding"] == pl.List(pl.Float32)
    read = [
        read_dicom(images / "a.dcm"), read_dicom(images / "b/1"),
        np.asarray(PIL.Image.open(images / "b/d.JPG").convert("L")),
        np.asarray(PIL.Image.open(images / "c.png")),
    ]  # fmt: skip
    tower = load_tower(encoder)
    for row, pixels in zip(table.iter_rows(named=True), read, strict=True):
        features = tower.levels(to_input([pixels], tower.encoder))
        np.testing.assert_allclose(row["embedding"], features.global_[0], atol=2e-6)
        for number, level in enumerate(features.levels, 1):
            np.testing.assert_allclose(row[f"level{number}"], level.mean((2, 3))[0], atol=2e-6)
    said = capsys.readouterr().err
    assert "4 images embedded, 2 other files ignored" in said
    assert "SECRET" not in said and b"SECRET" not in out.read_bytes()


def test_bad_files_are_named_counted_and_told_by_the_exit_status(
    encoder: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (images / "c.png").read_bytes()
    (images / "cut.png").write_bytes(data[: len(data) // 2])
    (images / "empty.dcm").write_bytes(b"")
    out = tmp_path / "embeddings.parquet"
    assert ended(encoder, images, "--out", out) == 3
    assert len(pl.read_parquet(out)) == 4
    said = capsys.readouterr().err
    assert "bad file cut.png: decode_failed (" in said and "bad file empty.dcm: empty" in said
    assert "4 images embedded, 2 bad files left out" in said


def test_nothing_is_written_where_nothing_can_be_embedded(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, folder = tmp_path / "embeddings.parquet", tmp_path / "images"
    folder.mkdir()
    assert ended(encoder, folder, "--out", out) == 1
    assert "no DICOM, PNG or JPEG file in this folder" in capsys.readouterr().err
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert ended(encoder, folder, "--out", out) == 1
    assert "none of 1 image files can be read" in capsys.readouterr().err
    assert ended(encoder, folder, "--out", out, "--device", "moon") == 1
    assert "--device moon: torch has none here: use cpu" in capsys.readouterr().err
    assert ended(tmp_path / "none.safetensors", folder, "--out", out) == 1
    assert "none.safetensors" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_pictures_are_upright_and_16_bits_keep_their_contrast(tmp_path: Path) -> None:
    grey = smooth(24, 30, 255).astype(np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    PIL.Image.fromarray(grey).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png"), np.rot90(grey, -1))
    for bits in (12, 16):
        top = 2**bits - 1
        deep = smooth(24, 30, top).astype(np.uint16)
        PIL.Image.fromarray(deep).save(tmp_path / "deep.png")
        np.testing.assert_allclose(
            read_picture(tmp_path / "deep.png"), deep * (255 / top), atol=0.5 + 1e-6
        )
    PIL.Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "palette.png"), grey)


def test_a_dicom_file_is_read_as_ingest_reads_it(tmp_path: Path) -> None:
    film = smooth(80, 60, 1000).astype(np.uint16) + 200
    path = write_dicom(
        tmp_path / "a.dcm", film, PatientID=None, SOPInstanceUID=None, Modality="RF",
        ViewPosition=None, BitsStored=12,
    )  # fmt: skip
    pixels = read_dicom(path, Image(shorter_side=60))
    assert pixels.dtype == np.uint8 and pixels.shape == (80, 60)
    assert (pixels.min(), pixels.max()) == (0, 255)
    np.testing.assert_allclose(pixels, (film - 200.0) * (255 / 1000), atol=0.6)
    deep = read_dicom(path, Image(shorter_side=60, bits=16))
    assert deep.dtype == np.uint16 and deep.max() == 65535
    write_dicom(tmp_path / "frames.dcm", film, NumberOfFrames=2)
    with pytest.raises(Exception, match="multi_frame"):
        read_dicom(tmp_path / "frames.dcm")
    with pytest.raises(QuarantinedError, match="empty"):
        (tmp_path / "empty").write_bytes(b"")
        read_dicom(tmp_path / "empty")
