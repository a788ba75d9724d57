# One file, every command. `make` alone prints this help.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
BROKER ?= embedded
KEEP ?=
FILES := protocol edge_agent hub tests

help:  ## print this help
	@echo "Skerry: orchestration for far-flung devices that keep working when their link does not"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Skerry needs Python 3.11 or newer; name one: make PYTHON=python3.11"; exit 1; }
	@echo "setting up $(VENV) (once; half a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

setup: $(STAMP)  ## make the virtual environment (the other targets do it by themselves)

demo: $(STAMP)  ## a cloud, two regions and four agents on this machine, cut, killed, healed and merged (KEEP=1, BROKER=mosquitto)
	@if [ "$(BROKER)" = mosquitto ]; then sh tests/support/parts.sh; fi
	@$(BIN)/skerry demo --broker $(BROKER) $(if $(filter-out 0 no,$(KEEP)),--keep)

check: $(STAMP)  ## in seconds: format, lint, types, import contracts, tidy, unit, scripts
	@$(MAKE) --no-print-directory --jobs=2 static units

units: $(STAMP)
	@$(BIN)/pytest -q -n 2 --dist worksteal tests/tidy tests/unit tests/scripts tests/golden

static: $(STAMP)
	@$(BIN)/ruff format --no-cache --check --quiet $(FILES) || { echo "format: run 'make format'"; exit 1; }
	@$(BIN)/ruff check --no-cache --quiet $(FILES)
	@$(BIN)/lint-imports > build/imports.log 2>&1 || { cat build/imports.log; exit 1; }
	@$(BIN)/basedpyright --level error > build/types.log 2>&1 || { tail -n 40 build/types.log; exit 1; }

cover: $(STAMP)  ## the cores' and the protocol's tests, which must reach 95 % of their lines and branches
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q tests/tidy tests/unit tests/scripts tests/golden
	@$(BIN)/coverage report --fail-under=95 --skip-covered --show-missing > build/coverage.log || { cat build/coverage.log; exit 1; }
	@echo "coverage of the cores and of protocol/:" $$(grep TOTAL build/coverage.log)

test: static cover  ## all that a contributor needs, in minutes: check, coverage, real brokers, TLS, SQLite files, processes
	@sh tests/support/parts.sh
	@$(BIN)/pytest -q -n 2 --dist worksteal tests/contract
	@$(BIN)/pytest -q -n 2 tests/sim
	@SEEDS=20 $(BIN)/python -m tests.sim

sim: $(STAMP)  ## the whole fleet in one process under faults, seed by seed (SEEDS=500; SEED=7 TRACE=1; SPEED=1)
	@$(BIN)/python -m tests.sim

acceptance: $(STAMP)  ## real processes and faults, slow
	@sh tests/support/parts.sh faketime strace e2fsprogs systemd-container
	@$(BIN)/pytest -q -n 2 --dist worksteal tests/acceptance

mutants: $(STAMP)  ## break each rule on purpose: the simulator or a test must turn red (ONLY=name, SEEDS=60)
	@$(BIN)/python -m tests.mutants

RELEASES ?= bookworm trixie
ARCHES ?= amd64
packages: $(STAMP)  ## Debian packages of agent and hub, built in clean trees (RELEASES="bookworm trixie" ARCHES=amd64; packaging/README.md)
	@for release in $(RELEASES); do for arch in $(ARCHES); do sh packaging/build.sh $$release $$arch || exit 1; done; done

bench: $(STAMP)  ## our figures beside the floor's, in one run; writes build/bench.json
	@$(BIN)/python -m tests.bench $(ONLY)

format: $(STAMP)  ## format and mend what can be mended
	@$(BIN)/ruff check --quiet --fix $(FILES); $(BIN)/ruff format --quiet $(FILES)

ratchet: $(STAMP)  ## write the house's sizes down after they fell
	@$(BIN)/python -m tests.tidy.ratchet

lock: $(STAMP)  ## pin the dependencies anew from pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:  ## remove what was built (not the virtual environment)
	@rm -rf build .pytest_cache .ruff_cache .hypothesis .coverage .import_linter_cache
	@find $(FILES) -name __pycache__ -type d -prune -exec rm -rf {} +

static units cover check test sim mutants acceptance packages bench demo: | build
build:
	@mkdir -p build

.PHONY: help setup demo static units cover check test sim mutants acceptance packages bench format ratchet lock clean
