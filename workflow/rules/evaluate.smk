"""Evaluation of frozen encoders: one job predicts all tasks of a run, and a light one scores them.

Inputs: encoders/, data/institution/, labels/held-out/. The catalog stands for the shards.
Outputs: features/<run>/, tasks/<task>/<run>/{predictions,scores,draws,subgroups,…}.parquet, and the
same below test_archives/<archive>/.
The features and each head's predictions are kept in work/ below the study's folder, by what they
are made of: a job that runs again makes anew what changed.
"""


rule evaluate_run:
    input:
        encoder=OUT / f"encoders/{RUN}/encoder.safetensors",
        # Whether the run failed, and its unique images: as the encoder, which it changes with.
        card=ancient(OUT / f"encoders/{RUN}/encoder.json"),
        catalog=data("institution", "catalog.parquet"),
        # It detects damaged and exchanged images. Which images there are is in the catalog.
        ranges=ancient(data("institution", "ranges.arrow")),
        folders=task_folders(),
        labels=label_tables("held-out"),
        catalogs=[data(name, "catalog.parquet") for name in STUDY.test_archives],
        indexes=ancient([data(name, "ranges.arrow") for name in STUDY.test_archives]),
    output:
        features=OUT / f"features/{RUN}/features.safetensors",
        index=OUT / f"features/{RUN}/index.parquet",
        predictions=[OUT / f"tasks/{task}/{RUN}/predictions.parquet" for task in TASKS],
        elsewhere=[
            *(
                OUT / f"test_archives/{name}/features/{RUN}/{file}"
                for name in STUDY.test_archives
                for file in ("features.safetensors", "index.parquet")
            ),
            *elsewhere("predictions.parquet"),
        ],
    log:
        OUT / "logs/evaluate_run/{arm}.n={size}.seed={seed}.log",
    benchmark:
        OUT / "benchmarks/evaluate_run/{arm}.n={size}.seed={seed}.tsv"
    conda:
        "../envs/radscale.yaml"
    threads: 1
    resources:
        **needs("evaluate", one_gpu),
    params:
        id=identity("evaluate", "arm"),
        shards=str(data("institution", "shards")),
        features=lambda wildcards, output: str(Path(output.features).parent),
        tasks=str(OUT / "tasks"),
        work=str(OUT / "work"),
        labels=["--labels", str(OUT / "labels/held-out")] if label_tables("held-out") else [],
        archives=[
            argument
            for name in STUDY.test_archives
            for argument in (
                *("--test-archive", name, str(data(name))),
                str(data(name, "ranges.arrow")),
            )
        ],
        elsewhere=(["--test-archives", str(OUT / "test_archives")] if STUDY.test_archives else []),
    shell:
        "python {SCRIPTS:q}/evaluate.py --study {SETTINGS:q} --id {params.id:q}"
        " --arm {wildcards.arm:q} --size {wildcards.size:q} --seed {wildcards.seed:q}"
        " --encoder {input.encoder:q} --catalog {input.catalog:q}"
        " --shards {params.shards:q} --ranges {input.ranges:q} {params.labels:q}"
        " --features {params.features:q} --tasks {params.tasks:q} --work {params.work:q}"
        " {params.archives:q} {params.elsewhere:q} --threads {threads} 2> {log:q}"


rule score_run:
    input:
        predictions=[OUT / f"tasks/{task}/{RUN}/predictions.parquet" for task in TASKS],
        elsewhere=elsewhere("predictions.parquet"),
        # What images are grouped by.
        catalog=data("institution", "catalog.parquet"),
        catalogs=[data(name, "catalog.parquet") for name in STUDY.test_archives],
        # Which the predictions must be of; they change with it.
        encoder=ancient(OUT / f"encoders/{RUN}/encoder.safetensors"),
        folders=scoring_folders(),
    output:
        scored(RUN),
        scored_elsewhere(RUN),
    log:
        OUT / "logs/score_run/{arm}.n={size}.seed={seed}.log",
    benchmark:
        OUT / "benchmarks/score_run/{arm}.n={size}.seed={seed}.tsv"
    conda:
        "../envs/radscale.yaml"
    threads: 1
    resources:
        **needs("score"),
    params:
        id=identity("score", "arm"),
        tasks=str(OUT / "tasks"),
        archives=[
            argument
            for name in STUDY.test_archives
            for argument in ("--test-archive", name, str(data(name, "catalog.parquet")))
        ],
        elsewhere=(["--test-archives", str(OUT / "test_archives")] if STUDY.test_archives else []),
    shell:
        "python {SCRIPTS:q}/score_run.py --study {SETTINGS:q} --id {params.id:q}"
        " --arm {wildcards.arm:q} --size {wildcards.size:q} --seed {wildcards.seed:q}"
        " --tasks {params.tasks:q} --catalog {input.catalog:q} --encoder {input.encoder:q}"
        " {params.archives:q} {params.elsewhere:q} 2> {log:q}"


SCORES = [OUT / f"tasks/{task}/{run.path}/scores.parquet" for task in TASKS for run in STUDY.runs]


rule evaluate:
    input:
        SCORES,
