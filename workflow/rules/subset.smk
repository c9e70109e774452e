"""What training reads: nested subsets, and where each image lies.

Inputs: data/institution/catalog.parquet, data/<archive>/shards/.
Outputs: subsets/seed=S/n=N.parquet, data/<archive>/ranges.arrow.
"""

for name in STUDY.archives:

    rule:
        name:
            f"index_shards_{name}"
        input:
            partitions(name, "shards/part={part}.parquet"),
        output:
            data(name, "ranges.arrow"),
        log:
            OUT / f"logs/index_shards/{name}.log",
        benchmark:
            OUT / f"benchmarks/index_shards/{name}.tsv"
        conda:
            "../envs/radscale.yaml"
        resources:
            mem_mb=need(megabytes, "ranges"),
            runtime=need(minutes, "ranges"),
        params:
            id=identity("ranges"),
            folder=str(data(name, "shards")),
            shards=lambda wildcards, input: [Path(path).name for path in input],
        shell:
            "python {SCRIPTS}/index_shards.py --folder {params.folder:q} --shards {params.shards:q}"
            " --out {output:q} --threads {threads} 2> {log:q}"


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
        mem_mb=need(megabytes, "subset"),
        runtime=need(minutes, "subset"),
    params:
        id=identity("subset"),
    shell:
        "python {SCRIPTS}/subset.py --study {STUDY_FILE:q} --catalog {input.catalog:q}"
        " --seed {wildcards.seed} --size {wildcards.size} --out {output:q} 2> {log:q}"


rule subsets:
    input:
        [OUT / f"subsets/seed={run.seed}/n={run.size}.parquet" for run in STUDY.pretraining_runs],
