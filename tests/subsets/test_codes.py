"""Texts as numbers: the same groups, named by what they hold and not by where it stands."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.subsets.codes import coded, combined
from radscale_lib.subsets.errors import SubsetError

texts = st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=30)


@given(values=texts)
def test_codes_name_their_values(values):
    column = pl.Series("view", values, dtype=pl.String)
    codes, names = coded(column)
    assert [names[int(code)] for code in codes] == values
    assert sorted(set(codes.tolist())) == list(range(len(set(values))))


@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(8, 11)), max_size=30))
def test_combinations_come_by_frequency_and_then_by_text(rows):
    table = pl.DataFrame(rows, {"view": pl.String, "year": pl.Int16}, orient="row")
    counts = Counter(rows)
    # Null first, numbers as texts.
    names = sorted(counts, key=lambda row: (-counts[row], row[0], row[1] is not None, str(row[1])))
    assert combined(table).tolist() == [names.index(row) for row in rows]
    assert combined(table.cast({"view": pl.Categorical})).tolist() == combined(table).tolist()


def test_more_combinations_than_can_be_told_apart_are_refused():
    column = pl.Series([str(number) for number in range(2**10)])
    table = pl.DataFrame({f"finding:{number}": column for number in range(7)})
    with pytest.raises(SubsetError, match="too many combinations of values: name fewer columns"):
        combined(table)
