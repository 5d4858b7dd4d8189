# Everything the ledger needs is set up by the target that needs it: Python 3.11+ and make are enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first interpreter that really runs and is new enough (a version manager may leave shims that do not).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
ARGS ?=
WORKERS ?= 3
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
	--extra embedded --extra tools --extra traces pyproject.toml
unexport PYTHONDONTWRITEBYTECODE # the tests start hundreds of programs: each would compile all of the ledger

.PHONY: help run test lint format proto golden kept bench bench-growth bench-lists bench-year demo import audit rebuild verify tools lock clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | while IFS='|' read -r t d; do printf '  make %-11s %s\n' "$$t" "$$d"; done
	@printf '\n  ARGS="..." is handed on, for example: make run ARGS="--listen 127.0.0.1:6000"\n'

run: $(RUN) ## start the ledger on an embedded PostgreSQL (Ctrl-C stops it)
	@exec $(BIN)/python -m ledger serve $(ARGS)

test: $(DEV) ## run the tests in three processes, because many of them wait, or in one: ARGS="-k audit -x" WORKERS=0
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(DEV) ## ruff, mypy --strict, import contracts, buf, what releases promised, generated code is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code >/dev/null || { $(BIN)/buf format --diff; exit 1; }
	for kept in tests/kept/*/contract.binpb.gz; do $(BIN)/buf breaking --against $$kept || exit 1; done
	$(BIN)/python scripts/generate.py --check

format: $(DEV) ## format Python and proto files
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/buf format -w

proto: $(DEV) ## generate from proto/ what speaks the contract: ledger/v1 and methods of both clients
	$(BIN)/python scripts/generate.py

golden: $(DEV) ## write the bytes of new events, which every later release reads
	$(BIN)/python -m tests.store.codec.write_golden

kept: $(DEV) ## once for each release: keep a log of it with its answers and its contract, in tests/kept
	$(BIN)/python -m tests.kept.make

tools: $(DEV) ## install the tools: buf, pytest, linters
	@echo "buf, pytest, ruff and mypy are in $(BIN)"

import: $(RUN) ## record a public trade tape: FILE=... ARGS="--symbol XRP_ETH --pair-class C"
	@test -n "$(FILE)" || { echo 'name the tape: make import FILE=trades.json.gz ARGS="--symbol XRP_ETH --pair-class C"' >&2; exit 2; }
	@$(BIN)/fee-ledger import "$(FILE)" $(ARGS)

demo: $(RUN) ## a small exchange lives 90 days in seconds, then its fees are explained
	@$(BIN)/python -m scripts.demo $(ARGS)

audit: $(RUN) ## decide every event of the ledger again, from its log: ARGS="--known-at 4711"
	@$(BIN)/fee-ledger audit $(ARGS)

rebuild: $(RUN) ## make the tables of the read side anew from the log, compare, and switch
	@$(BIN)/fee-ledger rebuild $(ARGS)

verify: $(RUN) ## derive every table from the log again, and name each row that differs
	@$(BIN)/fee-ledger check $(ARGS)

bench: $(BENCH) ## measure: ARGS="--only ingest --json out.json"
	$(BIN)/python -m scripts.bench $(ARGS)

bench-growth: $(BENCH) ## measure all that a ledger of any size and age must not slow down: takes an hour or two
	$(BIN)/python -m scripts.bench --only growth --rounds 1 $(ARGS)

bench-lists: $(RUN) ## measure the lists of a back office over a million accounts: ARGS="--accounts 10000 --calls 3"
	$(BIN)/python -m scripts.bench.lists $(ARGS)

bench-year: $(BENCH) ## measure a ledger of 10,000,000 account-days: ARGS="--account-days 100000 --accounts 20000" is one to try
	$(BIN)/python -m scripts.bench --only aged --rounds 1 $(ARGS)

lock: $(DEV) ## resolve the newest allowed versions into requirements/*.lock (needs uv on PATH)
	$(COMPILE) --upgrade requirements/dev.in -o requirements/dev.lock
	$(COMPILE) requirements/run.in -c requirements/dev.lock -o requirements/run.lock
	$(COMPILE) --extra bench requirements/run.in -c requirements/dev.lock -o requirements/bench.lock

clean: ## remove the environment and caches (never the ledger's data)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found; name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python -m venv failed: install your system's venv package (Debian: python3-venv)" >&2; exit 2; }

$(RUN): $(BIN)/python requirements/run.lock pyproject.toml
	$(BIN)/python -m pip install -q --require-hashes -r requirements/run.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUN) requirements/dev.lock
	$(BIN)/python -m pip install -q --require-hashes -r requirements/dev.lock
	@touch $@

$(BENCH): $(RUN) requirements/bench.lock
	@$(BIN)/python -m pip install -q --require-hashes --only-binary :all: -r requirements/bench.lock || \
		echo "umadb has no binary for this machine: its figures are left out" >&2
	@touch $@
