"""Report texts: markup, blanks, language, and what is counted."""

from collections import Counter

import polars as pl
import pytest

from radscale_lib.archive import catalog as catalog_module
from radscale_lib.archive.catalog import CatalogError, partitions_of
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.markup import plain_text
from radscale_lib.archive.texts import TextReader, language_problem
from radscale_lib.archive.tongues import language_of
from radscale_lib.study.archive import Archive, Image, Labels

RTF = (
    r"{\rtf1\ansi\ansicpg1252 FINDINGS:\par Lungs clear, \'e9tat stable.\par "
    r"IMPRESSION:\par Normal.\par}"
)


@pytest.mark.parametrize(
    ("text", "plain", "what"),
    [
        (RTF, "FINDINGS:\nLungs clear, état stable.\nIMPRESSION:\nNormal.\n", {"RTF"}),
        ("<p><b>A:</b> x.&nbsp;<br/></p><p>B &lt;5</p>", "\nA: x. \n\n\n\nB <5\n", {"HTML"}),
        ("<html><head><style>p {a: b}</style></head><body>A<br>B</body></html>", "A\nB", {"HTML"}),
        ("&lt;p&gt;Clear&lt;/p&gt;", "\nClear\n", {"HTML"}),
        (
            "<FINDINGS>Clear</FINDINGS><history>x</history>",
            "\nFINDINGS:\nClear\n\nHISTORY:\nx\n",
            {"HTML"},
        ),
        ("Fever &amp; cough", "Fever & cough", {"HTML"}),
        (
            r"A \T\ B\.br\C\F\D\S\E\E\F\X0D\G\H\H\N\\.sp2\I",
            "A & B\nC|D^E\\F\nGH\n\nI",
            {"HL7 escapes"},
        ),
        (r"M\XC3BC\ller, Gr\XFC\n", "Müller, Grün", {"HL7 escapes"}),
        ("A_x000D_\r\nB\rC", "A\n\nB\nC", set()),
        ("Nodule <5 mm, >3 mm & AT&T; a < b > c", "Nodule <5 mm, >3 mm & AT&T; a < b > c", set()),
        ("a\u00a0b\u200bc\u00add\ufeff", "a bcd", set()),
        ("\uff2d\uff32\uff2e\u3000\uff11\uff12\uff0e", "MRN 12.", set()),
        ("Mu\u0308ller", "Müller", set()),
    ],
)
def test_markup_becomes_plain_text(text, plain, what):
    counts = Counter()
    assert plain_text(text, counts) == plain
    assert set(counts) == what


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "nan", "NaN", "nan.", "None", "NULL", " N/A\n", "N/A.", "<NA>", "-", "&nbsp;"],
)
def test_what_stands_for_nothing_is_blank(text):
    assert plain_text(text) is None


@pytest.mark.parametrize("text", ["None.", "Normal", "No", "0", "NA level normal"])
def test_short_texts_are_none_of_them(text):
    assert plain_text(text) == text


@pytest.mark.parametrize(
    ("declared", "text", "found"),
    [
        ("en", "Kein Nachweis eines Pneumothorax, kein Pleuraerguss.", "de"),
        ("en", "The lungs are clear.", "en"),
        ("en", "Lungs clear. No effusion. No pneumothorax. No fracture.", "en"),
        ("en", "Nessuna alterazione. Cuore nei limiti, versamento a destra.", "it"),
        ("en", "Pneumothorax.", None),
        ("en", "双肺纹理清晰。", "zh"),
        ("en", "右下肺野に浸潤影を認める。", "ja"),
        ("en", "Лёгкие без очаговых изменений.", "other"),
        ("de", "The lungs are clear.", "en"),
        ("de", "Kein Infiltrat.", "de"),
        ("es", "Pas d'épanchement, le cœur est normal.", "fr"),
        ("es", "Sin derrame.", "es"),
        ("fr", "Pas d'épanchement.", "fr"),
        ("pt", "Não há derrame.", "pt"),
        ("zh", "双肺纹理清晰，ICU床旁片。", "zh"),
        ("zh", "右下肺野に浸潤影を認める。", "ja"),
        ("zh", "The lungs are clear.", "other"),
        ("ja", "右下肺野に浸潤影を認める。", "ja"),
        ("ja", "心拡大なし", "ja"),
        ("en", "___", None),
    ],
)
def test_language_of_a_text(declared, text, found):
    assert language_of(text, declared) == found


def test_reader_counts_what_it_does():
    reader = TextReader("en", scrubbed=True)
    texts = reader.read({"report": f"{RTF[:-1]} ADDENDUM: Seen by Dr. Poe.}}"}, ())
    assert texts[:2] == ("Lungs clear, état stable.", "Normal.\nSeen by Dr. ___.")
    assert reader.read({"findings": "nan", "impression": "Normal heart."}, ())[:2] == (
        None,
        "Normal heart.",
    )
    assert reader.read({"report": "Kein Nachweis eines Pneumothorax."}, ()) == (None,) * 4
    assert reader.counts == {
        ("markup", "RTF"): 1,
        ("markup", "blank"): 1,
        ("sections", "addendum"): 1,
        ("language", "en"): 2,
        ("language", "de"): 1,
        ("marks", "names"): 1,
        ("texts", "findings"): 1,
        ("texts", "impression"): 2,
    }


def test_lines_stay_and_hide_no_name():
    """A report is scrubbed as running text: a name over a line's end is one."""
    report = "FINDINGS:\nNo effusion\nSeen by Dr. John\nSmith\nat noon with\nJane\nDoe\nClear"
    texts = TextReader("en", scrubbed=True).read({"report": report}, ("Doe^Jane",))
    assert texts.findings == "No effusion\nSeen by Dr. ___\nat noon with\n___\nClear"
    # A line that was ended on purpose begins with a capital.
    findings = "FINDINGS:\nNo effusion\nNodule\nGranuloma at the base\nA Nodule\nScoliosis"
    kept = "No effusion\nNodule\nGranuloma at the base\nA ___\nScoliosis"
    assert TextReader("en", scrubbed=True).read({"report": findings}, ()).findings == kept
    report = (
        "FINDINGS: The lungs are clear of any disease. This was discussed at noon with Jane\n"
        "Abernathy, who understood, and later with the whole of the team and with Peter\n"
        "Quimby."
    )
    found = TextReader("en", scrubbed=True).read({"report": report}, ()).findings
    assert "Abernathy" not in found and "Quimby" not in found
    columns = {"findings": "No effusion\n\nNodule", "impression": " a\n b"}
    assert TextReader("en", scrubbed=True).read(columns, ())[:2] == ("No effusion\nNodule", "a\nb")


def test_a_section_that_says_nothing_is_missing():
    texts = TextReader("en", scrubbed=True).read(
        {"report": "FINDINGS: nan\nIMPRESSION: Clear."}, ()
    )
    assert texts[:2] == (None, "Clear.")


@pytest.mark.parametrize(
    ("counts", "most", "problem"),
    [
        ({"en": 95, "de": 4, "fr": 1}, 0.05, None),
        ({"en": 1}, 0.0, None),
        ({}, 0.0, None),
        ({"too short to tell": 9}, 0.0, None),
        (
            {"en": 5, "de": 14, "other": 1, "too short to tell": 9},
            0.05,
            "language: 15 of 20 reports (75.0%) are not in English ('en'), most of these in 'de': "
            "set the archive's 'language' to that of its reports, or raise most_foreign_reports to "
            "leave their texts out",
        ),
        ({"de": 2}, 1.0, None),
    ],
)
def test_language_of_an_archive(counts, most, problem):
    named = Counter({("language", rule): count for rule, count in counts.items()})
    assert language_problem(named, "en", most) == problem


@pytest.fixture
def chinese(make_dicom, make_image, tmp_path):
    """An archive of one image whose report is Chinese, ingested in a language."""

    def build(**settings):
        image = make_image(70, 80, 255).astype("u1")
        make_dicom(
            tmp_path / "dicom" / "0.dcm",
            image,
            SpecificCharacterSet="GB18030",
            PatientName="Wang^XiaoMing=王^小明",
            PatientID="12345678",
            AccessionNumber="A1",
        )
        reports = tmp_path / "reports.csv"
        text = "检查所见：患者王小明，住院号12345678，2019年3月5日胸片。双肺清晰，电话13800138000。"
        reports.write_text(f"accession_number,report\nA1,{text}\n", encoding="utf-8")
        out = tmp_path / "out"
        refresh(tmp_path / "dicom", out / "listing", 1)
        archive = Archive(
            dicom=tmp_path / "dicom", reports=reports, image=Image(shorter_side=16), **settings
        )
        outputs = Outputs(
            *(out / kind / "part=0.parquet" for kind in ("index", "ledger", "shards"))
        )
        listing = out / "listing" / "part=0.tsv"
        sources = Sources(archive.dicom, reports)
        ingest(archive, Labels(), b"0123456789abcdef", "s", listing, sources, outputs)
        catalog_module.merge(
            partitions_of([listing], [outputs.ledger], [outputs.shard]),
            None,
            1.0,
            out / "ledger.parquet",
            out / "catalog.parquet",
            texts=out / "texts.parquet",
            language=archive.language,
            most_foreign_reports=archive.most_foreign_reports,
        )
        return pl.read_parquet(out / "catalog.parquet"), pl.read_parquet(out / "texts.parquet")

    return build


def test_a_name_in_the_headers_character_set_is_removed(chinese):
    catalog, texts = chinese(language="zh")
    assert catalog["findings"].to_list() == ["患者___，住院号___，___胸片。双肺清晰，电话___。"]
    assert texts.filter(step="language").rows() == [("language", "zh", 1)]
    assert texts.filter(step="marks", rule="header")["count"].to_list() == [2]


def test_reports_in_another_language_stop_the_study(chinese):
    with pytest.raises(CatalogError, match=r"1 of 1 reports \(100.0%\) are not in English .* 'zh'"):
        chinese()


def test_reports_in_another_language_are_left_out_by_a_setting(chinese):
    catalog, texts = chinese(most_foreign_reports=1.0)
    assert catalog["findings"].to_list() == [None]
    assert texts.rows() == [("language", "zh", 1)]
