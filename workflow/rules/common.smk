"""The study, its paths, and what a rule needs: every helper that more than one rule file uses."""

import re
import gc
import signal
import sys
import time
from contextlib import contextmanager
from functools import cache
from os import environ, pathsep
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The folder of this Snakefile. In a checkout the library lies beside it, and none other is used.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
sys.path.insert(0, str(ROOT))
# The jobs of a DAG stay: looking through them for garbage as often as usual is a tenth of a dry run.
gc.set_threshold(200_000, 50, 100)
# Rules call `python`: the one that runs Snakemake, unless a conda environment is activated over it.
FIRST = {"PATH": Path(sys.executable).parent}
if (ROOT / "radscale_lib").is_dir():
    FIRST["PYTHONPATH"] = ROOT
elif workflow.deployment_settings.deployment_method:
    raise WorkflowError(
        "environments by conda or containers lack the installed package radscale: leave "
        "--software-deployment-method out, or use a checkout of the project"
    )
for variable, folder in FIRST.items():
    environ[variable] = pathsep.join(filter(None, [str(folder), environ.get(variable)]))

import radscale_lib  # by the logger, it may be loaded already

LOADED = Path(radscale_lib.__file__).parents[1].resolve()
if "PYTHONPATH" in FIRST and LOADED != ROOT.resolve():
    raise WorkflowError(
        f"{LOADED}: snakemake runs with this code, and its jobs would with that of {ROOT}: use an "
        f"environment of {ROOT} (make env), or set PYTHONPATH to {ROOT}{pathsep}{ROOT}/workflow/logger"
    )

from radscale_lib.archive import listing, retries
from radscale_lib.files import make_private
from radscale_lib.planning.needs import minutes, megabytes
from workflow.site import SiteError, load_site, site_file
from radscale_lib.planning.code import recall, remember
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.provenance.manifest import code_file
from radscale_lib.provenance.settings import are_settings, settings_file, settings_text
from radscale_lib.provenance.settings import write_settings
from radscale_lib.provenance.step import restate
from radscale_lib.study import Run, StudyError, parse_study
from radscale_lib.study.model import kept_name
from radscale_lib.study.paths import path_problems
from radscale_lib.tasks.runs import scored_files
from radscale_lib.texts import plain
from workflow.configuration import read_configuration
from workflow import calls, guard, jobs, journal, plan, progress, provenance, reports, sharing, slim

try:
    CONFIGURATION = workflow.config_settings
    FILES = list(map(Path, workflow.configfiles))
    if CONFIGURATION.replace_workflow_config and CONFIGURATION.overwrite_config:
        FILES = CONFIGURATION.configfiles
    STUDY = parse_study(read_configuration(FILES, CONFIGURATION.config), ", ".join(map(str, FILES)))
    SITE = load_site(site_file())
    NODES = SITE.nodes(STUDY.compute.devices)
except (StudyError, SiteError) as error:
    raise WorkflowError(str(error)) from None

OUT = STUDY.folder
PRIVATE = ["data", "labels", "subsets", "features", "similarity", "examples", "tasks", "work"]
PRIVATE += ["test_archives"] if STUDY.test_archives else []
"""Folders with rows of images and patients."""
SCRIPTS = str(ROOT / "scripts")
SETTINGS = settings_file(STUDY)
"""The study as every job reads it."""
if not workflow.is_main_process:
    SETTINGS = next(filter(are_settings, map(Path, workflow.configfiles)), SETTINGS)
LAUNCH = [
    *("python", f"{SCRIPTS}/launch.py"),
    *("--devices", str(STUDY.compute.devices), "--nodes", str(NODES)),
    *(["--gpus"] if STUDY.compute.device == "cuda" else []),
]
"""The command that starts the processes of a training; its script and arguments follow."""
CALL = calls.Call(workflow, OUT / ".running")
LOOKED_AT = workflow.snakemake_tmp_dir / "study.json"
"""The study as this call of snakemake has it, for the read-only targets."""
SCRATCH = ["--scratch", SITE.scratch] if SITE.scratch else []
TASKS = list(STUDY.evaluation.tasks)
# As a module of another Snakefile: Snakemake looks there for the names in shell commands.
workflow.modifier_stack[0].globals.update(
    SCRIPTS=SCRIPTS, SETTINGS=SETTINGS, LAUNCH=LAUNCH, SCRATCH=SCRATCH
)


wildcard_constraints:
    archive="|".join(STUDY.archives),
    arm="|".join(dict.fromkeys([*STUDY.bases, *(run.arm for run in STUDY.runs)])),
    task="|".join(TASKS),
    part=r"\d+",
    size=r"\d+",
    seed=r"\d+",


def identity(stage, *wildcard_names, **names):
    """The stage id, as a rule's parameter; `wildcard_names` are what its slice depends on."""
    return provenance.Identity(
        lambda wildcards: _identity(
            stage, **names, **{name: wildcards[name] for name in wildcard_names}
        )
    )


@cache
def _identity(stage, **names):
    parts = components(STUDY, stage, **names)
    id = stage_id(parts)
    IDS[id] = parts
    return id


IDS = {}
"""Components of the stage ids that jobs have, by id."""


OWN = [name for name, archive in STUDY.archives.items() if not archive.ingested]
"""Archives that this study ingests itself."""


def data(archive, *parts):
    """A file of an archive; the index of its shards is each study's own."""
    if parts == ("ranges.arrow",):
        return OUT.joinpath("data", archive, *parts)
    return STUDY.data_folder(archive).joinpath(*parts)


def partitions(archive, pattern):
    """A file of each partition of an archive, in order."""
    count = STUDY.archives[archive].partitions
    return [data(archive, pattern.format(part=part)) for part in range(count)]


def with_tables(archive):
    """Tables that an archive has and the study reads."""
    source = STUDY.archives[archive]
    return [n for n in STUDY.tables_of(archive) if source.phantom or getattr(source, n)]


def given_table(archive, name):
    """A table as it is given, or as the phantom has it."""
    if STUDY.archives[archive].phantom:
        return data(archive, "phantom", f"{name}.csv")
    return given(getattr(STUDY.archives[archive], name))


def ready_table(name):
    """A table of the partition's archive made ready for joining, if it has one."""

    def of(wildcards):
        if name not in with_tables(wildcards.archive):
            return []
        return data(wildcards.archive, "tables", f"{name}.parquet")

    return of


def label_tables(folder):
    """The labels' tables for the images of `pool` or `held-out`; none if the catalog has labels."""
    groups = STUDY.labels.groups_in(folder) if STUDY.labels.readers else ()
    return [OUT / "labels" / folder / f"{group}.parquet" for group in groups]


def label_parts(source):
    """The parts of what a source read of the reports."""
    return [OUT / f"labels/{source}/part={k}.parquet" for k in range(STUDY.labels.partitions)]


def given_parts(wildcards, input):
    """The parts of all sources that read reports, as a command line names them."""
    readers = STUDY.labels.readers
    return [argument for source in readers for argument in (f"--{source}", *input[source])]


def label_reports():
    """What the report says about labels that are read from reports, by the name of its option."""
    if not STUDY.labels.readers:
        return {}
    names = {"label_counts": "counts", "label_agreement": "agreement"}
    if STUDY.labels.audit.table:
        names["label_audit"] = "audit/scores"
    return {name: OUT / f"labels/{path}.parquet" for name, path in names.items()}


def learns_labels(arm):
    """Whether an arm learns from labels."""
    return "labels" in STUDY.trained_arms[arm].supervision


def masks(archive):
    """The list of the masks that an archive's table of tubes names, if it has a table."""
    with_tubes = STUDY.archives[archive].tubes and STUDY.uses_labels(archive)
    return data(archive, "listing", "masks.tsv") if with_tubes else []


def given(path):
    """A file that the study names; a dry run goes on without it, where jobs are refused."""
    if path and (pattern := re.search("<[a-z][a-z0-9_]*>|[{}]", str(path))):
        raise WorkflowError(
            f"{path}: Snakemake takes {pattern[0]} in the path of an input for a pattern: rename it"
        )
    return path if path and path.exists() else []


def task_folders():
    """What tasks read from outside: released language models."""
    tasks = STUDY.evaluation.tasks.values()
    return [folder for task in tasks for _, folder in task.folders() if given(folder)]


def scoring_folders():
    """What scoring reads from outside: weights of metrics."""
    tasks = STUDY.evaluation.tasks.values()
    return [folder for task in tasks for _, folder in task.scoring_folders() if given(folder)]


RUN = "{arm}/n={size}/seed={seed}"


def elsewhere(file, run=RUN):
    """A file of each task that is scored on a test archive."""
    return [
        OUT / f"test_archives/{name}/tasks/{task}/{run}/{file}"
        for name in STUDY.test_archives
        for task in STUDY.tasks_at(name)
    ]


def scored(run, *tables):
    """Tables that the scoring of a run leaves: all, or those of these names."""
    return [
        OUT / f"tasks/{task}/{run}/{name}"
        for task in TASKS
        for name in scored_files(STUDY, task)
        if name.removesuffix(".parquet") in tables or not tables
    ]


def scored_elsewhere(run, archives=tuple(STUDY.test_archives), *tables):
    """The same of some test archives."""
    return [
        OUT / f"test_archives/{name}/tasks/{task}/{run}/{file}"
        for name in archives
        for task in STUDY.tasks_at(name)
        for file in scored_files(STUDY, task)
        if file.removesuffix(".parquet") in tables or not tables
    ]


def at_archives(*names):
    """Tables of these names of each test archive."""
    return [
        OUT / f"test_archives/{archive}/{name}.parquet"
        for archive in STUDY.test_archives
        for name in names
    ]


def described_by(arm):
    """The file or folder that states an encoder's architecture, where the study does not."""
    return STUDY.encoders[STUDY.encoder_of(arm)].described_by


def films_of_floor(arm, name):
    """A table of the institution, for a floor that is learnt on its films."""
    return data("institution", name) if STUDY.floors[arm][1] == "pixels" else []


def compared_with(archive):
    """The archives that a test archive must not share patients or images with."""
    return list(STUDY.learnt_archives) if archive in STUDY.test_archives else []


def dicom(archive):
    source = STUDY.archives[archive]
    return data(archive, "phantom", "dicom") if source.phantom else source.dicom


def encoder(run):
    return OUT / "encoders" / run.path / "encoder.safetensors"


def card(run):
    return OUT / "encoders" / run.path / "encoder.json"


def interpolated(wildcards):
    """The run that an interpolation takes the trained weights of."""
    source = STUDY.interpolated_arms[wildcards.arm].interpolates
    return Run(source, int(wildcards.size), int(wildcards.seed))


def run_of(wildcards):
    return Run(wildcards.arm, int(wildcards.size), int(wildcards.seed))


def compared():
    """Runs that are shown by examples, by arm: open weights, smallest and largest size.

    A further baseline is one for itself.
    """
    drawn = {name: [Run(name, 0, 0)] for name in STUDY.baselines}
    for name, arm in STUDY.arms.items():
        sizes = arm.sizes or STUDY.subsets.sizes
        runs = [Run(name, size, arm.seeds[0]) for size in dict.fromkeys((sizes[0], sizes[-1]))]
        drawn[name] = [STUDY.baseline_of(name), *runs]
    return drawn


def gpus(wildcards):
    return STUDY.compute.devices if STUDY.compute.device == "cuda" else 0


def needs(stage, gpus=lambda wildcards: 0, **more):
    """What a job asks a scheduler for: by the stage and the study's scale, more on each retry."""
    places = {
        name: lambda wildcards, name=name: SITE.place(gpus(wildcards))[name]
        for name in SITE.place(0)
    }
    return {
        "gpu": gpus,
        "mem_mb": lambda wildcards, attempt: megabytes(STUDY, stage) * attempt,
        "runtime": lambda wildcards, attempt: min(
            minutes(STUDY, stage) * attempt, SITE.walltime_minutes
        ),
        **SITE.everywhere(),
        **places,
        **more,
    }


def needs_training():
    processes = STUDY.compute.devices // NODES
    memory = lambda wildcards, attempt: megabytes(STUDY, "pretrain") * processes * attempt
    return needs("pretrain", gpus, **SITE.training(STUDY.compute)) | {"mem_mb": memory}


def set_as_for(rule, other):
    """What profiles and the command line set for a rule holds for another one too."""
    settings = workflow.resource_settings
    for given in (settings._parsed_overwrite_threads, settings._parsed_overwrite_resources):
        if other in given:
            given.setdefault(rule, given[other])


def one_gpu(wildcards):
    return int(STUDY.compute.device == "cuda")


@contextmanager
def refusals():
    """What stops a study before it starts, said without a traceback."""
    try:
        yield
    except (
        StudyError,
        listing.ListingError,
        sharing.SharedError,
        guard.AlreadyRunningError,
        journal.StillRunningError,
        plan.OverBudgetError,
    ) as error:
        raise WorkflowError(str(error)) from None
    except OSError as error:
        raise WorkflowError(f"{error.filename or OUT}: {error.strerror}") from None


def prepare(touches):
    """Under the study's lock, before the DAG is built: what a run begins with."""
    with refusals():
        if provenance.precede_manifests(OUT):
            raise StudyError(
                f"{OUT}: results from before manifests, which would be made again: adopt them "
                "(python scripts/adopt.py --study FILE; docs/hospital/reruns.md), or move them away"
            )
        if not touches:
            preflight()
        for folder in PRIVATE:
            make_private(OUT / folder, SITE.folder_mode)
        for name in STUDY.archives.keys() - OWN:
            sharing.use(STUDY.archives[name].ingested, name, OUT)
        cancelled = journal.recover(OUT)
        write_settings(STUDY)
        # What jobs on a cluster read the study from: an edited study file does not reach them.
        CONFIGURATION.configfiles, CONFIGURATION.config_args = [SETTINGS.absolute()], []
        if not touches:
            rescan()
            take_up()
    if cancelled:
        print(
            f"An earlier call was cut off: {cancelled} of its SLURM jobs cancelled.",
            file=sys.stderr,
        )


def preflight():
    """Refuse to start what `snakemake check` finds fault with."""
    from radscale_lib.preflight.check import findings, told  # loads polars and torch where needed

    found = findings(STUDY)
    for finding in found:
        if not finding.stops:
            print(plain(f"note: {finding.text}"), file=sys.stderr)
    if any(finding.stops for finding in found):
        raise StudyError(told(STUDY, found))


def rescanned():
    """Archives that a run looks through again for new and changed files."""
    return {
        name: archive
        for name, archive in STUDY.archives.items()
        if name in OWN
        and archive.rescan
        and data(name, "listing").exists()
        and dicom(name).exists()
        and not sharing.users(OUT, name)
    }


def rescan():
    """List the archives anew. A partition's listing is rewritten only if it changed."""
    for name, archive in rescanned().items():
        timeless = archive.phantom is not None
        listing.refresh(dicom(name), data(name, "listing"), archive.partitions, timeless)
        if masks(name) and archive.tubes.exists():
            from radscale_lib.archive.jointable import form_of  # loads polars
            from radscale_lib.archive.masks import refresh_masks

            refresh_masks(archive.tubes, data(name, "listing"), form_of(archive, "tubes"))
        restate(OUT, f"listing/{name}", [data(name, "listing")])


def take_up():
    """Have partitions ingested again whose files could not be read for no fault of theirs."""
    for name in OWN:
        taken = retries.take_up(data(name, "ledger")) if dicom(name).exists() else 0
        if taken:
            print(
                f"{name}: {taken} partitions with postponed files are ingested again",
                file=sys.stderr,
            )


def describe():
    """What a read-only call says, and the settings that its targets read."""
    if "check" not in workflow.dag_settings.targets:
        for problem in path_problems(STUDY):
            print(plain(f"warning: {problem}"), file=sys.stderr)
    for name in rescanned():
        stamps = [path.stat().st_mtime for path in data(name, "listing").glob("part=*.tsv")]
        if stamps:
            date = time.strftime("%Y-%m-%d %H:%M", time.localtime(max(stamps)))
            print(f"{name}: listing of {date}; a run looks again", file=sys.stderr)
    LOOKED_AT.write_text(settings_text(STUDY), encoding="utf-8")


def answer(name, dag):
    """Answer `plan` or `status`, by the DAG of a run."""
    with refusals():
        reports.report(STUDY, SITE, at_once(), name, dag)


def free(name, dag, only_look):
    """Free disk space, for the targets `slim` and `slim_shards`."""
    with refusals():
        if not only_look:
            journal.recover(OUT)
        told = slim.slim(
            STUDY, dag, SITE.scratch, shards=name == "slim_shards", only_look=only_look
        )
        print(plain(told), flush=True)


def start():
    """Before the first job of a run."""
    if not CALL.runs:
        return
    with refusals():
        sharing.refuse_changes(OUT, workflow.dag.needrun_jobs())
        progress.begin(OUT / journal.NAME)
        remember(code_file(OUT))
    progress.expected_seconds.update(jobs.expected_seconds(STUDY))
    progress.following.update(jobs.following(workflow.dag))
    # Snakemake would wait for its jobs to end. SIGTERM stops them, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def at_once():
    """Jobs that this call of snakemake runs at a time."""
    given = workflow.resource_settings.nodes or workflow.resource_settings.cores or 1
    return min(given, 1000)


if SITE.modules:
    shell.prefix(SITE.load_modules())

if not workflow.is_main_process:
    # A warning ahead of a job's end is the training's to act on, not its Snakemake's to die of.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

recall(code_file(OUT))
provenance.install(
    workflow,
    OUT,
    IDS,
    looks=lambda: workflow.is_main_process and not guard.holds(),
)

if workflow.is_main_process:
    CALL.on(run=prepare, look=describe, report=answer, free=free)
