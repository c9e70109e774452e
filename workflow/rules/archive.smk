"""Archives: the embedded phantom, and the list of files found.

Inputs: none, or the DICOM folder of the study.
Outputs: data/<archive>/phantom/ (phantom archives), data/<archive>/listing/part=K.tsv, and
listing/masks.tsv (archives with a table of tubes).
"""


rule make_phantom:
    output:
        manifest=OUT / "data/{archive}/phantom/manifest.json",
        reports=OUT / "data/{archive}/phantom/reports.csv",
        labels=OUT / "data/{archive}/phantom/labels.csv",
        tubes=OUT / "data/{archive}/phantom/tubes.csv",
    log:
        OUT / "logs/make_phantom/{archive}.log",
    benchmark:
        OUT / "benchmarks/make_phantom/{archive}.tsv"
    conda:
        "../envs/radscale.yaml"
    threads: 4
    resources:
        **needs("phantom"),
    params:
        id=identity("phantom", "archive"),
        folder=lambda wildcards: str(data(wildcards.archive, "phantom")),
    shell:
        "python {SCRIPTS:q}/make_phantom.py --study {SETTINGS:q} --id {params.id:q}"
        " --archive {wildcards.archive:q}"
        " --out {params.folder:q} --threads {threads} 2> {log:q}"


for name in OWN:

    rule:
        name:
            f"scan_{name}"
        input:
            [data(name, "phantom", "manifest.json")] if STUDY.archives[name].phantom else [],
        output:
            partitions(name, "listing/part={part}.tsv"),
            masks(name),
        log:
            OUT / f"logs/scan/{name}.log",
        benchmark:
            OUT / f"benchmarks/scan/{name}.tsv"
        conda:
            "../envs/radscale.yaml"
        resources:
            **needs("scan"),
        params:
            id=identity("scan", archive=name),
            archive=name,
            # Functions, since braces in a text would be wildcards.
            dicom=lambda wildcards, name=name: str(dicom(name)),
            tubes=lambda wildcards, name=name: (
                ["--tubes", str(STUDY.archives[name].tubes)] if masks(name) else []
            ),
            after=lambda wildcards, input: ["--after", *input] if input else [],
            folder=str(data(name, "listing")),
        shell:
            "python {SCRIPTS:q}/scan.py --study {SETTINGS:q} --id {params.id:q}"
            " --archive {params.archive:q} --dicom {params.dicom:q} {params.tubes:q}"
            " {params.after:q} --out {params.folder:q} 2> {log:q}"


rule archive:
    input:
        [partitions(name, "listing/part={part}.tsv") for name in STUDY.archives],
