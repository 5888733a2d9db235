# Everything runs in .venv, made on first use. PYTHON names the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Tests of real processes on a busy machine: one that fails is run once more, and said so.
AGAIN ?= --reruns 1
# Of the soak; SOAK takes more of its options (--without-webhooks, --keep, …).
SEED ?= 1
MINUTES ?= 10
BROKER ?= redis
SOAK ?=
# Empty: what is installed is the built wheel, and the tree is tests only (see test-wheel).
EDITABLE ?= -e

.DEFAULT_GOAL := help
.PHONY: help demo test test-wheel test-oldest test-all lint format reference bench soak clean

help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/base: 
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mulequeue needs Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo: $(VENV)/base pyproject.toml
	$(BIN)/pip install --quiet $(EDITABLE) ".[demo]"
	@touch $@

$(VENV)/dev: $(VENV)/base pyproject.toml
	$(BIN)/pip install --quiet $(EDITABLE) ".[dev]"
	@touch $@ $(VENV)/demo

demo: $(VENV)/demo ## Twelve pictures: a real Redis, a real worker, an emulated API
	$(BIN)/mulequeue demo

test: $(VENV)/dev ## The suite; what is not installed is skipped with its reason
	$(BIN)/pytest tests/unit tests/integration -n $(JOBS)

test-wheel: ## The suite against the built wheel instead of the tree
	rm -f .venv-wheel/dev
	$(MAKE) .venv-wheel/dev VENV=.venv-wheel EDITABLE=
	PYTHONSAFEPATH=1 .venv-wheel/bin/pytest tests/wheel tests/unit tests/integration -n $(JOBS)

test-oldest: ## The same ways through the oldest Celery, kombu and redis-py that are supported
	$(MAKE) .venv-oldest/dev VENV=.venv-oldest
	.venv-oldest/bin/pip install --quiet "celery==5.5.3" "kombu<5.6"
	.venv-oldest/bin/pytest tests/unit tests/integration/test_path.py tests/acceptance/settings -n $(JOBS)

test-all: lint ## Everything; a missing server is a failure
	CI=true $(BIN)/pytest tests/unit tests/integration -n $(JOBS) $(AGAIN)
	CI=true $(BIN)/pytest tests/acceptance -n $(JOBS) $(AGAIN)

lint: $(VENV)/dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(VENV)/dev ## Write docs/reference from the code
	$(BIN)/python -m tools.reference

bench: $(VENV)/dev .venv-peers/arq ## What waiting costs, beside other ways to wait; never part of the tests
	for name in polls capacity fanout lag recovery download scale; do \
		$(BIN)/python -m benchmarks $$name --plot docs/images || exit 1; done

.venv-peers/arq:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet arq aiohttp
	@touch $@

soak: $(VENV)/dev ## Random troubles against a real fleet; SEED=1 MINUTES=10 BROKER=redis
	PYTHONPATH=tests $(BIN)/python -m soak --seed $(SEED) --minutes $(MINUTES) --broker $(BROKER) $(SOAK)

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-oldest .venv-wheel build dist demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
