"""Figures and the report.

Inputs: scores.parquet, draws.parquet, checkpoints.parquet, fits.parquet, crossovers.parquet,
comparisons.parquet, label_fits.parquet, verdicts.parquet, differences.parquet, subgroups.parquet,
encoders with cards and logs; ledger.parquet, joins.parquet and texts.parquet of each archive;
labels/{counts,agreement}.parquet, labels/audit/scores.parquet; test_archives/<archive>/*.parquet;
masks and generated reports of runs.
Outputs: similarity/<arm>.parquet, tips/<arm>.parquet, examples/<task>.parquet,
figures/<name>.{pdf,svg,png}, tables/<name>.csv, report.html.
"""

SHOWS_TUBES = STUDY.institution.has_tubes and STUDY.labels.tubes
COMPARED = compared() if STUDY.report.similarity and SHOWS_TUBES else {}
"""Runs whose patch similarity is drawn, by arm."""
OF_RUNS = list(dict.fromkeys(run for runs in compared().values() for run in runs))
TABLE_OF = {"segmentation": "masks.parquet", "generation": "examples.parquet"}
SHOWN_OF = {
    task: f"tasks/{task}/{{run}}/{TABLE_OF[section.kind]}"
    for task, section in STUDY.evaluation.tasks.items()
    if STUDY.report.examples and OF_RUNS and section.kind in TABLE_OF
}
"""Tasks that single test images are shown of, and each run's table of them."""
FILMS = [task for task in SHOWN_OF if STUDY.evaluation.tasks[task].kind == "segmentation"]
TEXTS = [task for task in SHOWN_OF if task not in FILMS]
PATIENTS = STUDY.institution.phantom is None and bool(COMPARED or SHOWN_OF)
"""Whether the report shows images or texts of patients: Snakemake's own then leaves it out."""
TRAINED = [run for run in STUDY.pretraining_runs if run.arm in STUDY.trained_arms]
JUDGED = ("scores", "draws", "fits", "crossovers", "comparisons", "verdicts")
TOLD = ("scores", "draws", "fits", "crossovers", "verdicts", "differences", "subgroups")
"""Tables of test archives that figures, and the report, are made of."""
SHOWN = min(STUDY.report.formats, key=("svg", "png", "pdf").index)
"""The format in which Snakemake's own report shows figures."""


rule draw_similarity:
    input:
        encoders=lambda wildcards: [encoder(run) for run in COMPARED[wildcards.arm]],
        catalog=data("institution", "catalog.parquet"),
        # It detects damaged and exchanged images. Which images there are is in the catalog.
        ranges=ancient(data("institution", "ranges.arrow")),
    output:
        maps=OUT / "similarity/{arm}.parquet",
        tips=OUT / "tips/{arm}.parquet",
    log:
        OUT / "logs/draw_similarity/{arm}.log",
    benchmark:
        OUT / "benchmarks/draw_similarity/{arm}.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("similarity", one_gpu),
    params:
        id=identity("similarity", "arm"),
        sizes=lambda wildcards: [run.size for run in COMPARED[wildcards.arm]],
        shards=str(data("institution", "shards")),
    shell:
        "python {SCRIPTS:q}/similarity.py --study {SETTINGS:q} --id {params.id:q}"
        " --catalog {input.catalog:q}"
        " --shards {params.shards:q} --ranges {input.ranges:q}"
        " --encoders {input.encoders:q} --arm {wildcards.arm:q}"
        " --sizes {params.sizes:q} --out {output.maps:q} --tips {output.tips:q} 2> {log:q}"


rule choose_examples:
    input:
        tables=lambda wildcards: [
            OUT / SHOWN_OF[wildcards.task].format(run=run.path) for run in OF_RUNS
        ],
        catalog=data("institution", "catalog.parquet"),
        # As above.
        ranges=ancient(data("institution", "ranges.arrow")),
    output:
        OUT / "examples/{task}.parquet",
    log:
        OUT / "logs/choose_examples/{task}.log",
    benchmark:
        OUT / "benchmarks/choose_examples/{task}.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("examples"),
    params:
        id=identity("examples", "task"),
        shards=str(data("institution", "shards")),
    shell:
        "python {SCRIPTS:q}/examples.py --study {SETTINGS:q} --id {params.id:q}"
        " --task {wildcards.task:q} --tables {input.tables:q} --catalog {input.catalog:q}"
        " --shards {params.shards:q} --ranges {input.ranges:q} --out {output:q} 2> {log:q}"


rule draw_figures:
    input:
        scores=OUT / "scores.parquet",
        draws=OUT / "draws.parquet",
        fits=OUT / "fits.parquet",
        crossovers=OUT / "crossovers.parquet",
        comparisons=OUT / "comparisons.parquet",
        verdicts=OUT / "verdicts.parquet",
        label_fits=OUT / "label_fits.parquet",
        elsewhere=at_archives(*JUDGED),
        similarity=[OUT / f"similarity/{arm}.parquet" for arm in COMPARED],
        tips=[OUT / f"tips/{arm}.parquet" for arm in COMPARED],
        examples=[OUT / f"examples/{task}.parquet" for task in FILMS],
        subsets=SUBSET_CARD,
        checkpoints=OUT / "checkpoints.parquet",
        reliability=OUT / "reliability.parquet",
        logs=[OUT / f"encoders/{run.path}/log.parquet" for run in TRAINED],
    output:
        figures=report(
            directory(OUT / "figures"),
            # Without figures/patients/, a folder of its own for a reason.
            patterns=[f"{{figure,[^/]+}}.{SHOWN}"],
            category="Figures",
            labels={"figure": "{figure}"},
            caption="../report/figure.rst",
        ),
        tables=report(
            directory(OUT / "tables"),
            patterns=["{table,[^/]+}.csv"],
            category="Tables",
            labels={"table": "{table}"},
            caption="../report/table.rst",
        ),
    log:
        OUT / "logs/draw_figures.log",
    benchmark:
        OUT / "benchmarks/draw_figures.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("figures"),
    params:
        id=identity("figures"),
        similarity=lambda wildcards, input: (
            ["--similarity", *input.similarity, "--tips", *input.tips] if COMPARED else []
        ),
        examples=lambda wildcards, input: (
            ["--examples", *input.examples] if input.examples else []
        ),
        subsets=lambda wildcards, input: ["--subsets", input.subsets] if input.subsets else [],
        elsewhere=["--test-archives", str(OUT / "test_archives")] if STUDY.test_archives else [],
        out=str(OUT),
    shell:
        "python {SCRIPTS:q}/figures.py --study {SETTINGS:q} --id {params.id:q}"
        " --scores {input.scores:q}"
        " --fits {input.fits:q} --crossovers {input.crossovers:q}"
        " --comparisons {input.comparisons:q} --verdicts {input.verdicts:q}"
        " {params.similarity:q} --checkpoints {input.checkpoints:q} --logs {input.logs:q}"
        " --reliability {input.reliability:q} --label-fits {input.label_fits:q}"
        " {params.elsewhere:q} {params.examples:q}"
        " {params.subsets:q} --out {params.out:q} 2> {log:q}"


rule write_report:
    input:
        **label_reports(),
        scores=OUT / "scores.parquet",
        draws=OUT / "draws.parquet",
        fits=OUT / "fits.parquet",
        crossovers=OUT / "crossovers.parquet",
        comparisons=OUT / "comparisons.parquet",
        verdicts=OUT / "verdicts.parquet",
        elsewhere=at_archives(*TOLD),
        differences=OUT / "differences.parquet",
        subgroups=OUT / "subgroups.parquet",
        ledgers=[data(name, "ledger.parquet") for name in STUDY.archives],
        joins=[data(name, "joins.parquet") for name in STUDY.archives],
        texts=[data(name, "texts.parquet") for name in STUDY.archives],
        cards=[card(run) for run in STUDY.runs],
        figures=OUT / "figures",
        subsets=SUBSET_CARD,
        splits=SPLITS,
        texts_shown=[OUT / f"examples/{task}.parquet" for task in TEXTS],
    output:
        (
            OUT / "report.html"
            if PATIENTS
            else report(
                OUT / "report.html",
                category="Report",
                labels={"report": "the whole study"},
                caption="../report/report.rst",
            )
        ),
    log:
        OUT / "logs/write_report.log",
    benchmark:
        OUT / "benchmarks/write_report.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("report"),
    params:
        id=identity("report"),
        subsets=lambda wildcards, input: (
            ["--subsets", input.subsets, "--splits", input.splits] if input.subsets else []
        ),
        labels=[
            argument
            for name, path in label_reports().items()
            for argument in (f"--{name.replace('_', '-')}", str(path))
        ],
        elsewhere=["--test-archives", str(OUT / "test_archives")] if STUDY.test_archives else [],
        examples=lambda wildcards, input: (
            ["--examples", *input.texts_shown] if input.texts_shown else []
        ),
    shell:
        "python {SCRIPTS:q}/report.py --study {SETTINGS:q} --id {params.id:q}"
        " --scores {input.scores:q}"
        " --fits {input.fits:q} --crossovers {input.crossovers:q}"
        " --comparisons {input.comparisons:q} --verdicts {input.verdicts:q}"
        " --differences {input.differences:q} --subgroups {input.subgroups:q}"
        " --ledgers {input.ledgers:q} --joins {input.joins:q} --texts {input.texts:q}"
        " --cards {input.cards:q} {params.labels:q}"
        " --figures {input.figures:q} {params.subsets:q} {params.elsewhere:q} {params.examples:q}"
        " --out {output:q} 2> {log:q}"


rule figures:
    input:
        OUT / "figures",
