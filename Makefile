# make study    the embedded study, from DICOM files to the report
# make smoke    the smallest study, every stage, arm and task once, in a minute or two
# make test     all checks, and the tests of the first tier: minutes
# make cluster  the smoke study, and some faults, on a SLURM cluster that the tests bring up
# make test-all the second tier too: all faults of the cluster, and what else takes long
# make check    static checks only
# make docs     write the generated pages: the study file's schema and reference, the example of docs/extending.md
# make lock     resolve the dependencies anew: requirements.lock and workflow/envs/radscale.yaml
#
# Options: CORES=n (all), PYTHON=python3.11, TESTS="-m 'not slow' tests/study"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= $(shell nproc)
TESTS ?=

# Rules call `python`: it is the environment's.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: study smoke test test-all suite cluster check docs lock

study: .venv/.ready
	snakemake --cores $(CORES)

smoke: .venv/.ready
	snakemake --cores $(CORES) --configfile config/smoke.yaml
	@echo "Report: results/smoke/report.html"

# Static checks run beside the tests.
test: .venv/.ready
	$(MAKE) --jobs 2 check suite

suite: .venv/.ready
	pytest --numprocesses $(CORES) --dist worksteal $(TESTS)

cluster: .venv/.ready
	RADSCALE_CLUSTER=required pytest --numprocesses 3 -m cluster tests/slurm

test-all: test
	pytest --numprocesses $(CORES) --dist worksteal -m "cluster or cluster_faults or long"

check: .venv/.ready
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow/rules
	mypy
	lint-imports

docs: .venv/.ready
	python -m radscale_lib.study.reference
	python -m tests.kinds.pages

lock:
	$(PYTHON) workflow/envs/lock.py

# The environment is made again where the lock is newer. The lock is complete, so pip resolves nothing.
.venv/.ready: requirements.lock pyproject.toml workflow/logger/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --no-deps --requirement requirements.lock
	.venv/bin/pip install --quiet --no-deps --no-build-isolation --editable . --editable workflow/logger
	touch $@
