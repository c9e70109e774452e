"""Whether an archive's patients are plausible: their shares of the images and of the splits."""

from collections.abc import Callable, Iterator

import polars as pl

from radscale_lib.study.archive import Splits

_FEW_IMAGES, _MANY_IMAGES = 10, 100
"""Up to the first, one patient may hold all images; up to the second, half of them."""


def implausible_patient(patients: pl.Series, most: float) -> str | None:
    """The problem if one patient has an implausible share of the images; null otherwise.

    Args:
        patients: the patient of every image.
        most: share of the images that is plausible.
    """
    images = len(patients)
    if images <= _FEW_IMAGES or most >= 1:
        return None
    counts = patients.value_counts(name="images")["images"]
    held = int(counts.max())  # type: ignore[arg-type]
    if held <= max(most * images, min(_MANY_IMAGES, images / 2)):
        return None
    return (
        f"one patient holds {held:,} of {images:,} images ({held / images:.1%}; the archive has "
        f"{len(counts):,} patients), more than most_of_one_patient ({most:.1%}): a placeholder in "
        "Patient ID, such as ANONYMOUS, makes one patient of many, and all of them fall in one "
        "split. Give each patient an id of their own, or raise most_of_one_patient"
    )


def empty_splits(
    patients: pl.Series, splits: Splits, split_of: Callable[[str, Splits], str]
) -> Iterator[str]:
    """Names of splits, the pool included, without any patient.

    Args:
        patients: the patient of every image.
        splits: shares of the patients.
        split_of: the split of a patient.
    """
    missing = {"train", "validation", "test", "pool"}
    for patient in patients.unique():
        missing.discard(split_of(patient, splits))
        if not missing:
            return
    yield from sorted(missing)
