import json
import re
import shutil

import polars as pl
import pytest
import yaml
from lxml import etree, html

from radscale_lib.report.answers import answers, label_comparisons
from radscale_lib.report.checklists import checklist_rows
from radscale_lib.report.costs import cost_rows
from radscale_lib.report.document import _figures, _gaps, _stated
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.listing import listed_figures
from radscale_lib.report.sentences import studied
from radscale_lib.report.words import interval, percent
from radscale_lib.study import parse_study
from radscale_lib.tasks.predictions import NO_PREDICTIONS

SECTIONS = [
    *(
        "results",
        "verdicts",
        "figures",
        "classes",
        "calibration",
        "similarity",
        "examples",
        "scores",
        "laws",
        "data",
        "subsets",
        "labels",
        "archives",
    ),
    *("gaps", "runs", "costs", "method", "checklists"),
]


def parse(text):
    document = html.fromstring(text)
    strict = etree.HTMLParser(recover=False)
    try:
        etree.fromstring(
            re.sub(
                r"</?(main|section|nav|header|footer|figure|figcaption|details|summary)\b[^>]*>",
                "",
                text,
            ),
            strict,
        )
    except etree.XMLSyntaxError as error:
        pytest.fail(f"broken HTML: {error}")
    return document


def sections(document):
    return [node.get("id") for node in document.iter("section")]


def copy(example, folder, change=lambda values: None):
    """The example in another folder, its study changed."""
    shutil.copytree(example.folder, folder)
    values = yaml.safe_load(example.study_file.read_text())
    change(values)
    (folder / "study.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return type(example)(folder, parse_study(values))


@pytest.fixture(scope="module")
def document(example):
    return parse(example.html)


def test_table_one_counts_every_split(document):
    table = document.get_element_by_id("data").find(".//table")
    rows = [[cell.text_content() for cell in row] for row in table.iter("tr")]
    assert rows[0] == ["Property", "pool", "test"]
    assert ["images", "2,000", "400"] in rows and ["patients", "1,000", "200"] in rows
    assert ["view AP", "1,000 (50%)", "200 (50%)"] in rows
    assert ["years", "2011–2019", "2011–2019"] in rows
    assert ["effusion", "200 (10%)", "40 (11%)"] in rows


def test_where_figures_come_from_is_what_their_manifests_say(document):
    (table,) = document.xpath("//div[@aria-label='Where figures and tables come from']/table")
    rows = [[cell.text_content() for cell in row] for row in table.iter("tr")][1:]
    assert [row[0] for row in rows] == ["scores of all runs", "figures, and the tables behind them"]
    assert [row[3] for row in rows] == ["0123456789ab", "–"]  # no git, no commit
    assert all(row[1] == "a1" * 8 and row[2] == "b2" * 8 for row in rows)


def test_each_figure_has_its_data_settings_and_commit(document):
    (table,) = document.xpath("//table[@aria-labelledby='figure-sources']")
    rows = {row[0].text_content(): [cell.text_content() for cell in row][1:]
            for row in table.xpath("./tbody/tr")}  # fmt: skip
    assert rows.keys() == {
        node.get("id").removeprefix("figure-") for node in document.xpath("//figure[@id]")
    }
    files, data, settings, stage, commit, made = rows["forest"]
    assert files == "scores, verdicts" and rows["classes-tubes"][1] == data != "–"
    assert (settings, stage, commit, made) == ("b2" * 8, "a1" * 8, "–", "d4" * 6)
    assert rows["similarity-mi2-reports"][0] == "similarity/mi2-reports"
    assert rows["similarity-mi2-reports"][1] != data
    assert rows["calibration-tubes"][:2] == ["–", "–"]  # the manifest names no such file


def test_all_packages_are_listed_with_every_version(document):
    (table,) = document.xpath("//table[@aria-labelledby='packages']")
    rows = [[cell.text_content() for cell in row] for row in table.xpath("./tbody/tr")]
    assert rows == [["numpy", "2.0, 2.1"], ["polars", "1.0"]]


def test_every_section_is_there(document):
    assert sections(document) == SECTIONS
    headings = [document.get_element_by_id(f"{name}-title").text for name in SECTIONS]
    assert all(headings)


def test_it_is_one_accessible_file(document):
    assert document.get("lang") == "en"
    assert not document.xpath("//script[@src] | //link | //iframe")
    sources = document.xpath("//@src | //@href | //@*[local-name() = 'xlink:href']")
    links = ("https://arxiv.org/abs/", "https://doi.org/")
    assert all(source.startswith(("data:image/", "#", *links)) for source in sources)
    shown = document.xpath("//@src | //@*[local-name() = 'xlink:href']")
    assert not any(source.startswith("https:") for source in shown)
    assert "url(" not in document.xpath("string(//style)")
    images = document.xpath("//figure//svg[@role='img' and @aria-label]")
    assert len(images) == 2 + 4 + 3 * 3 + 2 + 2 + 1 + 1 + 1 + 2
    assert all(len(image.get("aria-label")) > 40 for image in images)
    ids = [node.get("id") for node in document.xpath("//*[@id]")]
    targets = set(ids)
    assert len(ids) == len(targets)
    inner = document.xpath("//svg//@*[starts-with(., 'url(#')]")
    assert inner and {text[5:-1] for text in inner} <= targets
    assert {link[1:] for link in document.xpath("//nav//@href")} <= targets
    for table in document.xpath("//table"):
        assert table.xpath("./thead//th[@scope='col']")
        width = len(table.xpath("./thead/tr/th"))
        for row in table.xpath("./tbody/tr"):
            cells = row.xpath("./th | ./td")
            assert sum(int(cell.get("colspan", 1)) for cell in cells) == width
    for label in document.xpath("//@aria-labelledby"):
        assert label in targets


def test_what_is_drawn_for_an_arm_can_be_switched_off(example, document):
    boxes = document.xpath("//fieldset[@id='arms']//input")
    labels = [box.getparent().text_content().strip() for box in boxes]
    assert labels == list(example.study.arms)
    for place, arm in enumerate(example.study.arms):
        drawn = document.xpath(f"//svg//*[@data-arm='{place}']")
        assert len(drawn) > 20
        rows = document.xpath(f"//tr[@data-arm='{place}']")
        assert {row.xpath("string(./th)") for row in rows} == {arm}
    assert document.get_element_by_id("shown").get("hidden") is not None  # needs the script


def test_it_says_phantom_first(document):
    banner = document.xpath("//*[@class='banner']")[0].text
    assert "Phantom archive" in banner
    assert "nothing about patients" in banner


def test_results_are_told_as_the_fits_found_them(example, document):
    items = [item.text for item in document.get_element_by_id("results").iter("li")]
    assert len(items) == 12
    fits = example.table("fits").filter(pl.col("chosen"))
    flat = fits.filter(pl.col("trend") == "no trend identified")
    assert len(flat) == 3
    assert sum(": no clear trend; from 50 to 1,200 images" in item for item in items) == len(flat)
    crossing = example.table("crossovers").filter(pl.col("state") == "within")
    for row in crossing.iter_rows(named=True):
        assert any(f"{row['arm']} rises" in item and row["text"] in item for item in items)
    best = items[0]
    assert best.startswith("mi2-reports-labels rises by +0.")


def test_verdicts_are_told_from_their_table(example, document):
    """Overview, sentences, figures and the section of verdicts all say what the table says."""
    judged = example.table("verdicts").filter(target="macro")
    section = document.get_element_by_id("verdicts")
    stated, families, every = section.xpath(".//table")
    rows = [[cell.text for cell in row.xpath("./th | ./td")] for row in stated.xpath(".//tbody/tr")]
    told = judged.filter(kind="stated").select("claim", "verdict").rows()
    assert [tuple(row[:2]) for row in rows] == told
    counts = {
        row.xpath("string(./th)"): [cell.text for cell in row.iter("td")]
        for row in families.xpath(".//tbody/tr")
    }
    assert " first ahead" in counts["one arm is ahead of another, at a size"][0]
    assert " second ahead" in counts["one arm is ahead of another, at a size"][1]
    words = {row.xpath("string(./th)") for row in every.xpath(".//tbody/tr[td]")}
    assert {"first ahead", "second ahead", "supported", "undecided"} <= words
    pairs = judged.filter(kind="ahead", verdict="contradicted")
    for text in pairs["text"]:
        (row,) = (row for row in every.xpath(".//tbody/tr[td]") if row[1].text == text)
        assert row.xpath("string(./th)") == "second ahead"
    assert "#figure-forest" in every.xpath(".//a/@href")
    links = [*stated.xpath(".//a/@href"), *every.xpath(".//a/@href")]
    assert "#figure-scaling-findings" in links
    for row in stated.xpath(".//tbody/tr"):
        assert row.xpath("string(./td[1])") == "not testable" or row.xpath(".//a")
    assert all(document.get_element_by_id(link[1:]) is not None for link in links)
    assert document.xpath("//nav//a[@href='#gaps']")
    rises = judged.filter(kind="rises")
    supported = len(rises.filter(verdict="supported"))
    assert counts["the metric rises with the number of images"][0] == str(supported)
    assert len(every.xpath(".//tbody/tr[td]")) == len(judged.filter(pl.col("kind") != "stated"))
    results = document.get_element_by_id("results").text_content()
    assert f"Of 12 curves (arm and task), {supported} rise with the number of images" in results
    assert "would be called rising or falling." in results
    sentences = [item.text for item in document.get_element_by_id("results").iter("li")]
    captions = " ".join(
        node.text for node in document.get_element_by_id("figures").iter("figcaption")
    )
    for arm, verdict in rises.select("arm", "verdict").iter_rows():
        word = {"supported": " rises by", "undecided": ": no clear trend"}[verdict]
        assert any(one.startswith(f"{arm}{word}") for one in sentences)
        if verdict == "undecided":
            assert f"No trend identified: {arm}" in captions
    laws = document.get_element_by_id("laws").text_content()
    assert "elasticity 0." in laws
    assert "no trend identified" in laws


def test_a_claim_of_the_study_file_has_its_test_and_figures(example):
    values = example.study.model_dump(mode="json")
    pair = {"better": "mi2-reports-labels", "than": "mi2-reports"}
    values["scaling"]["claims"] = {"win": pair | {"at": 400}, "scale": pair | {"what": "slope"}}
    judged = example.table("verdicts").filter(kind="stated").head(1)
    rows = [
        judged.with_columns(claim=pl.lit(claim), task=pl.lit("findings, tubes"), verdict=pl.lit(v))
        for claim, v in (("win", "supported"), ("scale", "undecided"))
    ]
    drawn = {"forest", "scaling-findings", "scaling-tubes"}
    win, scale = _stated(parse_study(values), pl.concat(rows), drawn)
    assert (win["test"], win["verdict"]) == ("mean difference, two-sided", "supported")
    assert scale["test"] == "mean elasticity, two-sided"
    for row in (win, scale):
        assert [one["name"] for one in row["figures"]] == ["scaling-findings", "scaling-tubes"]


def test_the_answer_box_says_what_the_verdicts_say(example, document):
    judged = example.table("verdicts")
    cards = document.xpath("//*[@class='answers']/div")
    shown = [[node.text_content() for node in card.xpath("./dt | ./dd")] for card in cards]
    assert [card[0] for card in shown] == [
        "Continue on your own data?", "Add labels?", "Add images?",
    ]  # fmt: skip
    assert [card[1] for card in shown] == ["Yes", "Yes", "Yes"]
    for card, claim in zip(shown, ("continuing-pays", "labels-improve-on-reports"), strict=False):
        row = judged.filter(claim=claim).row(0, named=True)
        assert card[2] == interval(row["value"], row["lower"], row["upper"], sign=True)
    pairs = judged.filter(kind="overtakes", target="macro")
    ahead = len(pairs.filter(verdict="supported"))
    assert shown[0][4].startswith(f"surely ahead in {ahead} of {len(pairs)} arm-task pairs")
    assert "about 0.1 expected by chance" in shown[0][4]
    gains = judged.filter(kind="gains", target="macro", verdict="supported")
    assert f"a sure gain in {len(gains)} of 12" in shown[2][4]


def test_answers_of_what_is_not_shown(example):
    none = example.table("verdicts").clear()
    assert [one.word for one in answers(example.study, none)] == ["Not tested"] * 3
    open_ = example.table("verdicts").with_columns(verdict=pl.lit("undecided"))
    assert [one.word for one in answers(example.study, open_)] == ["Not shown"] * 3
    worse = example.table("verdicts").with_columns(
        verdict=pl.when(kind="stated").then(pl.lit("contradicted")).otherwise("verdict")
    )
    continuing, labels, images = answers(example.study, worse)
    assert (continuing.word, labels.word, images.word) == ("No", "No", "Yes")
    falling = example.table("verdicts").with_columns(
        verdict=pl.when((pl.col("kind") == "gains") & (pl.col("arm") == "rad-dino"))
        .then(pl.lit("contradicted"))
        .otherwise("verdict")
    )
    mixed = answers(example.study, falling)[2]
    assert mixed.word == "Mixed"
    assert mixed.what.endswith("the largest gain shown")
    assert images.what.endswith("the largest gain shown")
    gains = example.table("verdicts").filter(kind="gains", target="macro", verdict="supported")
    most = gains.sort("value").row(-1, named=True)
    assert images.number == interval(most["value"], most["lower"], most["upper"], sign=True)
    assert most["arm"] in images.what
    assert answers(example.study, open_)[2].what.endswith("where a gain is likeliest")
    lost = example.table("verdicts").with_columns(verdict=pl.lit("contradicted"))
    assert "the largest loss shown" in answers(example.study, lost)[2].what
    assert "gain" not in answers(example.study, lost)[2].what
    assert ", a sure loss in 4; about" in mixed.counts


def test_answers_where_only_some_cases_are_sure(example):
    """The mean over arms and tasks is not, nor that more images than the largest size help."""
    unsure = pl.col("kind").is_in(["stated", "gains"])
    judged = example.table("verdicts").with_columns(
        verdict=pl.when(unsure).then(pl.lit("undecided")).otherwise("verdict")
    )
    continuing, labels, images = answers(example.study, judged)
    assert (continuing.word, labels.word, images.word) == ("Partly", "Partly", "Up to 1,200")
    whole = judged.filter(target="macro", verdict="supported").sort("value")
    ahead = whole.filter(kind="overtakes").select("arm", "task")
    for answer, kind in ((continuing, "overtakes"), (images, "rises")):
        rows = whole.filter(kind=kind)
        best = rows.join(ahead, on=["arm", "task"], maintain_order="left").row(-1, named=True)
        assert answer.number == interval(best["value"], best["lower"], best["upper"], sign=True)
        assert f"{best['arm']} on " in answer.what
        assert f"{len(rows)} of 12" in answer.counts
    mean = judged.filter(claim="continuing-pays").row(0, named=True)
    shown = interval(mean["value"], mean["lower"], mean["upper"], sign=True)
    assert f"{shown}, is undecided" in continuing.what
    assert "whether 2 × the images would gain more is undecided" in images.what
    one_way = pl.col("arm") == "rad-dino"
    both = judged.with_columns(
        verdict=pl.when(one_way & ~unsure).then(pl.lit("contradicted")).otherwise("verdict")
    )
    continuing, _, images = answers(example.study, both)
    assert (continuing.word, images.word) == ("Mixed", "Mixed")
    assert "surely behind in 4" in continuing.counts
    assert "a sure fall in 4" in images.counts


def test_labels_against_reports_are_turned_toward_labels(example):
    rows = label_comparisons(example.table("verdicts"))
    assert {(row["arm"], row["other"]) for row in rows} == {("mi2-reports-labels", "mi2-reports")}
    assert [row["task"] for row in rows] == list(example.study.scaling.metrics)
    assert all(0 < row["lower"] < row["value"] < row["upper"] for row in rows)
    assert {row["verdict"] for row in rows} == {"supported"}


def test_scores_table_shows_means_and_gaps(example, document):
    table = document.get_element_by_id("scores").xpath(".//table")[0]
    rows = table.xpath(".//tbody/tr[td]")
    assert len(rows) == 12
    cells = [cell.text for cell in rows[0].iter("td")]
    rows_at_50 = {"arm": "mi2-reports", "task": "findings", "target": "macro", "size": 50}
    values = example.table("scores").filter(**rows_at_50)["value"]
    assert cells[1] == f"{values.mean():.3f}"
    assert len(cells) == 6


def test_arms_are_compared_and_fits_have_their_checks(example, document):
    laws = document.get_element_by_id("laws")
    (table,) = laws.xpath(".//table[@aria-labelledby='comparisons-caption']")
    rows = table.xpath(".//tbody/tr[td]")
    assert len(rows) == 4 * 3
    assert rows[0].xpath("./th")[0].text == "mi2-reports against mi2-reports-labels"
    cells = [cell.text for cell in rows[0].iter("td")]
    assert len(cells) == 5 + 3
    assert all(cell.endswith("%") for cell in cells[:6])
    assert " to " in cells[6]
    text = laws.text_content()
    for words in (
        "Search: a grid over shapes, refined",
        "resampled: test patients",
        "held-out largest size",
    ):
        assert words in text


def test_the_flow_diagram_says_where_files_were_lost(document):
    labels = document.xpath("//*[@class='flow']/@aria-label")
    assert labels[0].startswith("Files of institution: 3,533 files found, 3,533 opened, ")
    assert (
        "less 412 excluded: view; 3 excluded: modality, 3,118 selected by the study, "
        "less 5 quarantined: truncated; 2 quarantined: no-pixels, 3,111 with sound pixels, "
        "less 7 duplicate: same-instance, 3,104 accepted"
    ) in labels[0]
    drawn = document.xpath("//*[@class='flow']")[0]
    assert {"3,533 files found", "3,104 accepted"} <= {node.text for node in drawn.iter("text")}


def test_joins_are_shown_with_what_stands_out(document):
    section = document.get_element_by_id("archives")
    cells = [cell.text for cell in section.xpath(".//tr[th='reports']/td")]
    assert cells[1:] == ["2,000", "1,950", "8", "0", "42", "3,080", "24"]
    said = [item.text for item in section.iter("li")]
    assert said == [
        "reports: 40 of 2,000 rows would match if padded with zeros to 8 digits "
        "(joins.reports.ignore: [leading_zeros]).",
        "reports: 16 images have a key that other patients' images have, too: nothing is joined to "
        "them.",
        "reports: 7 images have a row, but no text in it.",
        "tubes: the table has a header and no rows.",
    ]


def test_what_became_of_texts_is_shown(document):
    section = document.get_element_by_id("archives")
    (table,) = section.xpath(".//table[@aria-labelledby='texts-1']")
    rows = [[cell.text for cell in row.iter("td")] for row in table.xpath("./tbody/tr")]
    assert rows == [
        ["language", "de", "80"],
        ["language", "en", "3,000"],
        ["identifiers removed", "dates", "41"],
    ]


def test_ledger_counts_add_up(document):
    tables = document.get_element_by_id("archives").xpath(".//table")
    rows = tables[0].xpath("./tbody/tr")
    for row in rows:
        *parts, total = [int(cell.text.replace(",", "")) for cell in row.iter("td")]
        assert sum(parts) == total
    assert [row.find("th").text for row in rows] == ["institution", "public"]
    text = document.get_element_by_id("archives").text_content()
    for reason in ("view", "modality", "truncated", "no-pixels", "same-instance"):
        assert reason in text


def test_runs_and_gaps(example, document):
    rows = document.get_element_by_id("runs").xpath(".//tbody/tr")
    assert len(rows) == len(example.study.runs)
    first = [cell.text_content() for cell in rows[0].xpath("./th | ./td")]
    assert first[:4] == ["mi2-open", "open weights", "–", "ok"]
    gap = document.get_element_by_id("gaps").xpath(".//tbody/tr")
    assert len(gap) == 1
    assert gap[0].text_content() == (
        "mi2-reports, 400 images, seed 1loss became NaN at step 120, twiceall tasks"
    )


def test_a_head_that_failed_beside_another_is_told_with_its_reason(example):
    scores = example.table("scores")
    run = scores.filter(arm="rad-dino", task="segmentation", target="macro").head(1)
    failed = run.with_columns(
        head=pl.lit("wild"),
        value=pl.lit(None, pl.Float64),
        note=pl.lit(f"{NO_PREDICTIONS}weights are not finite"),
    )
    told = _gaps(example.study, pl.concat([scores, failed], how="diagonal"), [])
    rows = [row for row in told if row["reason"] == "weights are not finite"]
    size, seed = run.select("size", "seed").row(0)
    assert rows == [
        {
            "run": f"rad-dino, {size:,} images, seed {seed}",
            "reason": "weights are not finite",
            "tasks": "Segmentation (wild)",
        }
    ]


def test_settings_name_no_folder_and_versions_are_listed(document):
    settings = document.xpath("string(//pre)")
    assert "scaling:" in settings
    assert "results:" not in settings
    versions = document.get_element_by_id("method").text_content()
    assert "2.14.1" in versions
    assert "arXiv 2509.12818" in versions
    assert "not the paper’s" in versions


def test_a_real_archive_is_called_real_and_its_folders_stay_private(example, tmp_path):
    def change(values):
        values["institution"] = {
            "dicom": "/secret/dicom", "reports": "/secret/r.csv", "labels": "/secret/l.csv",
            "tubes": "/secret/t.csv", "key_file": "/secret/key",
        }  # fmt: skip
        values["subsets"] |= {
            "order": {"kind": "curated", "table": "/secret/t.parquet", "importance": "x"}
        }

    page = copy(example, tmp_path / "real", change).report().html
    assert "Real archive" in page
    assert "secret" not in page


def test_texts_are_escaped(example, tmp_path):
    def change(values):
        values["report"] = {"title": "<script>alert(1)</script> & co"}

    other = copy(example, tmp_path / "escaped", change)
    card = other.folder / "encoders" / "mi2-reports" / "n=400" / "seed=1" / "encoder.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"reason": "<b>NaN</b>"}))
    page = other.report().html
    assert page.count("<script>") == 1  # ours
    assert "<script>alert" not in page
    assert "<b>NaN" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in page


def test_what_is_absent_is_left_out(example, tmp_path):
    def change(values):
        del values["evaluation"]["tasks"]["reports"]
        del values["evaluation"]["tasks"]["segmentation"]
        values["scaling"]["metrics"] = {"findings": "auroc", "tubes": "auroc"}
        values["report"] = {"formats": ["png"]}

    other = copy(example, tmp_path / "less", change)
    for folder in ("similarity", "data", "encoders", "figures", "tables", "examples", "tips"):
        shutil.rmtree(other.folder / folder)
    (other.folder / "reliability.parquet").unlink()
    document = parse(other.fit().draw().report().html)
    assert sections(document) == [
        "results",
        "verdicts",
        "figures",
        "classes",
        "scores",
        "laws",
        "data",
        "subsets",
        "labels",
        "gaps",
        "method",
        "checklists",
    ]
    assert len(document.xpath("//img")) == 2 + 2 + 3 * 2 + 1
    assert document.xpath("//img/@src")[0].startswith("data:image/png")
    assert "no run card" in document.get_element_by_id("gaps").text_content()
    assert "Report generation" not in other.html


def test_a_study_without_any_score_still_reports(example, tmp_path):
    other = copy(example, tmp_path / "none")
    for folder in ("similarity", "figures", "tables", "examples", "tips"):
        shutil.rmtree(other.folder / folder)
    (other.folder / "reliability.parquet").unlink()
    example.table("scores").clear().write_parquet(other.scores)
    (other.folder / "figures").mkdir()
    document = parse(other.fit().draw().report().html)
    assert "No run has been scored yet" in document.get_element_by_id("results").text_content()
    assert sections(document) == [
        "results",
        "data",
        "subsets",
        "labels",
        "archives",
        "gaps",
        "runs",
        "costs",
        "method",
        "checklists",
    ]


def test_too_few_sizes_are_said_to_be_too_few(example, tmp_path):
    other = copy(example, tmp_path / "few")
    few = example.table("scores").filter((pl.col("arm") != "rad-dino") | (pl.col("size") < 200))
    few.write_parquet(other.scores)
    page = other.fit().report().html
    assert "too few sizes for a fit" in page
    assert "2 of at least 3 sizes: too few for a scaling law" in page
    assert "4 could not be fitted" in page


def test_the_report_is_the_same_bytes_each_time(example, tmp_path):
    other = copy(example, tmp_path / "again").fit().report()
    assert other.html == example.html


def test_samples_seen_are_those_of_the_cards(example, tmp_path):
    """Arms with different budgets, and runs that did not use all of theirs, are distinguished."""
    cards = [json.loads(path.read_text()) for path in example.folder.glob("encoders/**/*.json")]
    first = studied(example.study, example.table("scores"), cards)[0]
    for arm, section in example.study.trained_arms.items():
        assert re.search(rf"{section.recipe.optimiser.samples:,} samples.*{arm}", first)
    less = [
        card | {"samples_seen": 1234} if (card["arm"], card["size"]) == ("rad-dino", 50) else card
        for card in cards
    ]
    told = studied(example.study, example.table("scores"), less)[0]
    budget = example.study.trained_arms["rad-dino"].recipe.optimiser.samples
    assert f"1,234 to {budget:,} samples in rad-dino" in told
    same = [card | {"samples_seen": 77} for card in cards]
    assert "each run seeing 77 samples." in studied(example.study, example.table("scores"), same)[0]


def test_costs_are_those_of_the_cards_and_of_the_stated_power(example):
    cards = [json.loads(path.read_text()) for path in example.folder.glob("encoders/**/*.json")]
    of_arm = [card for card in cards if card["arm"] == "rad-dino"]
    stated = {"watts": 300.0, "devices": 4, "tflops": 0.1, "utilisation": 0.5}
    study = example.study.model_copy(
        update={"compute": example.study.compute.model_copy(update=stated)}
    )
    rows = {row["arm"]: row for row in cost_rows(study, cards)}
    assert list(rows) == ["mi2-reports", "mi2-reports-labels", "rad-dino", "mi2-open",
                          "rad-dino-open", "all"]  # fmt: skip
    row = rows["rad-dino"]
    flops = sum(card["samples_budget"] * card["flops_per_sample"] for card in of_arm)
    hours = sum(card["seconds"] for card in of_arm) * 4 / 3600
    assert row["flops_planned"] == f"{flops:.2g}"
    assert row["hours_planned"] == f"{flops / 0.05e12 / 3600:#.3g}"
    assert row["hours_used"] == f"{hours:#.3g}"
    assert row["energy_used"] == f"{hours * 0.3:#.3g}"
    unknown = [card | {"seconds": None} if card is of_arm[0] else card for card in cards]
    missing = {row["arm"]: row for row in cost_rows(study, unknown)}
    assert missing["rad-dino"]["hours_used"] == missing["all"]["energy_used"] == "–"
    assert missing["mi2-reports"]["hours_used"] == rows["mi2-reports"]["hours_used"]
    assert cost_rows(example.study, cards)[0]["energy_used"] == "–"  # no power is stated
    long = [card | {"seconds": 1234 * 3600} for card in of_arm[:1]]
    assert cost_rows(example.study, long)[0]["hours_used"] == "1,234"


def test_checklists_have_every_item_and_blanks_for_people(example, document):
    rows = checklist_rows(example.study)
    claim = [row["Item"] for row in rows if row["Checklist"] == "CLAIM 2024"]
    assert claim == [str(number) for number in range(1, 45)]
    tripod = [row["Item"] for row in rows if row["Checklist"] == "TRIPOD+AI"]
    assert list(dict.fromkeys(item.rstrip("abcdefg") for item in tripod)) == [
        str(number) for number in range(1, 28)
    ]
    assert len(tripod) == len(set(tripod)) == 52
    told = {(row["Checklist"], row["Item"]): row["Filled in from the study"] for row in rows}
    share = percent(example.study.splits.train)
    assert f"{share} train" in told["CLAIM 2024", "19"] and told["CLAIM 2024", "44"] == ""
    assert "lexical F1" in told["TRIPOD+AI", "12e"] and told["TRIPOD+AI", "17"] == ""
    file = pl.read_csv(example.folder / "tables" / "checklist.csv", infer_schema=False)
    assert file["Item"].to_list() == claim + tripod
    shown = document.get_element_by_id("checklists").xpath(".//tbody/tr")
    assert len(shown) == len(rows)


def test_examples_show_references_and_the_labels_that_were_hit(document):
    section = document.get_element_by_id("examples")
    (best, _, _) = section.xpath(".//details")
    assert best.xpath("string(./summary)") == "best: mean ROUGE-L 0.900"
    lines = [node.text_content() for node in best.xpath(".//dl/*")]
    assert lines[:2] == ["Reference", "Large effusion. <b>Tube</b> in place. (best)"]
    assert lines[2] == "mi2-open, open weights (ROUGE-L 0.900)"
    assert "Missed: effusion. Not in the reference: cardiomegaly." in lines[3]
    assert "In both: effusion." in lines[lines.index("rad-dino, 50 images (ROUGE-L 0.900)") + 1]


def test_images_of_patients_lie_apart_and_are_told(example, tmp_path):
    def real(values):
        names = ("dicom", "reports", "labels", "tubes")
        values["institution"] = {name: f"hospital/{name}" for name in names}

    other = copy(example, tmp_path / "real", real)
    for folder in ("figures", "tables"):
        shutil.rmtree(other.folder / folder)
    maps = [pl.read_parquet(path) for path in sorted(other.folder.glob("similarity/*.parquet"))]
    study = other.study.model_copy(
        update={"report": other.study.report.model_copy(update={"formats": ("svg",)})}
    )
    kinds = ["films", "similarity", "tips"]
    draw_figures(study, example.all_tables(similarity=maps), other.folder, kinds)
    page = other.report().html
    apart = {path.stem for path in (other.folder / "figures" / "patients").glob("*.svg")}
    assert apart == {"similarity-mi2-reports", "similarity-rad-dino", "films-segmentation-rad-dino"}
    beside = {path.stem for path in (other.folder / "figures").glob("*.svg")}
    assert beside == {"tips"}
    tables = {path.name for path in (other.folder / "tables").glob("*.csv")}
    assert tables == {"tips.csv"}
    assert "keep it inside the institution" in page
    assert "keep it inside the institution" not in example.html
    assert 'aria-label="Figure patients/films-segmentation-rad-dino"' in page


def test_beyond_its_size_the_largest_figures_stay_in_their_folder(example, monkeypatch):
    monkeypatch.setattr("radscale_lib.report.document.INLINE", 300_000)
    folder = example.folder / "figures"
    names = [one["name"] for one in listed_figures(folder)]
    sizes = {name: (folder / f"{name}.svg").stat().st_size for name in names}
    sections_of = _figures(example.study, folder, listed_figures(folder))
    shown = {figure["name"]: figure for of in sections_of.values() for figure in of}
    assert shown.keys() == sizes.keys()
    inside = [sizes[name] for name, figure in shown.items() if figure["svg"]]
    beside = {name: figure["source"] for name, figure in shown.items() if not figure["svg"]}
    assert sum(inside) <= 300_000 and max(inside) <= min(sizes[name] for name in beside)
    assert all(source == f"figures/{name}.svg" for name, source in beside.items())
