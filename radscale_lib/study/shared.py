"""Archives ingested by another study: their settings, read from that study's folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ARCHIVES = ("institution", "public")
_LABELS = ("findings", "tubes", "others")


def with_shared(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a study file, completed with the settings of shared archives.

    An archive that names only `ingested` gets the settings with which it was ingested, and the
    study gets the splits of its patients. Settings written by the workflow are already complete.

    Raises:
        ValueError: `key: problem and remedy`, if that folder has no such archive, or the study
            contradicts its settings.
    """
    values = dict(values)
    for name in ARCHIVES:
        section = values.get(name)
        if not isinstance(section, Mapping) or not section.get("ingested"):
            continue
        if {"phantom", "dicom"} <= section.keys():
            continue  # complete
        key = f"{name}.ingested"
        if more := sorted(section.keys() - {"ingested"}):
            raise ValueError(
                f"{name}.{more[0]}: the archive of {name}.ingested has its settings already: "
                f"remove {', '.join(more)}, or ingested"
            )
        theirs = _settings(Path(str(section["ingested"])), name, key)
        values[name] = {**theirs[name], "ingested": str(section["ingested"])}
        _agree(values, theirs, key)
        if name == "institution":
            values["splits"] = theirs["splits"]
    return values


def _settings(folder: Path, name: str, key: str) -> dict[str, Any]:
    """The settings with which a study's archive was ingested."""
    try:
        manifest = json.loads((folder / f"provenance/catalog/{name}.json").read_text("utf-8"))
        if manifest["state"] != "done":
            raise ValueError
        text = (folder / f"settings/{manifest['settings']}.json").read_text("utf-8")
        settings: dict[str, Any] = json.loads(text)
        settings[name]["partitions"]
    except PermissionError as error:
        raise ValueError(
            f"{key}: {error.filename} cannot be read: ask its owner to let you read the folder"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{key}: no ingested archive {name!r} in {str(folder)!r}: give the folder of a study's "
            "results, <results>/<name>, after `snakemake ingest` there"
        ) from None
    if settings[name].get("ingested"):
        raise ValueError(
            f"{key}: {str(folder)!r} shares that archive itself: name the folder "
            f"{settings[name]['ingested']!r}"
        )
    return settings


def _agree(values: Mapping[str, Any], theirs: Mapping[str, Any], key: str) -> None:
    labels = values.get("labels") or {}
    have = {column for group in _LABELS for column in theirs["labels"][group]}
    if isinstance(labels, Mapping):
        for group in _LABELS:
            asked = labels.get(group) or ()
            if absent := [name for name in asked if name not in have]:
                raise ValueError(
                    f"labels.{group}: {absent} not among the labels that the archive of {key} was "
                    f"ingested with: use some of {sorted(have)}, or ingest it again with them"
                )
    splits = values.get("splits") or {}
    if key.startswith("institution") and isinstance(splits, Mapping):
        for share, value in splits.items():
            if share in theirs["splits"] and value != theirs["splits"][share]:
                raise ValueError(
                    f"splits.{share}: the archive of {key} was ingested with "
                    f"{theirs['splits'][share]}, and its patients are assigned: remove it"
                )
