"""Protect small counts of files, rows or images, also from being found as differences."""

from collections.abc import Sequence

import polars as pl

OTHERS = "other reasons"
"""Reason under which files are counted together if each of their reasons has few."""
WITHHELD = "withheld"
"""Shown instead of a count that would reveal a small one through the total."""
_ATOM = ["stage", "outcome", "reason"]


def told(count: int, smallest: int, of: int | None = None) -> str:
    """A count as text: "fewer than …" if it, or its complement, is small.

    Args:
        count: what is counted.
        smallest: smallest number that is shown; 1 shows all.
        of: the total, if it is shown elsewhere.
    """
    if 0 < count < smallest:
        return f"fewer than {smallest}"
    if of is not None and 0 < of - count < smallest:
        return f"all but fewer than {smallest}"
    return f"{count:,}"


def apart(counts: Sequence[int], smallest: int) -> list[str]:
    """Counts as text whose sum is shown elsewhere.

    If small counts are withheld, so are the next smallest ones until `smallest` or more are
    withheld in total; otherwise the sum would reveal them.
    """
    few = [0 < count < smallest for count in counts]
    hidden = sum(count for count, is_few in zip(counts, few, strict=True) if is_few)
    texts = [told(count, smallest) for count in counts]
    large = sorted((count, place) for place, count in enumerate(counts) if count >= smallest)
    for count, place in large if 0 < hidden < smallest else ():
        texts[place] = WITHHELD
        hidden += count
        if hidden >= smallest:
            break
    return texts


def merged(ledger: pl.DataFrame, smallest: int) -> pl.DataFrame:
    """A ledger in which each stage, outcome and reason of refused files has many files.

    Reasons with fewer files than `smallest` become `OTHERS`, together with the next smallest of the
    same stage and outcome until they are enough; stages and outcomes with fewer join the smallest
    other one, with the same outcome if there is one. All counts of the report are sums of these,
    and so are their differences. If fewer files than `smallest` were refused in all, they are left
    out.
    """
    if smallest <= 1:
        return ledger
    refused = pl.col("outcome") != "accepted"
    counts = ledger.filter(refused).group_by(_ATOM).len("files").sort(_ATOM)
    if counts["files"].sum() < smallest:
        return ledger.filter(~refused)
    atoms = {tuple(row[:3]): int(row[3]) for row in counts.rows()}
    place = {atom: atom for atom in atoms}
    while few := _few(place, atoms, smallest):
        source, target = few
        place = {atom: target if now in source else now for atom, now in place.items()}
    moved = pl.DataFrame(
        [(*atom, *now) for atom, now in place.items()],
        schema={name: ledger.schema[name] for name in _ATOM}
        | {f"now_{name}": pl.String for name in _ATOM},
        orient="row",
    )
    return (
        ledger.join(moved, on=_ATOM, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            pl.when(refused).then(f"now_{name}").otherwise(pl.col(name).cast(pl.String)).alias(name)
            for name in _ATOM
        )
        .drop(f"now_{name}" for name in _ATOM)
    )


_Atom = tuple[str, str, str]


def _few(
    place: dict[_Atom, _Atom], atoms: dict[_Atom, int], smallest: int
) -> tuple[set[_Atom], _Atom] | None:
    """The groups to join next, and the one they join; None if each has enough files."""
    sums: dict[_Atom, int] = {}
    for atom, now in place.items():
        sums[now] = sums.get(now, 0) + atoms[atom]
    ordered = sorted(sums, key=lambda now: (sums[now], tuple(map(str, now))))
    first = ordered[0]
    if sums[first] >= smallest:
        return None
    stage, outcome, _ = first
    for is_near in (
        lambda now: now[:2] == (stage, outcome),
        lambda now: now[1] == outcome,
        lambda now: True,
    ):
        near = [now for now in ordered[1:] if is_near(now)]
        if near:
            return {first, near[0]}, (near[0][0], near[0][1], OTHERS)
    return None
