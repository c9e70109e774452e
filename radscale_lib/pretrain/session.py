"""Training a run: from its inputs to the files of `work/<key>/finished/`."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from radscale_lib.encoders.storage import EncoderFile, read_encoder, save_encoder
from radscale_lib.files import write_json
from radscale_lib.pretrain.card import hardware, versions
from radscale_lib.pretrain.checkpoint import Progress, checkpoints, good_states
from radscale_lib.pretrain.data import ImageSource, Share, damaged_images
from radscale_lib.pretrain.distributed import World, join
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.flops import flops_per_sample
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.kept import (
    ENCODER,
    check_passed,
    copy_kept,
    kept_facts,
    kept_folder,
    seen,
)
from radscale_lib.pretrain.learner import Learner
from radscale_lib.pretrain.log import write_log
from radscale_lib.pretrain.requeue import requeue
from radscale_lib.pretrain.rows import Rows, known_labels, write_rows
from radscale_lib.pretrain.setup import Setup, Trainable
from radscale_lib.pretrain.trainer import StoppedError, Trainer, now
from radscale_lib.pretrain.watch import LogRow, Onlookers
from radscale_lib.shards.staging import stage
from radscale_lib.study.pretrain import Base

DAMAGED = "damaged.tsv"
"""File with shard and row of the damaged images that were left out."""


def train(job: Job, folder: Path, card: dict[str, Any], threads: int) -> None:
    """Train a run, write its outputs to `folder`/finished, then delete its checkpoints.

    Args:
        job: the run and its inputs.
        folder: training state of this run only.
        card: the card's fields so far.
        threads: CPU threads for the processes of a node: for training, or for data loading if the
            device is not the CPU.
    """
    compute = job.study.compute
    threads = max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    _set_up_libraries(compute.device, threads)
    with join(compute.device) as world:
        if world.size != compute.devices:
            raise PretrainError(
                f"compute.devices is {compute.devices}, but {world.size} processes were started: "
                f"start the script with torchrun --nproc-per-node {compute.devices}"
            )
        rows, left_out = _rows(job, folder, world)
        optimiser = job.section.recipe.optimiser
        share = Share(
            job.seed, optimiser.batch, len(rows), world.rank, world.size, optimiser.passes
        )
        # Initial weights of modules that the base lacks.
        torch.manual_seed(job.seed)
        job = replace(job, shards=_shards(job, rows, world))
        setup = _setup(job, folder, rows, share)
        learner, batches, tokenizer = _build(setup)

        def keep(share: float) -> None:
            content = EncoderFile(setup.encoder, learner.encoder(), tokenizer)
            save_encoder(kept_folder(folder, share) / ENCODER, content)

        trainer = Trainer(
            learner.to(world.device),
            batches,
            optimiser,
            compute,
            world,
            job.seed,
            folder,
            workers=0 if compute.device == "cpu" else threads,
            after={step: partial(keep, share) for share, step in job.kept.items()},
            onlookers=_onlookers(job, setup, learner, world),
        )
        check_passed(job, folder, trainer.progress.step)
        if trainer.progress.flops_per_sample is None:
            first = trainer.to_device(batches[0])
            trainer.progress.flops_per_sample = flops_per_sample(
                trainer, first, len(share.positions)
            )
        if compute.compile:
            _compile(learner)
        try:
            progress = trainer.run()
        except StoppedError:
            if world.leads and trainer.advanced:
                requeue()
            raise
        except PretrainError as error:
            error.log = trainer.progress.log
            raise
        if trainer.ownership:
            trainer.ownership.check()
            done = (
                card
                | _outcome(job, progress, len(rows), world)
                | {
                    "damaged_images": damaged_images(folder / DAMAGED),
                    "left_out": left_out,
                    "texts": _means(progress.log, learner.described),
                }
            )
            content = EncoderFile(setup.encoder, learner.encoder(), tokenizer)
            _finish(job, folder, content, progress, len(rows), done)
        if world.size > 1:
            dist.barrier()


def _build(setup: Setup) -> Trainable:
    """Build the learner; only the paradigm in use is imported."""
    recipe = setup.section.recipe
    trainable: Trainable = import_module(recipe.implementation).build(setup)
    for name in recipe.recompute:
        for tower in trainable.learner.towers(name):
            try:
                tower.recompute()  # type: ignore[operator]
            except ValueError as error:
                raise PretrainError(f"{error}: remove recipe.recompute") from None
    return trainable


def _compile(learner: Learner) -> None:
    """Have torch compile the towers at their next use.

    Raises:
        FileNotFoundError: if there is no C++ compiler.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise FileNotFoundError(
            f"compute.compile needs a C++ compiler, and there is no {compiler}: load one (modules "
            "of the site file; CXX names another), or set compute.compile to false"
        )
    # All blocks share one code object, compiled once per shape.
    torch._dynamo.config.recompile_limit = 64
    for name in ("image", "text"):
        for tower in learner.towers(name):
            tower.compile_blocks()  # type: ignore[operator]


def _set_up_libraries(device: str, threads: int) -> None:
    """Set threads, and make results independent of timing."""
    torch.set_num_threads(threads if device == "cpu" else 1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # unlike its other name, this loads no compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _rows(job: Job, folder: Path, world: World) -> tuple[Rows, dict[str, int | None]]:
    """The run's table and, on the leading process, the images left out by reason.

    Counts below the smallest cell that may be published are missing.
    """
    path = folder / "rows.arrow"
    left_out: dict[str, int | None] = {}
    if world.leads:
        section = job.section
        kinds = import_module(section.recipe.implementation)
        teaches = known_labels
        if hasattr(kinds, "label_samples"):
            teaches = partial(kinds.label_samples, section.recipe)
        labels, supervision = job.study.labels, section.supervision
        counts = write_rows(path, job.catalog, job.subset, labels, supervision, teaches, job.labels)
        cell = job.study.smallest_cell(_archive(job))
        left_out = {reason: n if n >= cell else None for reason, n in counts.items()}
    if world.size > 1:
        dist.barrier()
    return Rows(path, job.study.labels), left_out


def _archive(job: Job) -> str:
    return "public" if job.run.arm in job.study.bases else "institution"


def _shards(job: Job, rows: Rows, world: World) -> Path | str:
    """Where to read the shards; if asked to, one process per node copies them first."""
    if job.scratch is None or "://" in str(job.shards):
        return job.shards
    folder = Path(job.shards)
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        stage(folder, rows.last_rows, job.scratch)
    if world.size > 1:
        dist.barrier()
    return stage(folder, rows.last_rows, job.scratch)


def _setup(job: Job, folder: Path, rows: Rows, share: Share) -> Setup:
    """The setup of the run's paradigm; the base's file may complete the encoder's section."""
    skip = job.study.compute.damaged_images == "skip"
    source = ImageSource(rows, job.shards, job.ranges, folder / DAMAGED if skip else None)
    source.check()
    base = read_encoder(job.base) if job.base else None
    cell = job.study.smallest_cell(_archive(job))
    encoder = job.encoder.resolved(base.encoder) if base else job.encoder
    return Setup(encoder, job.section, rows, source, share, base, cell)


def _onlookers(job: Job, setup: Setup, learner: Learner, world: World) -> Onlookers:
    """The k-NN probe and TensorBoard of an arm's run, if the study asks for them.

    All processes log the same steps; only the leading one has the probe and TensorBoard.
    """
    watch, steps = job.study.watch, job.section.recipe.optimiser.steps
    found, tower = Onlookers(), learner.kept_tower
    if watch.knn_images and not isinstance(job.section, Base) and tower is not None:
        times = range(1, watch.knn_times + 1)
        probed = (max(round(steps * number / watch.knn_times), 1) for number in times)
        found = replace(found, probed=frozenset(probed))
        if world.leads:
            from radscale_lib.pretrain.probe import read_probe

            labels, images = job.study.labels, watch.knn_images
            probe = read_probe(job.catalog, job.shards, job.ranges, labels, setup.encoder, images)
            asked = partial(probe, tower, world.device) if probe else None
            found = replace(found, probe=asked)
    if watch.tensorboard and world.leads:
        from radscale_lib.pretrain.events import Events

        events = Events(job.work.parent / "tensorboard" / job.run.path)
        found = replace(found, tell=events)
    return found


def _means(log: Sequence[LogRow], names: Sequence[str]) -> dict[str, float]:
    """Means over the logged steps."""
    return {name: sum(row[name] for row in log) / len(log) for name in names}


def _outcome(job: Job, progress: Progress, images: int, world: World) -> dict[str, Any]:
    return {
        "status": "ok",
        **seen(images, progress.step, job.section.recipe.optimiser.batch),
        "flops_per_sample": progress.flops_per_sample,
        "images_per_second": progress.samples / progress.seconds,
        "seconds": progress.seconds,
        "device": job.study.compute.device,
        "hardware": hardware(job.study.compute.device, world.size),
        "versions": versions(),
        "resumed": progress.resumed,
        "started": progress.started,
        "finished": now(),
        "final_loss": progress.log[-1]["loss"],
        "spikes": progress.spikes,
        "skipped_steps": progress.skipped,
    }


def _finish(
    job: Job,
    folder: Path,
    encoder: EncoderFile,
    progress: Progress,
    images: int,
    card: dict[str, Any],
) -> None:
    """Write `finished/` atomically, and delete what is no longer needed.

    An intermediate encoder has its run's card, with the samples seen by then.
    """
    unfinished = folder / ".finished.partial"
    shutil.rmtree(unfinished, ignore_errors=True)
    save_encoder(unfinished / "encoder.safetensors", encoder)
    write_log(unfinished / "log.parquet", progress.log)
    write_json(unfinished / "encoder.json", card | kept_facts(job, 1))
    for share, place in copy_kept(folder, unfinished, job.kept).items():
        step = job.kept[share]
        log = [row for row in progress.log if row["step"] <= step]
        facts = seen(images, step, job.section.recipe.optimiser.batch)
        facts |= {"seconds": None, "final_loss": log[-1]["loss"] if log else None}
        write_log(place / "log.parquet", log)
        write_json(place / "encoder.json", card | facts | kept_facts(job, share))
    shutil.rmtree(folder / "finished", ignore_errors=True)  # of a run that kept fewer
    unfinished.rename(folder / "finished")
    for share in job.kept:
        shutil.rmtree(kept_folder(folder, share))
    left = [*checkpoints(folder), *good_states(folder)]
    for path in [*left, folder / "rows.arrow", folder / "owner"]:
        path.unlink()
