"""radscale: a data-scaling study of radiology foundation models, from DICOM files to the report.

    snakemake --cores 2                                     the embedded study (config/config.yaml)
    snakemake --cores 2 --configfile my-study.yaml          a study of your own
    snakemake plan --configfile my-study.yaml               what would run, why, and what it costs
    snakemake check --configfile my-study.yaml              what would stop it, found in seconds
    snakemake status --configfile my-study.yaml             what is done, running, failed and left
    snakemake --report report.zip --configfile my-study.yaml   figures, tables and report in one file
    snakemake verify --configfile my-study.yaml             whether results are still what jobs wrote
    snakemake slim --configfile my-study.yaml               frees disk; slim_shards still more

Targets: all (default), plan, check, status, verify, slim, slim_shards, and one per stage: archive,
ingest, labels, subsets, pretrain, evaluate, scale, figures; audit_labels, reports to read oneself;
and exports, the final encoders for other libraries.
"""

from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


rule all:
    default_target: True
    input:
        OUT / "report.html",


include: "workflow/rules/archive.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/subset.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/scaling.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/export.smk"


provenance.note_commands(workflow.rules)


localrules:
    all,
    plan,
    check,
    status,
    verify,
    slim,
    slim_shards,
    archive,
    ingest,
    labels,
    audit_labels,
    subsets,
    pretrain,
    evaluate,
    scale,
    figures,
    exports,


# Answered from the DAG, without a job (workflow/calls.py).
rule plan:
    input:
        [],


rule status:
    input:
        [],


rule slim:
    input:
        [],


rule slim_shards:
    input:
        [],


rule check:
    log:
        OUT / "logs/check.log",
    conda:
        "workflow/envs/radscale.yaml"
    params:
        study=str(LOOKED_AT),
    shell:
        "python {SCRIPTS:q}/check.py --study {params.study:q} 2> {log:q}"


rule verify:
    log:
        OUT / "logs/verify.log",
    conda:
        "workflow/envs/radscale.yaml"
    params:
        study=str(LOOKED_AT),
    shell:
        "python {SCRIPTS:q}/verify.py --study {params.study:q} 2> {log:q}"


onstart:
    start()


onsuccess:
    if (OUT / "report.html").exists():
        print(plain(f"\nReport:  {OUT / 'report.html'}\nFigures: {OUT / 'figures'}"))
        print(
            "Look first at the answers at the report's top, then at its first figure, the curves."
        )
