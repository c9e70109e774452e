"""A test archive must not hold what is learnt from."""

from pathlib import Path

import polars as pl
import pytest

from radscale_lib.archive.leakage import LeakageError, Learnt, check_leakage


def catalog(path: Path, rows: list[tuple[int, int, str]]) -> Path:
    """Rows of patient, image and split."""
    pl.DataFrame(
        {
            "patient_id": [f"{patient:032x}" for patient, _, _ in rows],
            "image_digest": [f"{image:032x}" for _, image, _ in rows],
            "split": [split for *_, split in rows],
        }
    ).write_parquet(path)
    return path


def checked(folder: Path, same_key: bool = True, same_images: bool = True) -> pl.DataFrame:
    test = catalog(folder / "test.parquet", [(1, 11, "test"), (2, 12, "test"), (3, 13, "test")])
    learnt = Learnt("institution", folder / "learnt.parquet", same_key, same_images)
    check_leakage("abroad", test, [learnt], folder / "leakage.parquet")
    return pl.read_parquet(folder / "leakage.parquet")


@pytest.mark.parametrize("split", ["pool", "train", "validation"])
def test_a_patient_or_an_image_that_is_learnt_from_is_refused(tmp_path: Path, split: str) -> None:
    catalog(tmp_path / "learnt.parquet", [(1, 1, split), (1, 2, split), (9, 12, split)])
    with pytest.raises(LeakageError) as raised:
        checked(tmp_path)
    message = str(raised.value)
    assert message.startswith(
        "test_archives.abroad: it holds 1 patient and 1 image of 'institution'"
    )
    assert not any(digits in message for digits in ("0000", "00c"))
    assert not (tmp_path / "leakage.parquet").exists()


def test_what_the_institution_is_only_tested_on_may_be_in_it(tmp_path: Path) -> None:
    catalog(tmp_path / "learnt.parquet", [(1, 11, "test"), (9, 99, "pool")])
    assert checked(tmp_path).rows() == [("institution", 0, 0)]


def test_what_cannot_be_compared_is_missing(tmp_path: Path) -> None:
    catalog(tmp_path / "learnt.parquet", [(1, 1, "pool"), (9, 99, "pool")])
    assert checked(tmp_path, same_key=False).rows() == [("institution", None, 0)]
    assert checked(tmp_path, same_key=False, same_images=False).rows() == [
        ("institution", None, None)
    ]
