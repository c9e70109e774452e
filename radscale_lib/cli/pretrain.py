"""Train one run: an arm at a size and seed, or base weights; an earlier result is reused."""

import argparse
from pathlib import Path

from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.run import pretrain, run_files
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.shards.labels import label_files
from radscale_lib.study import Run


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--arm", required=True, help="entry of 'arms' or 'bases'")
    parser.add_argument("--size", type=int, default=0, help="images of the subset; 0 for bases")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    parser.add_argument("--shards", required=True, help="folder or address of the shards")
    parser.add_argument("--ranges", type=Path, help="index of the shards (index_shards.py)")
    parser.add_argument("--subset", type=Path, help="n=N.parquet; default: the whole catalog")
    parser.add_argument(
        "--labels", type=Path, help="folder of the labels' tables, if they have any"
    )
    parser.add_argument("--base", type=Path, help="encoder.safetensors to continue")
    parser.add_argument("--work", type=Path, required=True, help="folder of training states")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run's files")
    parser.add_argument(
        "--kept",
        type=Path,
        nargs="*",
        help="folders for encoders kept on the way, by rising share (default: OUT/share=S)",
    )
    parser.add_argument("--scratch", type=Path, help="node-local folder for copies of the shards")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    args = parser.parse_args(argv)
    study = study_of(args)
    labels = label_files(study.labels, args.labels)
    reads = [args.catalog, args.ranges, args.subset, args.base, *labels]
    makes = run_files(args.out, *(args.kept or ()))
    with step(args, study, "pretrain", reads, makes, arm=args.arm) as stage:
        job = Job(
            study=study,
            run=Run(args.arm, args.size, args.seed),
            stage=stage,
            catalog=args.catalog,
            shards=args.shards,
            ranges=args.ranges,
            subset=args.subset,
            base=args.base,
            work=args.work,
            scratch=args.scratch,
            labels=args.labels,
        )
        try:
            pretrain(job, args.out, args.threads, args.kept)
        except PretrainError as error:  # unless the study is strict, the card usually says it
            parser.exit(1, f"{job.run.path} failed: {error}\n")
