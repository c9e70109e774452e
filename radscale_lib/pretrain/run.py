"""One pretraining run: reuse an earlier result of the same inputs, or train."""

import hashlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from radscale_lib.files import atomic_write, file_digest, write_json
from radscale_lib.pretrain.card import blank_card
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.kept import PassedError, kept_facts, kept_folder
from radscale_lib.shards.errors import ShardError
from radscale_lib.shards.labels import label_files

OUTPUTS = ("encoder.safetensors", "log.parquet", "encoder.json")


def run_files(*folders: Path) -> list[Path]:
    """The files of runs in their folders."""
    return [folder / name for folder in folders for name in OUTPUTS]


def pretrain(job: Job, out: Path, threads: int, kept: Sequence[Path] | None = None) -> None:
    """Write the outputs of a run to the folder `out`: encoder, log and card.

    A run finished with the same inputs is copied without training, unless the study now asks for
    intermediate encoders that it did not keep. Training continues from the last checkpoint. If it
    fails permanently, the card says so and the encoder is empty, unless the study is strict.

    Args:
        job: the run and its inputs.
        out: folder for the outputs.
        threads: CPU threads: for training if the device is the CPU, else for data loading.
        kept: folders for the outputs of each intermediate encoder, by rising share; None: `share=S`
            below `out`.

    Raises:
        SystemExit: with 128 + the signal's number, on SIGTERM or SIGUSR1; a later call continues.
        OSError, MemoryError, torch.OutOfMemoryError, ShardError: failures that another attempt may
        not repeat.
    """
    subset = digest_rows(job.subset or job.catalog)
    base = file_digest(job.base) if job.base else None
    labels = [file_digest(path) for path in label_files(job.study.labels, job.labels)]
    folder = job.work / _key(job, subset, base, labels)
    finished = folder / "finished"
    card = blank_card() | {
        **job.run._asdict(),
        "encoder": job.section.encoder,
        "paradigm": job.section.recipe.paradigm,
        "supervision": list(job.section.supervision),
        "samples_budget": job.section.recipe.optimiser.samples,
        "stage_id": job.stage,
        "subset_digest": subset,
        "base_digest": base,
        **({"label_digests": labels} if labels else {}),
    }
    places = {1.0: out} | dict(zip(job.kept, kept or _in(out, job.kept), strict=True))
    if not all(path.is_file() for path in run_files(*_in(finished, places))):
        failure = _train(job, folder, card, threads)
        if failure is not None:
            failed = card | {"status": failure.status, "reason": str(failure)}
            for share, place in places.items():
                _write_failure(place, job, failed | kept_facts(job, share), failure.log)
            return
    if int(os.environ.get("RANK", "0")) == 0:
        for source, place in zip(_in(finished, places), places.values(), strict=True):
            for name in OUTPUTS:
                with atomic_write(place / name) as partial:
                    shutil.copyfile(source / name, partial)


def _in(folder: Path, shares: Iterable[float]) -> list[Path]:
    """The folders, below a run's, of its encoders at the given shares of the budget."""
    return [folder if share == 1 else kept_folder(folder, share) for share in shares]


def digest_rows(table: Path) -> str:
    """SHA-256 of a table's `image_id` and `digest`, in order."""
    columns = pq.read_table(table, columns=["image_id", "digest"])
    digest = hashlib.sha256()
    for batch in columns.to_batches():
        for name in ("image_id", "digest"):
            digest.update("\n".join(batch[name].to_pylist()).encode())
    return digest.hexdigest()


def _key(job: Job, subset: str, base: str | None, labels: list[str]) -> str:
    parts = [job.stage, *map(str, job.run), subset, base, *labels]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _train(job: Job, folder: Path, card: dict[str, Any], threads: int) -> PretrainError | None:
    """Train into `folder`/finished; return the reason if it failed permanently."""
    import torch

    from radscale_lib.pretrain.session import train

    try:
        train(job, folder, card, threads)
    except (OSError, MemoryError, torch.OutOfMemoryError, ShardError, PassedError):
        raise
    except Exception as error:
        # If one process fails, the others wait for it: their launcher must end them.
        alone = int(os.environ.get("WORLD_SIZE", "1")) == 1 or isinstance(error, PretrainError)
        if job.study.strict or not alone:
            raise
        # The texts of other libraries' errors may hold patient data; lines of code do not.
        traceback.print_tb(error.__traceback__)
        failure = error if isinstance(error, PretrainError) else PretrainError(type(error).__name__)
        print(f"{job.run.path} {failure.status}: {failure}", file=sys.stderr)
        return failure
    return None


def _write_failure(out: Path, job: Job, card: dict[str, Any], log: list[dict[str, float]]) -> None:
    from radscale_lib.encoders.storage import EncoderFile, save_encoder
    from radscale_lib.pretrain.log import write_log

    save_encoder(out / "encoder.safetensors", EncoderFile(job.encoder))
    write_log(out / "log.parquet", log)
    write_json(out / "encoder.json", card)
