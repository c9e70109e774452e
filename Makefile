# make env      the environment that runs studies, .venv; CPU=1 without 4 GB of CUDA (docs/start/environments.md)
# make study    the embedded study, from DICOM files to the report
# make smoke    the smallest study, every stage, arm and task once: two minutes
# make test     static checks, and the first tier of the tests: some 12 minutes on two cores
# make open-weights   train the embedded study's open weights again: about 45 minutes on one core; config/weights
# make cluster  the smoke study, and some faults, on a SLURM cluster that the tests start
# make test-all the second tier too: all faults of the cluster, and other slow tests
# make check    static checks only
# make site     the documentation as a site: site/index.html
# make example  run the embedded study, and put its report and pictures into the documentation
# make docs     write the generated pages: the study file's schema and reference, the example of docs/extend/extending.md
# make wheel    the package with the workflow in it, for project folders: dist/
# make lock     lock the dependencies: requirements.lock, tests/requirements.lock, workflow/envs/radscale.yaml
#
# Options: CORES=n (all), PYTHON=python3.11, TESTS="-m 'not slow' tests/study", UPGRADE=1 (of lock)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= $(shell nproc)
TESTS ?=
CPU ?=
UPGRADE ?=

# Rules call `python`: it is the environment's.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: env study smoke open-weights test test-all suite cluster check site example docs wheel lock

env: .venv/.ready

study: .venv/.ready
	snakemake --cores $(CORES)

smoke: .venv/.ready
	snakemake --cores $(CORES) --configfile config/smoke.yaml

# An interrupted run continues where it stopped.
open-weights: .venv/.ready
	snakemake --cores $(CORES) --configfile config/open-weights.yaml
	for arm in mi2-open rad-dino-open; do \
		rm -rf config/weights/$$arm && \
		radscale export results/open-weights/encoders/$$arm/n=0/seed=0 --to safetensors --half \
			--study config/open-weights.yaml --license apache-2.0 --out config/weights/$$arm || exit 1; \
	done

# Static checks run beside the tests.
test: .venv/.tests
	$(MAKE) --jobs 2 check suite

suite: .venv/.tests
	pytest --numprocesses $(CORES) --dist worksteal $(TESTS)

cluster: .venv/.tests
	RADSCALE_CLUSTER=required pytest --numprocesses 3 -m cluster tests/slurm

test-all: test
	pytest --numprocesses $(CORES) --dist worksteal -m "cluster or cluster_faults or long"

check: .venv/.tests site
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow/rules
	mypy
	lint-imports

# Broken links are errors.
site: .venv/.tests
	zensical build --strict

example: study .venv/.tests
	python -m tests.repository.example

docs: .venv/.tests
	python -m radscale_lib.study.reference
	python -m tests.kinds.pages

wheel: .venv/.ready
	.venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock:
	$(PYTHON) workflow/envs/lock.py $(if $(UPGRADE),--upgrade)

# The environment is updated if a lock is newer. Locks are complete, with the digest of every file that
# pip may install, so pip resolves nothing.
INSTALL = .venv/bin/pip install --quiet --no-deps

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x .venv/bin/pip || $(PYTHON) -m venv .venv
ifdef CPU
	$(PYTHON) workflow/envs/lock.py --for-cpu > .venv/cpu.lock
	$(INSTALL) --require-hashes --requirement .venv/cpu.lock
	$(INSTALL) $$($(PYTHON) workflow/envs/lock.py --cpu-builds)
else
	$(INSTALL) --require-hashes --requirement requirements.lock
endif
	$(INSTALL) --no-build-isolation --editable .
	touch $@

.venv/.tests: .venv/.ready tests/requirements.lock
	$(INSTALL) --require-hashes --requirement tests/requirements.lock
	touch $@
