"""Pretraining: base weights, and each arm continued on each subset under one budget; means of both.

Inputs: subsets/, data/<archive>/{catalog.parquet,shards/}, labels/pool/, released weights.
Outputs: encoders/<arm>/n=N/seed=S/{encoder.safetensors,encoder.json,log.parquet}; the same of <arm>@<share>, for
shares of the budget that the arm keeps.
The catalog stands for the shards: naming each of thousands in every job would make the DAG slow.
Training state lives in work/ below the study's folder, keyed by what is trained on what: it is no
declared output, since Snakemake deletes the outputs of a failed job.
"""

if STUDY.bases:

    rule pretrain_base:
        input:
            catalog=data("public", "catalog.parquet"),
            ranges=ancient(data("public", "ranges.arrow")),
        output:
            encoder=OUT / "encoders/{arm}/n=0/seed=0/encoder.safetensors",
            card=OUT / "encoders/{arm}/n=0/seed=0/encoder.json",
            log=OUT / "encoders/{arm}/n=0/seed=0/log.parquet",
        log:
            OUT / "logs/pretrain_base/{arm}.log",
        benchmark:
            OUT / "benchmarks/pretrain_base/{arm}.tsv"
        wildcard_constraints:
            arm="|".join(STUDY.bases),
        priority: 2
        conda:
            "../envs/radscale.yaml"
        threads: 1
        resources:
            **needs_training(),
        params:
            id=identity("pretrain", "arm"),
            shards=str(data("public", "shards")),
            work=str(OUT / "work"),
            out=lambda wildcards, output: str(Path(output.encoder).parent),
        shell:
            "{LAUNCH:q} --threads {threads} {SCRIPTS:q}/pretrain.py --study {SETTINGS:q} --id {params.id:q}"
            " --arm {wildcards.arm:q} --size 0 --seed 0 --catalog {input.catalog:q}"
            " --shards {params.shards:q} --ranges {input.ranges:q} --work {params.work:q}"
            " --out {params.out:q} --threads {threads} {SCRATCH:q} 2> {log:q}"


released = [arm for arm in STUDY.evaluated_only if arm not in STUDY.bases]

if released:

    rule import_weights:
        input:
            lambda wildcards: given(STUDY.encoders[STUDY.encoder_of(wildcards.arm)].weights),
        output:
            encoder=OUT / "encoders/{arm}/n=0/seed=0/encoder.safetensors",
            card=OUT / "encoders/{arm}/n=0/seed=0/encoder.json",
            log=OUT / "encoders/{arm}/n=0/seed=0/log.parquet",
        log:
            OUT / "logs/import_weights/{arm}.log",
        benchmark:
            OUT / "benchmarks/import_weights/{arm}.tsv"
        wildcard_constraints:
            arm="|".join(released),
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("weights"),
        params:
            id=identity("weights", "arm"),
            out=lambda wildcards, output: str(Path(output.encoder).parent),
        shell:
            "python {SCRIPTS:q}/import_weights.py --study {SETTINGS:q} --id {params.id:q}"
            " --arm {wildcards.arm:q} --out {params.out:q} 2> {log:q}"


if STUDY.floors:

    rule make_floor:
        input:
            described=lambda wildcards: given(described_by(wildcards.arm)),
            catalog=lambda wildcards: films_of_floor(wildcards.arm, "catalog.parquet"),
            ranges=lambda wildcards: ancient(films_of_floor(wildcards.arm, "ranges.arrow")),
        output:
            encoder=OUT / "encoders/{arm}/n=0/seed=0/encoder.safetensors",
            card=OUT / "encoders/{arm}/n=0/seed=0/encoder.json",
            log=OUT / "encoders/{arm}/n=0/seed=0/log.parquet",
        log:
            OUT / "logs/make_floor/{arm}.log",
        benchmark:
            OUT / "benchmarks/make_floor/{arm}.tsv"
        wildcard_constraints:
            arm="|".join(STUDY.floors),
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("floor"),
        params:
            id=identity("floor", "arm"),
            films=lambda wildcards, input: (
                [
                    *("--catalog", input.catalog, "--ranges", input.ranges),
                    *("--shards", str(data("institution", "shards"))),
                ]
                if input.catalog
                else []
            ),
            out=lambda wildcards, output: str(Path(output.encoder).parent),
        shell:
            "python {SCRIPTS:q}/floor.py --study {SETTINGS:q} --id {params.id:q}"
            " --arm {wildcards.arm:q} {params.films:q} --out {params.out:q} 2> {log:q}"


# A rule for the arms that keep the same encoders on the way, since a rule's outputs are fixed.
for training, trained in jobs.training_rules(STUDY).items():
    set_as_for(training, jobs.TRAINING)
    KEPT = [kept_name("{arm}", share) for share in STUDY.arms[trained[0]].kept]

    rule:
        name:
            training
        input:
            subset=OUT / "subsets/seed={seed}/n={size}.parquet",
            base=lambda wildcards: encoder(STUDY.baseline_of(wildcards.arm)),
            # Where the images lie. What they are is in the subset's digests, so it triggers nothing.
            catalog=ancient(data("institution", "catalog.parquet")),
            ranges=ancient(data("institution", "ranges.arrow")),
            labels=lambda wildcards: (label_tables("pool") if learns_labels(wildcards.arm) else []),
        output:
            encoder=OUT / "encoders/{arm}/n={size}/seed={seed}/encoder.safetensors",
            card=OUT / "encoders/{arm}/n={size}/seed={seed}/encoder.json",
            log=OUT / "encoders/{arm}/n={size}/seed={seed}/log.parquet",
            kept=[
                OUT / f"encoders/{name}/n={{size}}/seed={{seed}}/{file}"
                for name in KEPT
                for file in ("encoder.safetensors", "encoder.json", "log.parquet")
            ],
        log:
            OUT / f"logs/{training}/{{arm}}.n={{size}}.seed={{seed}}.log",
        benchmark:
            OUT / f"benchmarks/{training}/{{arm}}.n={{size}}.seed={{seed}}.tsv"
        wildcard_constraints:
            arm="|".join(trained),
        priority: 1
        conda:
            "../envs/radscale.yaml"
        threads: 1
        resources:
            **needs_training(),
        params:
            id=identity("pretrain", "arm"),
            shards=str(data("institution", "shards")),
            work=str(OUT / "work"),
            labels=lambda wildcards, input: (
                ["--labels", str(OUT / "labels/pool")] if input.labels else []
            ),
            out=lambda wildcards, output: str(Path(output.encoder).parent),
            kept=lambda wildcards, output: (
                ["--kept", *dict.fromkeys(str(Path(file).parent) for file in output.kept)]
                if output.kept
                else []
            ),
        shell:
            "{LAUNCH:q} --threads {threads} {SCRIPTS:q}/pretrain.py --study {SETTINGS:q} --id {params.id:q}"
            " --arm {wildcards.arm:q} --size {wildcards.size:q} --seed {wildcards.seed:q}"
            " --catalog {input.catalog:q} --shards {params.shards:q} --ranges {input.ranges:q}"
            " --subset {input.subset:q} {params.labels:q}"
            " --base {input.base:q} --work {params.work:q} --out {params.out:q} {params.kept:q}"
            " --threads {threads} {SCRATCH:q} 2> {log:q}"


if STUDY.interpolated_arms:

    rule interpolate_arm:
        input:
            trained=lambda wildcards: encoder(interpolated(wildcards)),
            card=lambda wildcards: card(interpolated(wildcards)),
            base=lambda wildcards: encoder(STUDY.baseline_of(wildcards.arm)),
        output:
            encoder=OUT / "encoders/{arm}/n={size}/seed={seed}/encoder.safetensors",
            card=OUT / "encoders/{arm}/n={size}/seed={seed}/encoder.json",
            log=OUT / "encoders/{arm}/n={size}/seed={seed}/log.parquet",
        log:
            OUT / "logs/interpolate_arm/{arm}.n={size}.seed={seed}.log",
        benchmark:
            OUT / "benchmarks/interpolate_arm/{arm}.n={size}.seed={seed}.tsv"
        wildcard_constraints:
            arm="|".join(STUDY.interpolated_arms),
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("interpolate"),
        params:
            id=identity("interpolate", "arm"),
            out=lambda wildcards, output: str(Path(output.encoder).parent),
        shell:
            "python {SCRIPTS:q}/interpolate.py --study {SETTINGS:q} --id {params.id:q}"
            " --arm {wildcards.arm:q} --size {wildcards.size:q} --seed {wildcards.seed:q}"
            " --trained {input.trained:q} --base {input.base:q} --out {params.out:q} 2> {log:q}"


rule pretrain:
    input:
        [encoder(run) for run in STUDY.runs],
