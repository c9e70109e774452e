"""Check labels read from reports: where texts would go, and the cost."""

from collections.abc import Iterator

from radscale_lib.planning.stages.labels import asked
from radscale_lib.preflight.finding import Finding
from radscale_lib.study.model import Study


def label_findings(study: Study) -> Iterator[Finding]:
    """Unusable phrases and audits; where an endpoint is, and what it would cost."""
    yield from _phrase_findings(study)
    yield from _audit_findings(study)
    endpoint = study.labels.endpoint
    if endpoint is None:
        return
    from radscale_lib.labels.server import EndpointError, Server

    try:
        server = Server(endpoint)
    except EndpointError as error:
        yield Finding(str(error))
        return
    counted = _counted(study)
    if counted != (0, 0):
        reports, words = counted or (None, None)
        what = asked(study) if words is None else asked(study, reports, words)
        yield Finding(f"labels.endpoint: {what.told()}", stops=False)
    if not server.inside:
        yield Finding(
            f"labels.endpoint: report texts leave the institution for {server.host}, scrubbed by "
            "rules that miss some names (docs/hospital/privacy.md)",
            stops=False,
        )


def _phrase_findings(study: Study) -> Iterator[Finding]:
    """Phrases that are cues rather than mentions of a label."""
    if not study.labels.phrases:
        return
    from radscale_lib.languages.cues import cues, has_cues

    code = study.institution.language
    if not has_cues(code):
        return
    known = cues(code)
    words = {*known.deny_before, *known.deny_after, *known.hedge_before, *known.hedge_after}
    for label, phrases in study.labels.phrases.items():
        for phrase in phrases:
            if phrase.strip().lower() in words:
                yield Finding(
                    f"labels.phrases.{label}: {phrase!r} tells whether something is claimed, and "
                    "names nothing: write words that mention the label"
                )


def _audit_findings(study: Study) -> Iterator[Finding]:
    """A filled audit table that cannot be read."""
    table = study.labels.audit.table
    if table is None or not table.exists():
        return  # a missing file is reported elsewhere
    from radscale_lib.labels.audit import read_filled
    from radscale_lib.labels.join import LabelsError

    try:
        read_filled(table, study.labels)
    except LabelsError as error:
        yield Finding(f"labels.audit.table: {error}")


def _counted(study: Study) -> tuple[int, float] | None:
    """Number of distinct report texts once ingested, and their mean number of words."""
    path = study.data_folder("institution") / "catalog.parquet"
    if not path.exists():
        return None
    import polars as pl

    try:
        text = pl.concat_str(
            [pl.col(name).fill_null("") for name in ("findings", "impression")], separator=" "
        ).str.strip_chars()
        texts = pl.scan_parquet(path).select(text.alias("text")).filter(pl.col("text") != "")
        row = (
            texts.unique()
            .select(pl.len(), pl.col("text").str.count_matches(r"\S+").mean().fill_null(0.0))
            .collect()
            .row(0)
        )
    except (pl.exceptions.PolarsError, OSError):
        return None  # data_findings reports it
    return int(row[0]), float(row[1])
