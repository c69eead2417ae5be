# The commands of this project. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install lock validator compiled test test-compiled quick test-faults bench lint format types schemas dashboards check-generated sbom audit image demo clean

# The first interpreter that runs and is new enough; PYTHON=… chooses another.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$candidate" && break; done)
BIN := .venv/bin
# Processes that share the tests, each with services of its own, file by file in their order: what waits long comes
# first. A Redis that was given would be emptied by each under the other, so then there is one.
PROCESSES ?= $(if $(REDIS_URL)$(VALKEY_URL),0,3)
SHARED := -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
# How many scenarios `test-faults` plays, the first seed, and how many at a time; each job has its own broker.
# KINDS=kill,redis_emptied,… plays faults of these kinds only.
SEEDS ?= 20
START ?= 1
JOBS ?= 2
# What `bench` runs: reference, fleet, storm, hot or restart; records of a job, EVSEs, and runs for the medians.
JOB ?= reference
RECORDS ?= 1000000
EVSES ?= 10000
RUNS ?= 5
# `make bench COMPILED=1` measures the compiled worker beside the other; `make compiled` says what that is.
COMPILED ?=
# More than 1: so many workers beside one, each a process, in records a second.
WORKERS ?= 1
LOCKED := .venv/.locked
INSTALLED := .venv/.installed
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-emit-index-url --no-header --no-annotate
VALIDATOR := tests/asyncapi/node_modules/.package-lock.json
TREE := build/compiled

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

install: $(INSTALLED)  ## Prepare .venv from the lock file, with the command evse-status in it

# What the lock names, with hashes; the build backend is among it, so nothing else is ever fetched.
$(LOCKED): requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
		--require-hashes --requirement requirements.lock
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock: install  ## Resolve the dependencies anew and write requirements.lock, and what of it the image needs
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements.lock
	$(COMPILE) pyproject.toml --extra tracing --extra uvloop --constraint requirements.lock --output-file deploy/locks/run.lock
	echo hatchling | $(COMPILE) - --constraint requirements.lock --output-file deploy/locks/build.lock
	printf '%s\n' hatchling hatch-mypyc mypy setuptools | $(COMPILE) - --constraint requirements.lock \
		--output-file deploy/locks/compile.lock
	$(MAKE) install

validator: $(VALIDATOR)  ## Fetch the validator of AsyncAPI documents; needs npm, and only a test uses it

$(VALIDATOR): tests/asyncapi/package-lock.json
	cd tests/asyncapi && npm ci --silent
	@touch $@

compiled: $(TREE)/.done  ## Compile the pure part with mypyc: a wheel in dist/, and the tree with it in build/compiled

# A copy of the tree, so that no extension module can stand beside a source that has gone on.
$(TREE)/.done: $(INSTALLED) pyproject.toml $(shell find schemas service tests -name '*.py' -o -name '*.lua')
	rm -rf $(TREE) dist/*.whl
	mkdir -p $(TREE)
	tar -cf - --exclude node_modules --exclude __pycache__ schemas service tests Makefile pyproject.toml *.md LICENSE \
		requirements.lock | tar -xf - -C $(TREE)
	cd $(TREE) && HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(CURDIR)/$(BIN)/python -m hatchling build -t wheel -d $(CURDIR)/dist
	@touch $@

test: install  ## Run every test that the services at hand allow
	$(BIN)/pytest $(SHARED)

test-compiled: compiled  ## Run the tests of the pure part, and of crashes and rebalances in memory, on the compiled one
	cd $(TREE) && $(CURDIR)/$(BIN)/python -m pytest -p no:cacheprovider $(SHARED) tests/property \
		tests/unit/domain tests/unit/processing tests/unit/test_compiled.py

quick: install  ## Run the tests that need no service and little time
	$(BIN)/pytest $(SHARED) -m 'not services and not slow'

test-faults: install  ## Play SEEDS scenarios of faults, from START on, JOBS at a time, and say what differed
	$(BIN)/python -m tests.fault --seeds $(SEEDS) --start $(START) --jobs $(JOBS) --kinds "$(KINDS)"

bench: install $(if $(COMPILED),compiled)  ## Measure JOB over RECORDS records of EVSES EVSEs, RUNS times, beside the client alone
	$(BIN)/python -m tests.benchmarks --job $(JOB) --records $(RECORDS) --evses $(EVSES) --runs $(RUNS) \
		--workers $(WORKERS) $(if $(COMPILED),--compiled $(TREE))

lint: install  ## Check format and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: install  ## Bring the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: install  ## Check types with mypy --strict
	$(BIN)/mypy --strict

schemas: install  ## Generate JSON Schema and AsyncAPI from the models into schemas/json
	$(BIN)/evse-status schemas --output schemas/json

dashboards: install  ## Generate the Grafana dashboards into deploy/grafana
	$(BIN)/python -m deploy.grafana.generate

check-generated: install  ## Fail if a generated file is not what its models give
	$(BIN)/evse-status schemas --check

sbom: install  ## Write the bill of materials, CycloneDX, to dist/sbom.json
	$(BIN)/python -m deploy.sbom dist/sbom.json

audit: install  ## Look up known vulnerabilities of what is locked; says so where the database cannot be reached
	$(BIN)/python -m deploy.audit

image:  ## Build the container image evse-status; COMPILED=1: with the pure part compiled to C
	docker build --file deploy/Dockerfile --tag evse-status --build-arg REVISION="$$(git rev-parse HEAD)" \
		$(if $(COMPILED),--build-arg COMPILED=1 --build-arg BUILD_IMAGE=python:3.13) .

demo: install  ## Show the whole: a simulated fleet, the worker and its page, on this machine
	$(BIN)/evse-status demo

clean:  ## Remove .venv and what the tools left behind
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov dist build
