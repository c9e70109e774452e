"""Scaling: one table of scores, differences between encoders, and the fits.

Inputs: tasks/<task>/<run>/{scores,draws,subgroups,reliability}.parquet.
Outputs: scores.parquet, draws.parquet, subgroups.parquet, reliability.parquet, checkpoints.parquet,
differences.parquet, fits.parquet, crossovers.parquet, comparisons.parquet, label_fits.parquet,
verdicts.parquet, joint.parquet, test_scores.parquet (of a study with test
archives).
"""

TEST_SCORES = [OUT / "test_scores.parquet"] if STUDY.test_archives else []
CHOSEN_BY = STUDY.scaling.checkpoint_by
KEEPING = {arm for arm, _ in STUDY.kept.values()}
ALONG = STUDY.kept_runs + [run for run in STUDY.pretraining_runs if run.arm in KEEPING]


rule gather_scores:
    input:
        scores=SCORES,
        beside=[
            path
            for run in STUDY.runs
            for path in scored(run.path, "draws", "subgroups", "reliability")
        ],
        predictions=[
            OUT / f"tasks/{CHOSEN_BY}/{run.path}/predictions.parquet" for run in ALONG if CHOSEN_BY
        ],
        elsewhere=[
            path
            for run in STUDY.runs
            for name in ("scores.parquet", "draws.parquet")
            for path in elsewhere(name, run.path)
        ],
    output:
        scores=OUT / "scores.parquet",
        draws=OUT / "draws.parquet",
        subgroups=OUT / "subgroups.parquet",
        reliability=OUT / "reliability.parquet",
        checkpoints=OUT / "checkpoints.parquet",
        elsewhere=TEST_SCORES,
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
        elsewhere=lambda wildcards, output: (
            ["--test-archives", str(OUT / "test_archives"), "--test-out", *output.elsewhere]
            if STUDY.test_archives
            else []
        ),
    shell:
        "python {SCRIPTS:q}/gather.py --study {SETTINGS:q} --id {params.id:q}"
        " --scores {input.scores:q} --predictions {input.predictions:q}"
        " --out {output.scores:q} --checkpoints {output.checkpoints:q}"
        " {params.elsewhere:q} 2> {log:q}"


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


rule scale:
    input:
        OUT / "fits.parquet",
