"""What the documents say is so: links, commands, names and versions."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from radscale_lib.provenance.settings import settings_file
from radscale_lib.study import load_study
from tests.repository import example

TRACKED = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if Path(name).is_file()
]
PAGES = [path for path in TRACKED if path.suffix == ".md"]
VERSION = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]


def code_of(page):
    """The code of a page: its fenced blocks, and its spans."""
    text = page.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", text)])


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    local = [target.partition("#")[0] for target in targets if "://" not in target]
    absent = [target for target in local if target and not (page.parent / target).exists()]
    assert absent == []


def slug(heading):
    """The anchor of a heading, as GitHub and the site make it."""
    text = re.sub(r"[^\w\s-]", "", heading.replace("`", "").strip().lower())
    return re.sub(r"\s", "-", text)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_anchors_are_headings(page):
    links = re.findall(r"\]\(([^)\s:]*)#([^)\s]+)\)", page.read_text())
    absent = []
    for target, anchor in links:
        other = page.parent / target if target else page
        headings = re.findall(r"^#+ (.+)$", other.read_text(), re.MULTILINE)
        if anchor not in map(slug, headings):
            absent.append(f"{target}#{anchor}")
    assert absent == []


@pytest.mark.parametrize("page", [page for page in PAGES if "docs" in page.parts], ids=str)
def test_links_of_the_documents_stay_there(page):
    """They are also a site: files outside docs/ are named, not linked."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    local = [target.partition("#")[0] for target in targets if "://" not in target]
    docs = Path("docs").resolve()
    assert [
        target for target in local if not (page.parent / target).resolve().is_relative_to(docs)
    ] == []


def test_every_page_is_in_the_index_and_on_the_site():
    linked = set(re.findall(r"\]\(([^):]+\.md)\)", Path("docs/README.md").read_text()))
    pages = {str(page.relative_to("docs")) for page in PAGES if page.is_relative_to("docs")}
    assert pages - {"README.md"} == linked
    shown = re.findall(r"= \"([\w/-]+\.md)\"", Path("zensical.toml").read_text())
    assert sorted(shown) == sorted(pages)


def test_pages_named_in_code_and_messages_exist():
    page = re.compile(r"\bdocs/[\w./-]+\.md\b")
    texts = [
        path for path in TRACKED if path.suffix in {".py", ".smk", ".yaml", ".toml", ".json", ""}
    ]
    absent = [
        f"{path}: {name}"
        for path in texts
        for name in sorted(set(page.findall(path.read_text(errors="replace"))))
        if not Path(name).exists()
    ]
    assert absent == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_exist(page):
    """`make x`, `snakemake x`, `python scripts/x.py` and paths of the repository."""
    code = code_of(page)
    targets = re.findall(r"^([a-z-]+):", Path("Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z-]+)\b", code)) <= set(targets)
    rule_files = [Path("Snakefile"), *Path("workflow/rules").glob("*.smk")]
    rules = re.findall(
        r"^ *rule (\w+):", "\n".join(path.read_text() for path in rule_files), re.MULTILINE
    )
    assert set(re.findall(r"\bsnakemake ([a-z]\w*)", code)) <= set(rules)
    paths = re.findall(
        r"\b((?:scripts|config|docs|profiles|workflow|radscale_lib|tests|benchmarks)/[\w./-]+\w)",
        code,
    )
    assert [path for path in set(paths) if not Path(path).exists()] == []


@pytest.mark.parametrize("page", [Path("README.md"), Path("CONTRIBUTING.md")], ids=str)
def test_the_map_names_every_rule_file_and_package(page):
    text = page.read_text()
    rules = {path.name for path in Path("workflow/rules").glob("*.smk")} - {"common.smk"}
    assert {name for name in rules if f"`{name}`" not in text} == set()
    stages = {path.parent.name for path in Path("radscale_lib").glob("*/__init__.py")}
    around = {"study", "planning", "preflight", "provenance"}
    assert {name for name in stages - around if f"`{name}`" not in text} == set()


def test_contributing_names_every_script():
    text = Path("CONTRIBUTING.md").read_text()
    assert [
        path.stem for path in Path("scripts").glob("*.py") if f"`{path.stem}`" not in text
    ] == []


def test_one_version():
    assert f"## [{VERSION}]" in Path("CHANGELOG.md").read_text()
    assert yaml.safe_load(Path("CITATION.cff").read_text())["version"] == VERSION


def test_each_release_says_what_alters_results():
    releases = re.split(r"^## ", Path("CHANGELOG.md").read_text(), flags=re.MULTILINE)[2:]
    assert releases
    assert all("### Changes that alter results" in release for release in releases)


def test_nothing_tells_of_the_machine_it_was_written_on():
    """No path in a home folder, and no host of a package registry."""
    machine = re.compile(
        r"(?<![\w.])/(?:root|home|opt|mnt|work)/\w"
        r"|\b(?:extra-)?index-url\b|\bfind-links\b|\btrusted-host\b|pythonhosted|pypi\.org"
    )
    found = [
        f"{path}: {match[0]}"
        for path in TRACKED
        if path.suffix not in {".png", ".pdf"} and path != Path("tests/repository/test_house.py")
        for match in machine.finditer(path.read_text(errors="replace"))
    ]
    assert found == []


def test_bibtex_and_citation_file_agree():
    text, cited = Path("README.md").read_text(), yaml.safe_load(Path("CITATION.cff").read_text())
    assert f"title   = {{{cited['title']}}}" in text
    assert f"version = {{{VERSION}}}" in text
    paper = cited["references"][0]
    assert f"title   = {{{paper['title']}}}" in text
    authors = re.search(r"@article.*?author  = {(.*?)},\n", text, re.DOTALL)[1]
    plain = authors.replace(r"{\'e}", "é").replace(r"{\'i}", "í")
    names = [f"{each['family-names']}, {each['given-names']}" for each in paper["authors"]]
    assert re.split(r"\s+and\s+", plain) == names


def test_the_example_report_is_of_the_embedded_study():
    stated = json.loads((example.FOLDER / "settings.json").read_text())
    study = load_study(Path("config/config.yaml"))
    assert stated == {"study": study.name, "digest": settings_file(study).stem}, "make example"
    assert (example.FOLDER / "report.html").stat().st_size <= example.LARGEST
    assert "make example` writes" not in Path("README.md").read_text()
