"""Model cards for the Hugging Face Hub: what an encoder is, its training, and its scores."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import yaml

from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.model import Study

MACRO = "macro"
COLUMNS = frozenset({
    "arm", "size", "seed", "task", "head", "target", "metric", "value", "lower", "upper",
    "confidence", "cases",
})  # fmt: skip
"""Columns of the scores that go into a card."""
LIBRARIES = {"transformers": "transformers", "timm": "timm", "open_clip": "open_clip"}
"""Names of libraries on the Hub, by form."""
FIELDS = {"reports": "radiology reports", "labels": "labels"}


def model_card(
    encoder: EncoderSection,
    form: str,
    usage: str,
    run: Mapping[str, Any],
    scores: pl.DataFrame | None,
    study: Study | None,
    license: str,
) -> str:
    """The card in Markdown, with the metadata that the Hub reads in its front matter.

    Unknown facts are stated as unknown; of the scores, only means over labels are included.

    Args:
        encoder: the study's section.
        form: the form of the folder.
        usage: Python that loads it.
        run: the run's card (`encoder.json`); empty if there is none.
        scores: scores of the study; null if there are none.
        study: the study, to describe its images; null if it is not available.
        license: identifier of the licence.
    """
    rows = _of_run(scores, run)
    name = "-".join(str(run[key]) for key in ("arm", "size", "seed") if run.get(key) is not None)
    metadata: dict[str, Any] = {
        "license": license,
        "library_name": LIBRARIES.get(form, "radscale"),
        "pipeline_tag": "image-feature-extraction",
        "tags": ["radiology", "chest-x-ray", "radscale", encoder.kind],
    }
    if rows:
        metadata["model-index"] = [{"name": name, "results": _results(rows)}]
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front}---",
        f"# {name or encoder.kind}",
        _what_it_is(encoder, run),
        f"## Use\n\n```python\n{usage}```",
        "## Training data and budget\n\n" + "\n".join(_training(run, study)),
        "## Scores\n\n" + "\n".join(_scores(rows, run)),
        _INTENDED,
        "## Not tested\n\n" + "\n".join(_not_tested(rows, study)),
    ]
    return "\n\n".join(parts) + "\n"


_INTENDED = """\
## Intended use

Research on representations of radiographs: frozen features for classification, segmentation,
retrieval and report generation, and comparison with other encoders. It is no medical device: no
clinical decision may rest on it."""


def _what_it_is(encoder: EncoderSection, run: Mapping[str, Any]) -> str:
    history = "whose training is not known"
    if run.get("status") == "released":
        history = "with released weights, not trained further here"
    elif run.get("paradigm"):
        supervision = [FIELDS.get(each, each) for each in run.get("supervision") or ()]
        with_ = f" with {' and '.join(supervision)}" if supervision else ""
        history = f"trained by {run['paradigm']}{with_}"
    return (
        f"Image encoder of kind `{encoder.kind}` for grey radiographs, {encoder.image_size} × "
        f"{encoder.image_size} pixels, {history}. Made with radscale."
    )


def _training(run: Mapping[str, Any], study: Study | None) -> Iterator[str]:
    def known(key: str, form: str = ",") -> str:
        value = run.get(key)
        return "not known" if value is None else format(value, form)

    if run.get("status") == "released":
        yield "- Released weights, not trained further here: see their own card."
    yield f"- Images in the training subset: {known('size')}; unique images seen: {known('images')}"
    yield f"- Budget: {known('samples_budget')} samples; seen: {known('samples_seen')}"
    yield f"- Repeats of each image: {known('repeats_per_image', '.3g')}"
    yield f"- Optimiser steps: {known('steps')}; seed: {known('seed', '')}"
    yield f"- FLOPs of a sample: {known('flops_per_sample', '.3g')}; device: {known('device', '')}"
    if study:
        select = study.institution.select
        source = "an embedded archive of phantoms: no patients" if study.institution.phantom else (
            "one institution's archive, de-identified"
        )  # fmt: skip
        yield f"- Source: {source}; modalities {', '.join(select.modalities)}; views " + ", ".join(
            select.views
        )


def _of_run(scores: pl.DataFrame | None, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Means over labels of a run's scores."""
    if scores is None or run.get("arm") is None:
        return []
    same = [pl.col(key) == run[key] for key in ("arm", "size", "seed")]
    rows = scores.filter(*same, pl.col("target") == MACRO, pl.col("value").is_not_null())
    return rows.sort("task", "head", "metric").to_dicts()


def _results(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scores in the form of the Hub's `model-index`."""
    return [
        {
            "task": {"type": "image-feature-extraction", "name": row["task"]},
            "dataset": {"name": "test split of the study", "type": "private"},
            "metrics": [
                {
                    "type": row["metric"],
                    "value": round(row["value"], 4),
                    "name": f"{row['metric']} ({row['head']} head)",
                }
            ],
        }
        for row in rows
    ]


def _scores(rows: list[dict[str, Any]], run: Mapping[str, Any]) -> Iterator[str]:
    if not rows:
        yield "Not known: the scores of the study were not at hand."
        return
    confidence = f"{rows[0]['confidence']:.0%}"
    yield "Frozen features, test split of the study (patients unseen in training), means of labels."
    yield ""
    yield f"| task | head | metric | value | {confidence} interval | test cases |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        ends = [row["lower"], row["upper"]]
        interval = "unknown" if None in ends else f"{ends[0]:.3f} to {ends[1]:.3f}"
        cells = [row["task"], row["head"], row["metric"], f"{row['value']:.3f}", interval]
        cells.append(f"{row['cases']:,}")
        yield f"| {' | '.join(cells)} |"


def _not_tested(rows: list[dict[str, Any]], study: Study | None) -> Iterator[str]:
    if study and study.institution.phantom:
        yield "- Any image of a patient: the scores are of procedural phantoms."
    yield "- Images of institutions, devices and years beyond those of the study's archive."
    if study:
        other = sorted({"PA", "AP", "LL", "RL"} - set(study.institution.select.views))
        if other:
            yield f"- Views {', '.join(other)}, and modalities other than " + ", ".join(
                study.institution.select.modalities
            )
    else:
        yield "- Views and modalities that the study did not select (the study was not at hand)."
    yield "- Subgroups of patients by age, sex or origin; rare findings without enough test cases."
    heads: dict[str, list[str]] = {}
    for task, head in sorted({(row["task"], row["head"]) for row in rows}):
        heads.setdefault(task, []).append(head)
    told = ", ".join(f"{task} ({', '.join(of)})" for task, of in heads.items())
    yield f"- Tasks and heads other than {told}." if told else "- Any task: no scores at hand."
