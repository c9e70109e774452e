"""The card of subsets in the report."""

import polars as pl

from radscale_lib.report.draw import draw_figures
from radscale_lib.report.subsets import subset_rows
from radscale_lib.subsets.card import SCHEMA


def test_the_table_names_counts_and_the_largest_difference(example):
    card = example.table("subsets/card")
    rows = subset_rows(card)
    assert [(row["seed"], row["size"]) for row in rows] == [
        (str(seed), f"{size:,}") for seed in (0, 1) for size in example.study.subsets.sizes
    ]
    of = card.filter((pl.col("seed") == 0) & (pl.col("size") == 50))
    most = of.sort(pl.col("difference").abs()).row(-1, named=True)
    assert most["name"] in rows[0]["largest"]
    assert f"{100 * most['difference']:+.1f} (".replace("-", "−") in rows[0]["largest"]
    assert not any("-" in row["largest"].split(": ")[1] for row in rows)
    assert rows[0]["images"] == "50"
    surely = of.filter((pl.col("lower") > 0) | (pl.col("upper") < 0)).height
    assert rows[0]["surely"] == f"{surely} of {of.height}"
    assert rows[0]["size"] in example.html
    assert rows[0]["largest"] in example.html


def test_the_figure_and_its_table_are_written(example):
    assert (example.folder / "figures" / "subsets.svg").exists()
    table = pl.read_csv(example.folder / "tables" / "subsets.csv")
    assert table.height == example.table("subsets/card").height
    assert table.columns == list(SCHEMA)


def test_a_study_without_subsets_draws_nothing(example, tmp_path):
    tables = example.all_tables(subsets=pl.DataFrame(schema=SCHEMA))
    draw_figures(example.study, tables, tmp_path, ["subsets"])
    assert subset_rows(pl.DataFrame(schema=SCHEMA)) == []
    assert not (tmp_path / "tables").exists()
