import hashlib
import re

import numpy as np
import polars as pl
import pytest
from matplotlib.text import Text

from radscale_lib.cli.figures import main
from radscale_lib.exports import write_latex, write_markdown
from radscale_lib.report.bylabel import pages
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.figures import figures
from radscale_lib.report.figures.heads import draw_heads
from radscale_lib.report.listing import listed_figures
from radscale_lib.report.series import task_series
from radscale_lib.report.style import arm_styles, house_style, wide
from radscale_lib.study import parse_study


def test_every_format_is_written(example, tmp_path):
    formats = example.study.report.model_copy(update={"formats": ("pdf", "svg", "png")})
    study = example.study.model_copy(update={"report": formats})
    draw_figures(study, example.all_tables(), tmp_path, ["crossovers"])
    for suffix, start in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
        path = tmp_path / "figures" / f"crossovers.{suffix}"
        assert path.read_bytes().startswith(start)
    assert (tmp_path / "tables" / "crossovers.csv").exists()


def test_the_plotted_table_is_the_input(example):
    plotted = pl.read_csv(example.folder / "tables" / "scaling-findings.csv")
    scores = example.table("scores").filter(
        (pl.col("task") == "findings")
        & (pl.col("metric") == "auroc")
        & (pl.col("target") == "macro")
    )
    runs = plotted.filter(pl.col("kind") == "run").sort("arm", "size", "seed")
    given = scores.filter(pl.col("size") > 0).sort("arm", "size", "seed")
    assert runs["arm"].to_list() == given["arm"].to_list()
    np.testing.assert_allclose(runs["value"], given["value"])
    mean = plotted.filter(
        (pl.col("kind") == "mean") & (pl.col("arm") == "rad-dino") & (pl.col("size") == 200)
    ).row(0, named=True)
    pair = given.filter((pl.col("arm") == "rad-dino") & (pl.col("size") == 200))
    assert mean["value"] == pytest.approx(sum(pair["value"]) / 2)
    draws = np.mean([pair["resamples"][0], pair["resamples"][1]], axis=0)
    assert mean["lower"] == pytest.approx(np.quantile(draws, 0.05))
    base = plotted.filter(pl.col("kind") == "baseline")
    assert base["arm"].to_list() == ["mi2-open", "rad-dino-open"]
    fit = plotted.filter((pl.col("kind") == "fit") & (pl.col("arm") == "mi2-reports"))
    row = example.table("fits").filter(
        (pl.col("arm") == "mi2-reports") & (pl.col("task") == "findings") & pl.col("chosen")
    )
    np.testing.assert_allclose(fit["value"], row["curve"].explode().struct.field("value"))


def test_overview_table_joins_the_tasks(example):
    folder = example.folder / "tables"
    parts = [pl.read_csv(folder / f"scaling-{task}.csv") for task in example.study.scaling.metrics]
    assert pl.read_csv(folder / "scaling.csv").equals(pl.concat(parts))


def test_similarity_table_holds_every_cell(example):
    cells = pl.read_csv(example.folder / "tables" / "similarity-mi2-reports.csv")
    maps = pl.read_parquet(example.folder / "similarity" / "mi2-reports.parquet")
    row = maps.filter((pl.col("size") == 1200) & (pl.col("level") == 2)).row(0, named=True)
    found = cells.filter((pl.col("size") == 1200) & (pl.col("level") == 2)).sort("row", "column")
    assert (found["row"].max(), found["column"].max()) == (7, 7)
    np.testing.assert_allclose(found["similarity"], row["similarity"], rtol=1e-5)
    assert len(cells) == 2 * (16**2 + 8**2 + 4**2 + 2**2)


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*/*"))
    }


def test_figures_are_the_same_bytes_each_time(example, tmp_path):
    study = example.study
    for attempt in ("one", "two"):
        scores = example.table("scores").filter(pl.col("task") == "findings")
        draw_figures(study, example.all_tables(scores=scores), tmp_path / attempt, ["scaling"])
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    text = (tmp_path / "one" / "figures" / "scaling.svg").read_text()
    assert not re.search(r"dc:date|\d{4}-\d\d-\d\dT", text)


def test_arms_without_fit_or_baseline_or_resamples_are_drawn(example, tmp_path):
    scores = (
        example.table("scores")
        .filter((pl.col("task") == "findings") & (pl.col("arm") != "mi2-open"))
        .with_columns(resamples=pl.lit(None, pl.List(pl.Float64)))
    )
    fits = example.table("fits").filter(pl.col("arm") != "rad-dino")
    tables = example.all_tables(scores=scores, fits=fits)
    draw_figures(example.study, tables, tmp_path, ["scaling", "label-curves"])
    table = task_series(example.study, scores, fits, "findings")
    assert set(table.filter(pl.col("kind") == "fit")["arm"]) == {
        "mi2-reports",
        "mi2-reports-labels",
    }
    assert (tmp_path / "figures" / "scaling-findings.svg").exists()
    curves = pl.read_csv(tmp_path / "tables" / "label-curves-findings.csv")
    assert set(curves["arm"]) == {"rad-dino"}  # the others' open weights have no score
    assert curves["lower"].null_count() == len(curves.filter(kind="mean"))


def test_nothing_is_drawn_from_nothing(example, tmp_path):
    maps = pl.read_parquet(example.folder / "similarity" / "rad-dino.parquet")
    empty = {
        name: example.table(name).clear() for name in ("scores", "fits", "crossovers", "verdicts")
    }
    more = {"reliability": example.table("reliability").clear(), "tips": None}
    films = [example.table("examples/segmentation").clear()]
    tables = example.all_tables(
        **empty, **more, films=films, subsets=None, similarity=[maps.clear(), maps.head(1)]
    )
    draw_figures(example.study, tables, tmp_path)
    assert [path.name for path in tmp_path.glob("*/*")] == ["figures.json"]
    assert listed_figures(tmp_path / "figures") == []


def test_the_study_sets_colours_and_formats(example, tmp_path):
    values = example.study.model_dump(mode="json")
    values["report"] |= {"colours": {"rad-dino": "#123456"}, "formats": ["svg"]}
    study = parse_study(values)
    assert arm_styles(study)["rad-dino"].colour == "#123456"
    assert arm_styles(study)["mi2-reports"] == arm_styles(example.study)["mi2-reports"]
    scores = example.table("scores").filter(pl.col("task") == "findings")
    draw_figures(study, example.all_tables(scores=scores), tmp_path, ["scaling"])
    assert {path.suffix for path in (tmp_path / "figures").glob("scaling*")} == {".svg"}
    assert "#123456" in (tmp_path / "figures" / "scaling-findings.svg").read_text()


@pytest.mark.parametrize("inches", [3.35, pytest.param(7.1, marks=pytest.mark.long)])
def test_nothing_leaves_a_figure_and_letters_can_be_read(example, inches):
    """At 85 and 180 mm: every text lies inside, at 6 points or more."""
    with wide(inches), house_style():
        for kind in figures().values():
            for drawing in kind.draw(example.study, example.all_tables()):
                figure = drawing.figure
                figure.draw_without_rendering()
                assert figure.get_figwidth() == inches
                drawn = figure.get_tightbbox()
                assert drawn.x0 > -0.08 and drawn.x1 < inches + 0.08, (drawing.name, drawn)
                small = [t for t in figure.findobj(Text) if t.get_text() and t.get_fontsize() < 6]
                assert not small, (drawing.name, small)


def test_an_unknown_figure_lists_the_known_ones(example, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"no figure pie: use archives, calibration, checkpoints, classes, crossovers, films",
    ):
        draw_figures(example.study, example.all_tables(), tmp_path, ["pie"])


def test_crossovers_and_gains_by_label_are_those_of_their_tables(example):
    folder = example.folder / "tables"
    crossed = pl.read_csv(folder / "crossovers.csv")
    assert len(crossed) == 12
    assert crossed["text"].to_list() == (
        example.table("crossovers")
        .select("task", "arm", "text")
        .sort("task", maintain_order=True)
        .sort(
            pl.col("task").replace_strict(
                {t: i for i, t in enumerate(example.study.scaling.metrics)}
            )
        )["text"]
        .to_list()
    )
    gains = pl.read_csv(folder / "classes-tubes.csv")
    verdicts = example.table("verdicts").filter(
        (pl.col("kind") == "overtakes")
        & (pl.col("target") != "macro")
        & (pl.col("task") == "tubes")
    )
    assert len(gains) == len(verdicts)
    by_name = {(row["target"], row["arm"]): row["value"] for row in verdicts.iter_rows(named=True)}
    for row in gains.iter_rows(named=True):
        assert row["difference"] == pytest.approx(by_name[row["target"], row["arm"]])
        assert row["positives"] >= 10
    first = gains.row(0, named=True)
    texts = re.sub("<[^>]*>", "", (example.folder / "figures" / "classes-tubes.svg").read_text())
    assert f"{first['positives']:,} / {first['cases']:,}, " in texts
    assert "mi2-open 0." in texts and "rad-dino-open 0." in texts
    assert "AUROC" in texts and "macro" not in texts


def test_curves_by_label_are_differences_from_the_open_weights(example):
    """Of scores over seeds, paired over the test patients; of the pooled curve."""
    table = pl.read_csv(example.folder / "tables" / "label-curves-tubes.csv")
    scores = example.table("scores").filter(task="tubes", target="ngt", metric="auroc")
    runs = scores.filter(arm="rad-dino", size=200)
    opened = scores.filter(arm="rad-dino-open")
    (row,) = table.filter(arm="rad-dino", target="ngt", kind="mean", size=200).rows(named=True)
    assert row["open"] == pytest.approx(opened["value"][0])
    assert row["difference"] == pytest.approx(runs["value"].mean() - opened["value"][0])
    draws = np.mean(runs["resamples"].to_list(), axis=0) - np.array(opened["resamples"][0])
    assert (row["lower"], row["upper"]) == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))
    assert (row["positives"], row["cases"]) == (opened["positives"][0], opened["cases"][0])
    fits = example.table("label_fits").filter(arm="rad-dino", task="tubes", target="ngt")
    curve = table.filter(arm="rad-dino", target="ngt", kind="fit")
    drawn = [point["value"] - row["open"] for point in fits["curve"][0]]
    assert curve["difference"].to_list() == pytest.approx(drawn)
    texts = re.sub("<[^>]*>", "", (example.folder / "figures/label-curves-tubes.svg").read_text())
    assert f"ngt, {row['positives'] / row['cases']:.1%}" in texts
    other = table.filter(arm="mi2-reports", target="ngt")["open"][0]
    assert f"open {other:.3f}, {row['open']:.3f}" in texts


def test_crossovers_by_label_are_those_of_their_fits(example):
    fits = example.table("label_fits").filter(task="tubes")
    shown = pl.read_csv(example.folder / "tables" / "label-crossovers-tubes.csv")
    assert len(shown) == len(fits) == 12
    both = shown.join(fits, on=["arm", "target"], suffix="_fitted")
    assert (both["text"] == both["text_fitted"]).all()
    assert set(shown["state"]) & {"within", "below"}


def test_many_labels_are_on_pages_of_about_equal_length():
    labels = [f"label {i}" for i in range(43)]
    split = dict(pages("x", labels, 42))
    assert {name: len(some) for name, some in split.items()} == {"x": 22, "x-2": 21}
    assert [label for some in split.values() for label in some] == labels
    assert dict(pages("x", [], 42)) == {}


def test_labels_of_few_images_are_not_shown(example, tmp_path):
    few = example.table("scores").with_columns(
        positives=pl.when(target="cvc").then(3).otherwise("positives").cast(pl.Int64)
    )
    values = example.study.model_dump(mode="json")
    names = ("dicom", "reports", "labels", "tubes")
    values["institution"] = {name: f"hospital/{name}" for name in names}
    kinds = ("classes", "label-curves", "label-crossovers")
    draw_figures(parse_study(values), example.all_tables(scores=few), tmp_path, kinds)
    for kind in kinds:
        gains = pl.read_csv(tmp_path / "tables" / f"{kind}-tubes.csv")
        assert set(gains["target"]) == {"ett", "ngt", "chest_tube"}


def test_figures_of_a_finished_study_are_redrawn_from_its_tables(example, tmp_path):
    (tmp_path / "mine.mplstyle").write_text("axes.facecolor: 123456\n")
    command = ["--results", example.folder, "--study", example.study_file, "--out", tmp_path]
    command += ["--only", "scaling", "forest", "--width", 100, "--arms", "rad-dino", "mi2-reports"]
    main([*map(str, command), "--style", str(tmp_path / "mine.mplstyle")])
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    assert drawn == {
        "forest",
        "scaling",
        *(f"scaling-{task}" for task in example.study.scaling.metrics),
    }
    text = (tmp_path / "figures" / "forest.svg").read_text()
    assert f'width="{100 / 25.4 * 72:.4f}'[:12] in text
    assert "#123456" in text
    assert "mi2-reports-labels" not in (tmp_path / "tables" / "scaling.csv").read_text()
    assert "#123456" not in (example.folder / "figures" / "forest.svg").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "pie"], "no figure pie"),
        (["--arms", "x"], "no arm x: use mi2-reports"),
        (["--width", "2"], "width 2 mm: use 20 to 1000 mm"),
        (["--style", "missing.mplstyle"], "missing.mplstyle"),
    ],
)
def test_what_cannot_be_redrawn_is_said(example, tmp_path, options, said):
    command = ["--results", example.folder, "--study", example.study_file, "--out", tmp_path]
    with pytest.raises(SystemExit, match=said):
        main([*map(str, command), *options])


def test_a_folder_without_a_study_is_not_redrawn(tmp_path):
    with pytest.raises(SystemExit, match="not the folder of a finished study"):
        main(["--results", str(tmp_path), "--out", str(tmp_path / "out")])


def test_tasks_of_several_heads_show_them(example):
    values = example.study.model_dump(mode="json")
    values["evaluation"]["tasks"]["findings"]["heads"] = {
        "linear": {"kind": "linear", "label_shares": [0.1]},
        "knn": {"kind": "knn"},
    }
    values["scaling"]["heads"] = {"findings": "linear"}
    study = parse_study(values)
    scores = example.table("scores")
    of_findings = scores.filter(task="findings")
    others = [
        of_findings.with_columns(pl.lit(head).alias("head"), pl.col("value") - less)
        for head, less in (("knn", 0.05), ("linear@10%", 0.1))
    ]
    tables = example.all_tables(scores=pl.concat([scores, *others]))
    drawing, labels = draw_heads(study, tables)
    assert (drawing.name, labels.name) == ("heads-findings", "labels-findings")
    curve = labels.table.filter(arm="rad-dino").sort("percent")
    assert curve["percent"].to_list() == [10, 100] and set(curve["head"]) == {"linear"}
    assert curve["value"][1] - curve["value"][0] == pytest.approx(0.1)
    ticks = [tick.get_text() for tick in labels.figure.axes[0].get_xticklabels()]
    assert ticks == ["10", "100"]
    table = drawing.table
    heads = ["linear", "linear@10%", "knn"]
    assert table["head"].unique(maintain_order=True).to_list() == heads
    expected = of_findings.filter(
        pl.col("size") == example.study.subsets.sizes[-1], arm="rad-dino", target="macro"
    )
    means = table.filter(arm="rad-dino")["value"]
    assert means.to_list() == pytest.approx(
        [expected["value"].mean() - less for less in (0, 0.1, 0.05)]
    )
    assert list(draw_heads(study, example.all_tables())) == []


def test_tables_of_a_paper_are_the_scores_and_verdicts(example):
    folder = example.folder / "tables"
    scores = pl.read_csv(folder / "scores.csv")
    plotted = pl.read_csv(folder / "scaling-findings.csv")
    mean = plotted.row(
        by_predicate=(pl.col("kind") == "mean")
        & (pl.col("arm") == "rad-dino")
        & (pl.col("size") == 200),
        named=True,
    )
    row = scores.row(
        by_predicate=(pl.col("Encoder") == "rad-dino")
        & (pl.col("Task") == "Findings classification"),
        named=True,
    )
    ends = f"{mean['value']:.3f} ({mean['lower']:.3f} to {mean['upper']:.3f})"
    assert row["200"] == ends
    lines = (folder / "scores.md").read_text().splitlines()
    assert len(lines) == len(scores) + 2 and any(ends in line for line in lines)
    assert (folder / "scores.tex").read_text().count(r" \\") == len(scores) + 1
    verdicts = pl.read_csv(folder / "verdicts.csv")
    assert len(verdicts) == len(example.table("verdicts").filter(target="macro"))


def test_signs_of_latex_and_markdown_are_escaped(tmp_path):
    table = pl.DataFrame({"a|b": ["50 % of x_1 & {y}", None], "n": [1.5, 2.0]})
    write_markdown(table, tmp_path / "t.md")
    assert (tmp_path / "t.md").read_text().splitlines() == [
        r"| a\|b | n |", "| --- | --- |", "| 50 % of x_1 & {y} | 1.5 |", "| – | 2.0 |",
    ]  # fmt: skip
    write_latex(table, tmp_path / "t.tex")
    assert r"50 \% of x\_1 \& \{y\} & 1.5 \\" in (tmp_path / "t.tex").read_text()
