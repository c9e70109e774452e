"""Describe what changed since a result was made."""

from pathlib import Path

from radscale_lib.provenance.manifest import UNREAD, Files

Components = dict[str, dict[str, str]]


def changed_inputs(before: Files, now: Files) -> list[str]:
    """Names of inputs that were added, removed or changed; a moved input counts as unchanged."""
    both = before.keys() & now.keys()
    same = {name for name in both if before[name].digest in (now[name].digest, UNREAD)}
    went = [name for name in before if name not in same]
    came = [name for name in now if name not in same]
    old = sorted(before[name].digest for name in went)
    moved = old == sorted(now[name].digest for name in came)
    outside = all(Path(name).is_absolute() for name in [*went, *came])
    return [] if moved and outside else sorted({*went, *came})


def differences(before: Components, now: Components) -> list[str]:
    """What changed between two stage ids: keys of the study with their values, definitions."""
    keys = [
        f"{key} {before['study'].get(key, '(none)')} -> {now['study'].get(key, '(none)')}"
        for key in sorted(before["study"].keys() | now["study"].keys())
        if before["study"].get(key) != now["study"].get(key)
    ]
    code = [
        name
        for name in sorted(before["code"].keys() | now["code"].keys())
        if before["code"].get(name) != now["code"].get(name)
    ]
    shown = keys + code
    return shown if len(shown) <= 4 else [*shown[:4], f"and {len(shown) - 4} more"]
