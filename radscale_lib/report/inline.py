"""Inline SVG figures, in which a reader can switch off arms."""

import re
from pathlib import Path
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
_ARM = re.compile(r"arm(\d+)-")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(path: Path, prefix: str, alt: str) -> str:
    """A drawn figure as an element of an HTML page.

    Args:
        path: SVG file written by `report.style.save`.
        prefix: prefix of all ids in it, so that several figures can be on one page.
        alt: the figure in words.

    Returns:
        `<svg role="img" …>`; groups of an arm (`report.style.drawn_for`) have `data-arm`, its index
        in the study.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.parse(path).getroot()
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    for image in root.iter(f"{{{SVG}}}image"):
        image.attrib.pop("id", None)  # the digest of its pixels, which two images can share
    for element in root.iter():
        arm = _ARM.match(element.get("id", ""))
        if arm:
            element.set("data-arm", arm.group(1))
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{prefix}-{value}")
            elif name in ("href", f"{{{XLINK}}}href") and value.startswith("#"):
                element.set(name, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(name, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))
    root.set("role", "img")
    root.set("aria-label", alt)
    return ElementTree.tostring(root, encoding="unicode")
