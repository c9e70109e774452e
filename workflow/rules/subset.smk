"""Subsets: nested prefixes of one stable order per seed.

Inputs: data/institution/catalog.parquet.
Outputs: subsets/seed=S/n=N.parquet.
"""


rule draw_subset:
    input:
        catalog=data("institution", "catalog.parquet"),
    output:
        OUT / "subsets/seed={seed}/n={size}.parquet",
    log:
        OUT / "logs/draw_subset/seed={seed}.n={size}.log",
    benchmark:
        OUT / "benchmarks/draw_subset/seed={seed}.n={size}.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("subset"),
    params:
        id=identity("subset"),
    shell:
        "python {SCRIPTS}/subset.py --study {STUDY_FILE:q} --catalog {input.catalog:q}"
        " --seed {wildcards.seed} --size {wildcards.size} --out {output:q} 2> {log:q}"


rule subsets:
    input:
        [OUT / f"subsets/seed={run.seed}/n={run.size}.parquet" for run in STUDY.pretraining_runs],
