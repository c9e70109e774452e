"""Labels that are read from reports, by rules or by an endpoint, and audited.

Inputs: data/institution/catalog.parquet, the filled sample of the audit.
Outputs: labels/<source>/part=K.parquet, labels/{pool,held-out}/<group>.parquet,
labels/{counts,agreement}.parquet; labels/audit/{sample.csv,page.html}, labels/audit/scores.parquet.
A study whose labels come from a table alone has none of these.
"""

READ = STUDY.labels.readers
AUDITED = OUT / "labels/audit/scores.parquet" if STUDY.labels.audit.table and READ else []
"""What the filled sample says, if there is one."""


if READ:

    rule read_labels:
        input:
            data("institution", "catalog.parquet"),
        output:
            OUT / "labels/{source}/part={part}.parquet",
        log:
            OUT / "logs/read_labels/{source}.{part}.log",
        benchmark:
            OUT / "benchmarks/read_labels/{source}.{part}.tsv"
        wildcard_constraints:
            source="|".join(READ),
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("labels"),
        params:
            id=identity("labels", "source"),
            answers=str(OUT / "labels/answers"),
        shell:
            "python {SCRIPTS:q}/read_labels.py --study {SETTINGS:q} --id {params.id:q}"
            " --source {wildcards.source:q} --part {wildcards.part:q} --catalog {input:q}"
            " --answers {params.answers:q} --out {output:q} 2> {log:q}"

    rule join_labels:
        input:
            **{source: label_parts(source) for source in READ},
            catalog=data("institution", "catalog.parquet"),
            audit=AUDITED,
        output:
            label_tables("pool"),
            label_tables("held-out"),
            counts=OUT / "labels/counts.parquet",
            agreement=OUT / "labels/agreement.parquet",
        log:
            OUT / "logs/join_labels.log",
        benchmark:
            OUT / "benchmarks/join_labels.tsv"
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("joined_labels"),
        params:
            id=identity("joined_labels"),
            parts=given_parts,
            audit=lambda wildcards, input: ["--audit", input.audit] if input.audit else [],
            out=str(OUT / "labels"),
        shell:
            "python {SCRIPTS:q}/join_labels.py --study {SETTINGS:q} --id {params.id:q}"
            " --catalog {input.catalog:q} {params.parts:q} {params.audit:q} --out {params.out:q}"
            " 2> {log:q}"

    rule sample_labels:
        input:
            **{source: label_parts(source) for source in READ},
            catalog=data("institution", "catalog.parquet"),
        output:
            table=OUT / "labels/audit/sample.csv",
            page=OUT / "labels/audit/page.html",
        log:
            OUT / "logs/sample_labels.log",
        benchmark:
            OUT / "benchmarks/sample_labels.tsv"
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("audit_sample"),
        params:
            id=identity("audit_sample"),
            parts=given_parts,
            out=lambda wildcards, output: str(Path(output.table).parent),
        shell:
            "python {SCRIPTS:q}/sample_labels.py --study {SETTINGS:q} --id {params.id:q}"
            " --catalog {input.catalog:q} {params.parts:q} --out {params.out:q} 2> {log:q}"


if AUDITED:

    rule score_labels:
        input:
            **{source: label_parts(source) for source in READ},
            filled=given(STUDY.labels.audit.table),
            catalog=data("institution", "catalog.parquet"),
        output:
            AUDITED,
        log:
            OUT / "logs/score_labels.log",
        benchmark:
            OUT / "benchmarks/score_labels.tsv"
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("audit"),
        params:
            id=identity("audit"),
            parts=given_parts,
        shell:
            "python {SCRIPTS:q}/audit_labels.py --study {SETTINGS:q} --id {params.id:q}"
            " --filled {input.filled:q} --catalog {input.catalog:q} {params.parts:q}"
            " --out {output:q} 2> {log:q}"


JOINED = OUT / "labels/agreement.parquet" if READ else []


rule labels:
    input:
        JOINED,


rule audit_labels:
    input:
        OUT / "labels/audit/sample.csv" if READ else [],
