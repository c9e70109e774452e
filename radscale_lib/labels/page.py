"""The audit's sample as one page that works offline: read, answer, save the table."""

import html
import json
from importlib.resources import files

import polars as pl

from radscale_lib.labels.audit import STATE_NAMES


def page(sample: pl.DataFrame, study: str) -> str:
    """A page with a sample's reports, inserted as text and never as markup.

    Args:
        sample: columns of `audit.SAMPLE`.
        study: name of the study.
    """
    rows = sample.drop("answer").to_dicts()
    data = json.dumps(rows, ensure_ascii=True).replace("<", "\\u003c")
    template = files("radscale_lib.labels").joinpath("page.html").read_text(encoding="utf-8")
    for name, value in (
        ("@study@", html.escape(study)),
        ("@answers@", json.dumps(STATE_NAMES)),
        ("@rows@", data),
    ):
        template = template.replace(name, value)
    return template
