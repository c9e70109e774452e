"""The report in a browser: nothing fails, toggles, sorting and filters work, all is there without.

Needs Chromium (or `RADSCALE_CHROMIUM`, its path). With `RADSCALE_AXE`, the path of axe-core's
`axe.min.js` (`npm pack axe-core`), accessibility is judged too.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lxml import html

CHROMIUM = os.environ.get("RADSCALE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: set RADSCALE_CHROMIUM"),
]

DARK = "--blink-settings=preferredColorScheme=0"
NO_SCRIPTS = """<meta http-equiv="Content-Security-Policy" content="script-src 'none'">"""


def browse(page: Path, *options: str, out: str = "--dump-dom") -> subprocess.CompletedProcess[str]:
    """Open a page without a window; standard output has the page once it is stable."""
    return subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"),
            *("--enable-logging=stderr", "--virtual-time-budget=20000"),
            f"--user-data-dir={page.parent / 'profile'}",
            *(*options, out, page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )  # fmt: skip


def run_in(page: str, folder: Path, script: str, *options: str) -> object:
    """What a script gives that runs in the loaded page; the console must stay empty."""
    folder.mkdir(exist_ok=True)
    path = folder / "page.html"
    wrapped = f"""<script>addEventListener("load", async () => {{
      const result = await (async () => {{ {script} }})();
      const note = document.createElement("pre");
      note.id = "result-of-test";
      note.textContent = JSON.stringify(result);
      document.body.append(note);
    }});</script></body>"""
    path.write_text(page.replace("</body>", wrapped), encoding="utf-8")
    ended = browse(path, *options)
    messages = re.findall(r"CONSOLE.*", ended.stderr)
    assert not messages, messages
    note = html.fromstring(ended.stdout).get_element_by_id("result-of-test")
    return json.loads(note.text_content())


def test_boxes_switch_arms_tasks_and_metrics_off_and_on(example, tmp_path):
    found = run_in(
        example.html,
        tmp_path,
        """
        const seen = (selector) => [...document.querySelectorAll(selector)]
          .filter((one) => getComputedStyle(one).display !== "none").length;
        const click = (box) => document.querySelector(box).click();
        document.querySelectorAll("details").forEach((one) => { one.open = true; });
        const out = {};
        for (const [kind, value] of [["arm", "1"], ["task", "tubes"], ["metric", "dice"]]) {
          const of = `[data-${kind}="${value}"]`;
          const box = `fieldset[data-kind="${kind}"] input[value="${value}"]`;
          const before = seen(of), others = seen(`[data-${kind}]`);
          click(box);
          const off = seen(of), left = seen(`[data-${kind}]`);
          click(box);
          out[kind] = [before, off, others - left, seen(of)];
        }
        return out;
        """,
    )
    assert found.keys() == {"arm", "task", "metric"}
    for kind, (before, off, gone, again) in found.items():
        assert before > (0 if kind == "metric" else 5), kind
        assert (off, gone, again) == (0, before, before), kind


def test_tables_are_sorted_by_number_and_filtered(example, tmp_path):
    found = run_in(
        example.html,
        tmp_path,
        """
        const table = document.querySelector("#runs table");
        const column = [...table.tHead.rows[0].cells].findIndex(
          (cell) => cell.textContent === "Repeats");
        const values = () => [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
        const button = table.tHead.rows[0].cells[column].querySelector("button");
        button.click();
        const rising = values(), state = button.parentElement.getAttribute("aria-sort");
        button.click();
        const falling = values();
        const input = document.querySelector("#runs input[type=search]");
        input.value = "FAILED";
        input.dispatchEvent(new Event("input"));
        const left = [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
        const scores = document.querySelector("#scores table");
        const search = document.querySelector("#scores input[type=search]");
        search.value = "tubes";
        search.dispatchEvent(new Event("input"));
        const groups = [...scores.querySelectorAll("tbody tr:not([hidden]) .group")];
        return { rising, state, falling, left, groups: groups.map((one) => one.textContent),
          rows: scores.querySelectorAll("tbody tr:not([hidden])").length };
        """,
    )
    numbers = [float(text.replace(",", "")) for text in found["rising"]]
    assert numbers == sorted(numbers) and numbers[0] < numbers[-1]
    assert found["state"] == "ascending"
    assert [float(text.replace(",", "")) for text in found["falling"]] == numbers[::-1]
    assert found["left"] == 1  # one run of the example failed
    assert len(found["groups"]) == 1 and found["groups"][0].startswith("Tubes")
    assert found["rows"] == 1 + 3


def test_signs_of_comparison_and_dashes_sort_in_their_place(example, tmp_path):
    values = ["2%", "> 99%", "–", "1%", "1,200", "< 1%", "99%", "−3", "fewer than 50", "50"]
    orders = run_in(
        example.html,
        tmp_path,
        f"""
        const table = document.querySelector("#runs table"), body = table.tBodies[0];
        const rows = [...body.rows];
        const values = {values!r};
        rows.slice(values.length).forEach((row) => row.remove());
        values.forEach((value, i) => {{ rows[i].cells[2].textContent = value; }});
        const told = () => [...body.rows].map((row) => row.cells[2].textContent);
        const button = table.tHead.rows[0].cells[2].querySelector("button");
        button.click();
        const rising = told();
        button.click();
        return {{ rising, falling: told() }};
        """,
    )
    order = ["−3", "< 1%", "1%", "2%", "fewer than 50", "50", "99%", "> 99%", "1,200"]
    assert orders == {"rising": [*order, "–"], "falling": [*order[::-1], "–"]}


def test_marks_tell_their_values(example, tmp_path):
    told = run_in(
        example.html,
        tmp_path,
        """return [...document.querySelectorAll("#figures svg use > title")]
          .map((one) => one.textContent);""",
    )
    assert any(re.fullmatch(r"rad-dino, 1,200 images: 0\.\d+ \(.*\)", text) for text in told)


def test_the_page_fits_a_telephone(example, tmp_path):
    """At 390 px nothing but its own scroll areas is wider than the page, and letters stay large."""
    widths = run_in(
        example.html.replace('<html lang="en">', '<html lang="en" style="width: 390px">'),
        tmp_path,
        """
        const wide = [...document.body.querySelectorAll("*")].filter((one) =>
          one.getBoundingClientRect().right > 392
          && !one.closest(".scroll, .plot, pre, details:not([open])"));
        const letters = [...document.querySelectorAll(".wide svg text")].map(
          (one) => one.getBoundingClientRect().height).filter((height) => height > 0);
        return { wide: wide.map((one) => `${one.tagName}.${one.className}`),
          letters: Math.min(...letters) };
        """,
        "--window-size=500,900",
    )
    assert widths["wide"] == []
    assert widths["letters"] > 4


def test_without_scripts_everything_can_be_read(example, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(example.html.replace("<head>", f"<head>{NO_SCRIPTS}"), encoding="utf-8")
    page = html.fromstring(browse(path).stdout)
    given = html.fromstring(example.html)
    assert len(page.xpath("//table//td")) == len(given.xpath("//table//td"))
    assert page.get_element_by_id("shown").get("hidden") is not None
    assert not page.xpath("//thead//button")


def test_printing_opens_what_is_folded_and_closes_it_again(example, tmp_path):
    folded, opened, after = run_in(
        example.html,
        tmp_path,
        """const closed = () => document.querySelectorAll("details:not([open])").length;
        const counts = [closed()];
        for (const name of ["beforeprint", "afterprint"]) {
          dispatchEvent(new Event(name));
          counts.push(closed());
        }
        return counts;""",
    )
    assert folded > 5
    assert (opened, after) == (0, folded)


@pytest.mark.skipif("RADSCALE_AXE" not in os.environ, reason="RADSCALE_AXE names no axe.min.js")
@pytest.mark.parametrize("options", [(), (DARK,), ("--window-size=500,900",)])
def test_axe_finds_no_violation(example, tmp_path, options):
    axe = Path(os.environ["RADSCALE_AXE"]).read_text("utf-8")
    page = example.html.replace("</head>", f"<script>{axe}</script></head>")
    found = run_in(
        page,
        tmp_path,
        """document.querySelectorAll("details").forEach((one) => { one.open = true; });
        const found = await axe.run(document);
        return found.violations.map((one) => [one.id, one.nodes.length, one.nodes[0].html]);""",
        *options,
    )
    assert found == []
