"""Exports: every arm's encoders at the largest size, and bases, in the first form of their kind.

Inputs: encoders/ and their cards, scores.parquet. Outputs: exports/<arm>/n=N/seed=S/, folders that
other libraries load. No part of `all`: `snakemake exports` makes them.
"""

LARGEST = {run.arm: run.size for run in sorted(STUDY.pretraining_runs, key=lambda run: run.size)}
FINAL = [Run(name, 0, 0) for name in STUDY.bases]
FINAL += [run for run in STUDY.pretraining_runs if run.size == LARGEST[run.arm]]


rule export_encoder:
    input:
        encoder=OUT / f"encoders/{RUN}/encoder.safetensors",
        card=OUT / f"encoders/{RUN}/encoder.json",
        scores=OUT / "scores.parquet",
    output:
        directory(OUT / f"exports/{RUN}"),
    log:
        OUT / "logs/export_encoder/{arm}.n={size}.seed={seed}.log",
    benchmark:
        OUT / "benchmarks/export_encoder/{arm}.n={size}.seed={seed}.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("export"),
    params:
        id=identity("export", "arm"),
        form=lambda wildcards: next(iter(STUDY.encoders[STUDY.encoder_of(wildcards.arm)].exports)),
    shell:
        "python {SCRIPTS:q}/export.py {input.encoder:q} --to {params.form:q} --out {output:q}"
        " --study {SETTINGS:q} --id {params.id:q} --arm {wildcards.arm:q}"
        " --scores {input.scores:q} 2> {log:q}"


rule exports:
    input:
        [OUT / "exports" / run.path for run in FINAL],
