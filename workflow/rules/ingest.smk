"""Ingest: DICOM files to de-identified Parquet shards, every file accounted for.

Inputs: data/<archive>/listing/, the tables of reports, labels and tubes.
Outputs: data/<archive>/tables/<table>.parquet, {index,ledger,shards}/part=K.parquet, ledger.parquet,
catalog.parquet, joins.parquet, texts.parquet; of a test archive leakage.parquet.
"""

for name in OWN:
    if with_tables(name):

        rule:
            name:
                f"tables_{name}"
            input:
                **{table: given_table(name, table) for table in with_tables(name)},
            output:
                [data(name, "tables", f"{table}.parquet") for table in with_tables(name)],
            log:
                OUT / f"logs/tables/{name}.log",
            benchmark:
                OUT / f"benchmarks/tables/{name}.tsv"
            conda:
                "../envs/radscale.yaml"
            resources:
                **needs("tables"),
            params:
                id=identity("tables", archive=name),
                archive=name,
                tables=lambda wildcards, input: [
                    argument
                    for table in ("reports", "labels", "tubes")
                    if input.get(table)
                    for argument in (f"--{table}", input.get(table))
                ],
                folder=str(data(name, "tables")),
            shell:
                "python {SCRIPTS:q}/tables.py --study {SETTINGS:q} --id {params.id:q}"
                " --archive {params.archive:q} {params.tables:q} --out {params.folder:q} 2> {log:q}"


rule ingest_partition:
    input:
        listing=OUT / "data/{archive}/listing/part={part}.tsv",
        reports=ready_table("reports"),
        labels=ready_table("labels"),
        tubes=ready_table("tubes"),
        masks=lambda wildcards: masks(wildcards.archive),
    output:
        index=OUT / "data/{archive}/index/part={part}.parquet",
        ledger=OUT / "data/{archive}/ledger/part={part}.parquet",
        shard=OUT / "data/{archive}/shards/part={part}.parquet",
    log:
        OUT / "logs/ingest_partition/{archive}.{part}.log",
    benchmark:
        OUT / "benchmarks/ingest_partition/{archive}.{part}.tsv"
    conda:
        "../envs/radscale.yaml"
    threads: 4
    resources:
        **needs("ingest"),
    params:
        id=identity("ingest", "archive"),
        dicom=lambda wildcards: str(dicom(wildcards.archive)),
        tables=lambda wildcards, input: [
            argument
            for name in ("reports", "labels", "tubes", "masks")
            for path in [input.get(name)]
            if path
            for argument in (f"--{name}", path)
        ],
    shell:
        "python {SCRIPTS:q}/ingest.py --study {SETTINGS:q} --id {params.id:q}"
        " --archive {wildcards.archive:q} --dicom {params.dicom:q}"
        " {params.tables:q} --listing {input.listing:q}"
        " --index {output.index:q} --ledger {output.ledger:q} --shard {output.shard:q}"
        " --threads {threads} 2> {log:q}"


for name in OWN:

    rule:
        name:
            f"catalog_{name}"
        input:
            listings=partitions(name, "listing/part={part}.tsv"),
            indexes=partitions(name, "index/part={part}.parquet"),
            ledgers=partitions(name, "ledger/part={part}.parquet"),
            shards=partitions(name, "shards/part={part}.parquet"),
            learnt=[data(other, "catalog.parquet") for other in compared_with(name)],
        output:
            **({"leakage": data(name, "leakage.parquet")} if name in STUDY.test_archives else {}),
            ledger=data(name, "ledger.parquet"),
            catalog=data(name, "catalog.parquet"),
            joins=data(name, "joins.parquet"),
            texts=data(name, "texts.parquet"),
        log:
            OUT / f"logs/catalog/{name}.log",
        benchmark:
            OUT / f"benchmarks/catalog/{name}.tsv"
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("catalog"),
        params:
            id=identity("catalog", archive=name),
            archive=name,
            learnt=lambda wildcards, input, name=name: [
                argument
                for other, catalog in zip(compared_with(name), input.learnt)
                for argument in ("--learnt", other, catalog)
            ],
        shell:
            "python {SCRIPTS:q}/catalog.py --study {SETTINGS:q} --id {params.id:q}"
            " --archive {params.archive:q}"
            " --listings {input.listings:q} --ledgers {input.ledgers:q} --shards {input.shards:q}"
            " --ledger {output.ledger:q} --catalog {output.catalog:q} --joins {output.joins:q}"
            " --texts {output.texts:q} {params.learnt:q} 2> {log:q}"


rule ingest:
    input:
        [data(name, "catalog.parquet") for name in STUDY.archives],
