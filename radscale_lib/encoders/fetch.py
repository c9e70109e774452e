"""Download published weights from the Hugging Face Hub into a folder.

Nothing else here needs a network, and nothing is downloaded unless requested.
"""

from pathlib import Path

from huggingface_hub import snapshot_download

from radscale_lib.encoders.release import ReleaseError

SMALL = ("*.json", "*.txt", "*.model", "*.py", "LICENSE*", "README.md")
"""Configurations, tokenizers and licences."""
FORMS = ("*.safetensors", "*.bin", "*.pt")
"""Forms of weights, the safe one first; only the first one in a repository is downloaded."""


def fetch(name: str, folder: Path) -> str:
    """Download weights with their configuration and licence.

    Args:
        name: `timm:NAME`, `open_clip:NAME/TAG`, or `OWNER/REPOSITORY`.
        folder: gets the files.

    Returns:
        The repository of the files.

    Raises:
        ReleaseError: if there is no such repository, or it cannot be reached.
    """
    repository = repository_of(name)
    try:
        snapshot_download(repository, local_dir=folder, allow_patterns=list(SMALL))
        for form in FORMS:
            snapshot_download(repository, local_dir=folder, allow_patterns=form)
            if any(path for path in folder.rglob(form) if ".cache" not in path.parts):
                break
    except (OSError, RuntimeError, ValueError) as error:
        raise ReleaseError(
            f"{repository}: cannot be fetched ({type(error).__name__}): is there a network, does "
            "the repository exist, and did you accept its terms and log in (hf auth login)?"
        ) from None
    return repository


def repository_of(name: str) -> str:
    """The repository on the Hub with the weights of a name.

    Raises:
        ReleaseError: if the library knows none.
    """
    library, colon, rest = name.partition(":")
    if not colon:
        return name
    repository = ""
    if library == "timm":
        import timm

        found = timm.get_pretrained_cfg(rest) if timm.is_model(rest.partition(".")[0]) else None
        repository = (found.hf_hub_id if found else None) or ""
        repository = f"timm/{rest}" if repository == "timm/" else repository
    elif library == "open_clip":
        import open_clip

        model, _, tag = rest.partition("/")
        repository = (open_clip.get_pretrained_cfg(model, tag) or {}).get("hf_hub", "")
    repository = "/".join(repository.split("/")[:2])
    if not repository:
        raise ReleaseError(
            f"{name}: no weights on the Hub are known by this name: give timm:NAME (with its tag), "
            "open_clip:NAME/TAG, or OWNER/REPOSITORY"
        )
    return repository
