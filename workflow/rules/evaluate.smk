"""Evaluation of frozen encoders: shared features, then one job per task and run.

Inputs: encoders/, data/institution/. The catalog stands for the shards.
Outputs: features/<run>/, tasks/<task>/<run>/{scores,predictions}.parquet.
"""

RUN = "{arm}/n={size}/seed={seed}"


rule extract_features:
    input:
        encoder=OUT / f"encoders/{RUN}/encoder.safetensors",
        # Whether the run failed, and its unique images: as the encoder, which it changes with.
        card=ancient(OUT / f"encoders/{RUN}/encoder.json"),
        catalog=data("institution", "catalog.parquet"),
        # It tells damaged and exchanged images. Which images there are is in the catalog.
        ranges=ancient(data("institution", "ranges.arrow")),
    output:
        features=OUT / f"features/{RUN}/features.safetensors",
        index=OUT / f"features/{RUN}/index.parquet",
    log:
        OUT / "logs/extract_features/{arm}.n={size}.seed={seed}.log",
    benchmark:
        OUT / "benchmarks/extract_features/{arm}.n={size}.seed={seed}.tsv"
    conda:
        "../envs/radscale.yaml"
    threads: 1
    resources:
        **needs("features", one_gpu),
    params:
        id=identity("features", "arm"),
        shards=str(data("institution", "shards")),
        out=lambda wildcards, output: str(Path(output.features).parent),
    shell:
        "python {SCRIPTS:q}/features.py --study {SETTINGS:q} --id {params.id:q}"
        " --arm {wildcards.arm:q}"
        " --size {wildcards.size:q} --seed {wildcards.seed:q} --encoder {input.encoder:q}"
        " --catalog {input.catalog:q} --shards {params.shards:q}"
        " --ranges {input.ranges:q} --out {params.out:q}"
        " --threads {threads} 2> {log:q}"


rule evaluate_task:
    input:
        encoder=OUT / f"encoders/{RUN}/encoder.safetensors",
        # Whether the run failed, and its unique images: as the encoder, which it changes with.
        card=ancient(OUT / f"encoders/{RUN}/encoder.json"),
        features=OUT / f"features/{RUN}/features.safetensors",
        index=OUT / f"features/{RUN}/index.parquet",
        catalog=data("institution", "catalog.parquet"),
        # It tells damaged and exchanged images. Which images there are is in the catalog.
        ranges=ancient(data("institution", "ranges.arrow")),
        language_model=lambda wildcards: language_model(wildcards.task),
    output:
        scores=OUT / f"tasks/{{task}}/{RUN}/scores.parquet",
        predictions=OUT / f"tasks/{{task}}/{RUN}/predictions.parquet",
    log:
        OUT / "logs/evaluate_task/{task}.{arm}.n={size}.seed={seed}.log",
    benchmark:
        OUT / "benchmarks/evaluate_task/{task}.{arm}.n={size}.seed={seed}.tsv"
    conda:
        "../envs/radscale.yaml"
    threads: 1
    resources:
        **needs("evaluate", one_gpu),
    params:
        id=identity("evaluate", "task", "arm"),
        shards=str(data("institution", "shards")),
        features=lambda wildcards, input: str(Path(input.features).parent),
        out=lambda wildcards, output: str(Path(output.scores).parent),
    shell:
        "python {SCRIPTS:q}/evaluate.py --study {SETTINGS:q} --id {params.id:q}"
        " --task {wildcards.task:q}"
        " --arm {wildcards.arm:q} --size {wildcards.size:q} --seed {wildcards.seed:q}"
        " --encoder {input.encoder:q} --features {params.features:q} --catalog {input.catalog:q}"
        " --shards {params.shards:q} --ranges {input.ranges:q} --out {params.out:q}"
        " --threads {threads} 2> {log:q}"


SCORES = [OUT / f"tasks/{task}/{run.path}/scores.parquet" for task in TASKS for run in STUDY.runs]


rule evaluate:
    input:
        SCORES,
