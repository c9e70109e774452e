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
    resources:
        **needs("phantom"),
    params:
        id=identity("phantom", "archive"),
        folder=lambda wildcards: str(data(wildcards.archive, "phantom")),
    shell:
        "python {SCRIPTS}/make_phantom.py --study {SETTINGS:q} --id {params.id}"
        " --archive {wildcards.archive}"
        " --out {params.folder:q} 2> {log:q}"


for name in STUDY.archives:

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
            dicom=str(dicom(name)),
            tubes=["--tubes", str(STUDY.archives[name].tubes)] if masks(name) else [],
            after=lambda wildcards, input: ["--after", *input] if input else [],
            folder=str(data(name, "listing")),
        shell:
            "python {SCRIPTS}/scan.py --study {SETTINGS:q} --id {params.id}"
            " --archive {params.archive} --dicom {params.dicom:q} {params.tubes:q}"
            " {params.after:q} --out {params.folder:q} 2> {log:q}"


rule archive:
    input:
        [partitions(name, "listing/part={part}.tsv") for name in STUDY.archives],
