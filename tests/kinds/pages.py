"""The code in docs/extend/extending.md: the files of the example package, which a test runs.

python -m tests.kinds.pages    writes them into the page, as `make docs` does
"""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/extend/extending.md"
PLUGIN = Path(__file__).parent / "plugin"
BLOCK = re.compile(r"(<!-- file: ([\w./-]+) -->\n```\w*\n).*?(^```$)", re.MULTILINE | re.DOTALL)


def filled(text: str) -> str:
    """A page in which the block below each marker is the file that it names."""
    return BLOCK.sub(lambda block: f"{block[1]}{(PLUGIN / block[2]).read_text()}{block[3]}", text)


def files_by_section(text: str) -> dict[str, list[str]]:
    """Files that a page shows, by the heading above them."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        found[title] = [block[1] for block in BLOCK.findall(body)]
    return found


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
