"""Scaling: one table of scores, differences between encoders, and the fits.

Inputs: tasks/<task>/<run>/{scores,draws,subgroups,reliability}.parquet.
Outputs: scores.parquet, draws.parquet, subgroups.parquet, reliability.parquet, checkpoints.parquet,
differences.parquet, fits.parquet, crossovers.parquet, comparisons.parquet, label_fits.parquet,
verdicts.parquet, joint.parquet; of each test archive the same in test_archives/<archive>/, but for
checkpoints.parquet and joint.parquet.
"""

GATHERED = ("scores", "draws", "subgroups", "reliability")
"""Tables of tasks and runs that are put together."""
AT = "test_archives/{archive}"
CHOSEN_BY = STUDY.scaling.checkpoint_by
KEEPING = {arm for arm, _ in STUDY.kept.values()}
ALONG = STUDY.kept_runs + [run for run in STUDY.pretraining_runs if run.arm in KEEPING]


rule gather_scores:
    input:
        scores=SCORES,
        beside=[path for run in STUDY.runs for path in scored(run.path, *GATHERED[1:])],
        predictions=[
            OUT / f"tasks/{CHOSEN_BY}/{run.path}/predictions.parquet" for run in ALONG if CHOSEN_BY
        ],
    output:
        scores=OUT / "scores.parquet",
        draws=OUT / "draws.parquet",
        subgroups=OUT / "subgroups.parquet",
        reliability=OUT / "reliability.parquet",
        checkpoints=OUT / "checkpoints.parquet",
    log:
        OUT / "logs/gather_scores.log",
    benchmark:
        OUT / "benchmarks/gather_scores.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("gather"),
    params:
        id=identity("gather"),
    shell:
        "python {SCRIPTS:q}/gather.py --study {SETTINGS:q} --id {params.id:q}"
        " --scores {input.scores:q} --predictions {input.predictions:q}"
        " --out {output.scores:q} --checkpoints {output.checkpoints:q} 2> {log:q}"


rule compare_encoders:
    input:
        scores=OUT / "scores.parquet",
        draws=OUT / "draws.parquet",
    output:
        OUT / "differences.parquet",
    log:
        OUT / "logs/compare_encoders.log",
    benchmark:
        OUT / "benchmarks/compare_encoders.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("compare"),
    params:
        id=identity("compare"),
    shell:
        "python {SCRIPTS:q}/compare.py --study {SETTINGS:q} --id {params.id:q}"
        " --scores {input.scores:q} --out {output:q} 2> {log:q}"


rule fit_scaling:
    input:
        scores=OUT / "scores.parquet",
        draws=OUT / "draws.parquet",
        checkpoints=OUT / "checkpoints.parquet",
    output:
        fits=OUT / "fits.parquet",
        crossovers=OUT / "crossovers.parquet",
        comparisons=OUT / "comparisons.parquet",
        label_fits=OUT / "label_fits.parquet",
        verdicts=OUT / "verdicts.parquet",
        joint=OUT / "joint.parquet",
    log:
        OUT / "logs/fit_scaling.log",
    benchmark:
        OUT / "benchmarks/fit_scaling.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("fit"),
    params:
        id=identity("fit"),
    shell:
        "python {SCRIPTS:q}/fit.py --study {SETTINGS:q} --id {params.id:q}"
        " --scores {input.scores:q} --checkpoints {input.checkpoints:q} --joint {output.joint:q}"
        " --fits {output.fits:q} --crossovers {output.crossovers:q}"
        " --comparisons {output.comparisons:q} --label-fits {output.label_fits:q}"
        " --verdicts {output.verdicts:q} 2> {log:q}"


rule gather_elsewhere:
    input:
        lambda wildcards: [
            path
            for run in STUDY.runs
            for path in scored_elsewhere(run.path, [wildcards.archive], *GATHERED)
        ],
    output:
        scores=OUT / f"{AT}/scores.parquet",
        draws=OUT / f"{AT}/draws.parquet",
        subgroups=OUT / f"{AT}/subgroups.parquet",
        reliability=OUT / f"{AT}/reliability.parquet",
    log:
        OUT / "logs/gather_elsewhere/{archive}.log",
    benchmark:
        OUT / "benchmarks/gather_elsewhere/{archive}.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("gather_elsewhere"),
    params:
        id=identity("gather_elsewhere", "archive"),
        scores=lambda wildcards, input: [
            path for path in input if Path(path).name == "scores.parquet"
        ],
    shell:
        "python {SCRIPTS:q}/gather.py --study {SETTINGS:q} --id {params.id:q}"
        " --archive {wildcards.archive:q} --scores {params.scores:q} --out {output.scores:q}"
        " 2> {log:q}"


rule compare_elsewhere:
    input:
        scores=OUT / f"{AT}/scores.parquet",
        draws=OUT / f"{AT}/draws.parquet",
    output:
        OUT / f"{AT}/differences.parquet",
    log:
        OUT / "logs/compare_elsewhere/{archive}.log",
    benchmark:
        OUT / "benchmarks/compare_elsewhere/{archive}.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("compare_elsewhere"),
    params:
        id=identity("compare_elsewhere", "archive"),
    shell:
        "python {SCRIPTS:q}/compare.py --study {SETTINGS:q} --id {params.id:q}"
        " --archive {wildcards.archive:q} --scores {input.scores:q} --out {output:q} 2> {log:q}"


rule fit_elsewhere:
    input:
        scores=OUT / f"{AT}/scores.parquet",
        draws=OUT / f"{AT}/draws.parquet",
    output:
        fits=OUT / f"{AT}/fits.parquet",
        crossovers=OUT / f"{AT}/crossovers.parquet",
        comparisons=OUT / f"{AT}/comparisons.parquet",
        label_fits=OUT / f"{AT}/label_fits.parquet",
        verdicts=OUT / f"{AT}/verdicts.parquet",
    log:
        OUT / "logs/fit_elsewhere/{archive}.log",
    benchmark:
        OUT / "benchmarks/fit_elsewhere/{archive}.tsv"
    conda:
        "../envs/radscale.yaml"
    resources:
        **needs("fit_elsewhere"),
    params:
        id=identity("fit_elsewhere", "archive"),
    shell:
        "python {SCRIPTS:q}/fit.py --study {SETTINGS:q} --id {params.id:q}"
        " --archive {wildcards.archive:q} --scores {input.scores:q}"
        " --fits {output.fits:q} --crossovers {output.crossovers:q}"
        " --comparisons {output.comparisons:q} --label-fits {output.label_fits:q}"
        " --verdicts {output.verdicts:q} 2> {log:q}"


rule scale:
    input:
        OUT / "fits.parquet",
        at_archives("fits", "differences"),
