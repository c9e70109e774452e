"""What training reads: nested subsets, and where each image lies.

Inputs: data/institution/catalog.parquet, data/<archive>/shards/, labels/pool/.
Outputs: subsets/seed=S/n=N.parquet, subsets/card.parquet, data/<archive>/ranges.arrow.
"""

SUBSETS = sorted({(run.seed, run.size) for run in STUDY.pretraining_runs})

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
            **needs("ranges"),
        params:
            id=identity("ranges"),
            folder=str(data(name, "shards")),
            shards=lambda wildcards, input: [Path(path).name for path in input],
        shell:
            "python {SCRIPTS:q}/index_shards.py --study {SETTINGS:q} --id {params.id:q}"
            " --folder {params.folder:q} --shards {params.shards:q}"
            " --out {output:q} --threads {threads} 2> {log:q}"


rule draw_subset:
    input:
        catalog=data("institution", "catalog.parquet"),
        table=(given(STUDY.subsets.order.table) if STUDY.subsets.order.kind == "curated" else []),
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
        "python {SCRIPTS:q}/subset.py --study {SETTINGS:q} --id {params.id:q}"
        " --catalog {input.catalog:q}"
        " --seed {wildcards.seed:q} --size {wildcards.size:q} --out {output:q} 2> {log:q}"


rule describe_subsets:
    input:
        catalog=data("institution", "catalog.parquet"),
        labels=label_tables("pool"),
        subsets=[OUT / f"subsets/seed={seed}/n={size}.parquet" for seed, size in SUBSETS],
    output:
        card=OUT / "subsets/card.parquet",
        splits=OUT / "subsets/splits.parquet",
    log:
        OUT / "logs/describe_subsets.log",
    benchmark:
        OUT / "benchmarks/describe_subsets.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("subset_card"),
    params:
        id=identity("subset_card"),
        labels=["--labels", str(OUT / "labels/pool")] if label_tables("pool") else [],
    shell:
        "python {SCRIPTS:q}/subset_card.py --study {SETTINGS:q} --id {params.id:q}"
        " --catalog {input.catalog:q} {params.labels:q}"
        " --subsets {input.subsets:q} --out {output.card:q} --splits {output.splits:q} 2> {log:q}"


SUBSET_CARD = OUT / "subsets/card.parquet" if STUDY.arms else []
SPLITS = OUT / "subsets/splits.parquet" if STUDY.arms else []


rule subsets:
    input:
        SUBSET_CARD,
