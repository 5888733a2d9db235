# Everything runs in .venv, made on first use. PYTHON names the interpreter (3.11 or newer); another one
# than python3 gets an environment under its own name.
PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
# Where pyenv's python3.13 is a shim that refuses to run, the program behind it.
INTERPRETER = $(shell $(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null || \
	{ found=$$(ls -d $(HOME)/.pyenv/versions/*/bin/$(PYTHON) 2>/dev/null | tail -n 1); echo $${found:-$(PYTHON)}; })
BIN := $(VENV)/bin
# Tests of processes mostly wait: more than two of them share a core.
JOBS ?= $(shell expr 2 '*' $$(nproc 2>/dev/null || echo 2) + 2)
# Tests of real processes on a busy machine: those that fail are run once more, by themselves.
define all_of
	PYTHONSAFEPATH=1 $(BIN)/pytest $(1) -o cache_dir=$(VENV)/pytest -n $(JOBS) --dist worksteal $(MORE) || \
		{ test $$? = 1 && echo "== once more, what failed" && \
		PYTHONSAFEPATH=1 $(BIN)/pytest $(1) -o cache_dir=$(VENV)/pytest --last-failed --maxfail 3; }
endef
MORE ?=
# Of a stage that repeats the ledger's random orders of events.
BRIEF := MORE="--hypothesis-profile=brief"
# A run starts hundreds of processes: where a machine forbids bytecode, each compiles all it imports.
export PYTHONDONTWRITEBYTECODE :=
# Of the soak; SOAK takes more of its options (--without-webhooks, --keep, …).
SEED ?= 1
MINUTES ?= 10
BROKER ?= redis
SOAK ?=
# Empty: what is installed is the built wheel, anew whenever a file of the package changes.
EDITABLE ?= -e
PACKAGE = $(if $(EDITABLE),,$(shell find mulequeue *_mulequeue.py -type f -not -name '*.pyc'))
CONSTRAINTS ?=
# Two more environments, with the wheel: the newest releases, and the oldest that are supported.
WHEEL := VENV=.venv-wheel EDITABLE=
OLDEST := VENV=.venv-oldest EDITABLE= CONSTRAINTS="-c .ci/oldest.txt"
# The long ones first.
TESTS ?= tests/acceptance tests/upgrades tests/integration tests/unit tests/wheel
# What depends on the versions of Celery, kombu, redis-py, aiohttp and the others.
VERSIONED := tests/acceptance/settings tests/acceptance/test_deaths_waiting.py \
	tests/integration/test_path.py tests/integration/api tests/integration/net/test_guarded_session.py \
	tests/integration/tasks/test_pools.py tests/integration/tasks/test_canvas.py tests/integration/ledger \
	tests/unit/settings/test_redis_urls.py tests/unit/engine/submit/test_park.py tests/unit/ledger/test_serialization.py tests/unit/cli
# The newest Python here that is newer than PYTHON; pyenv's have a shim that mostly starts another one.
NEWEST ?= $(shell for minor in 14 13 12; do \
	$(PYTHON) -c "import sys; sys.exit(sys.version_info >= (3, $$minor))" || break; \
	for python in python3.$$minor $(HOME)/.pyenv/versions/3.$$minor.*/bin/python; do \
	$$python -c 'import ensurepip' 2>/dev/null && echo $$python && break 2; done; done)
# What depends on the interpreter: TLS, processes, event loops, what is read and printed.
INTERPRETED := tests/integration/tasks/test_pools.py tests/integration/tasks/test_canvas.py \
	tests/integration/cli/test_run.py tests/integration/cli/test_terminal.py tests/integration/local/test_demo.py \
	tests/integration/contrib/django/test_task_backend.py \
	tests/integration/api tests/integration/net tests/unit

.DEFAULT_GOAL := help
.PHONY: help demo docs docs-serve test suite test-oldest test-newest-python test-valkey test-all release-check lint format reference bench upgrade-fixture soak clean

help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/base: 
	@$(INTERPRETER) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mulequeue needs Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 1; }
	$(INTERPRETER) -m venv $(VENV)
	@touch $@

$(VENV)/demo: $(VENV)/base pyproject.toml
	$(BIN)/pip install --quiet $(EDITABLE) ".[demo]"
	@touch $@

$(VENV)/dev: $(VENV)/base pyproject.toml $(PACKAGE)
	$(BIN)/pip install --quiet $(CONSTRAINTS) $(EDITABLE) ".[dev]"
	@touch $@ $(VENV)/demo

demo: $(VENV)/demo ## Twelve pictures: a real Redis, a real worker, an emulated API
	$(BIN)/mulequeue demo

test: $(VENV)/dev ## The suite; what is not installed is skipped with its reason
	$(BIN)/pytest tests/integration tests/unit -n $(JOBS)

suite: $(VENV)/dev ## All tests, on what is installed in VENV
	$(call all_of,$(TESTS))

test-oldest: ## The oldest supported releases, where versions differ
	$(MAKE) suite $(OLDEST) TESTS="$(VERSIONED)" $(BRIEF)

test-newest-python: ## What depends on the interpreter, on the newest Python of this machine
	@if [ -n "$(NEWEST)" ]; then \
		$(MAKE) suite VENV=.venv-newest EDITABLE= PYTHON=$(NEWEST) TESTS="$(INTERPRETED)"; \
	else echo "== no Python newer than $$($(PYTHON) --version) on this machine"; fi

test-valkey: $(VENV)/dev ## The ledger's tests on the embedded Valkey, whatever server is on PATH
	REDIS_SERVER=embedded $(MAKE) suite TESTS=tests/integration/ledger $(BRIEF)

test-all: ## Everything on the built wheel; a missing server is a failure
	$(MAKE) lint $(WHEEL)
	$(MAKE) docs $(WHEEL)
	CI=true $(MAKE) suite $(WHEEL)
	CI=true $(MAKE) test-valkey $(WHEEL)
	CI=true $(MAKE) test-oldest
	CI=true $(MAKE) test-newest-python

release-check: ## Build wheel and sdist, look into both, and run the suite on the wheel
	@test -n "$(REPOSITORY)" || { echo "Name the repository: make release-check REPOSITORY=https://…"; exit 1; }
	rm -rf dist
	$(MAKE) .venv-wheel/dev $(WHEEL)
	MULEQUEUE_REPOSITORY=$(REPOSITORY) .venv-wheel/bin/python -m build
	.venv-wheel/bin/pip install --quiet --no-deps --force-reinstall dist/*.whl
	RELEASE=1 MULEQUEUE_REPOSITORY=$(REPOSITORY) PYTHONSAFEPATH=1 .venv-wheel/bin/pytest tests/wheel
	$(MAKE) suite $(WHEEL)

lint: $(VENV)/dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(VENV)/dev ## Write docs/reference from the code
	$(BIN)/python -m tools.reference

$(VENV)/docs: $(VENV)/base docs/requirements.txt
	$(BIN)/pip install --quiet -r docs/requirements.txt
	@touch $@

# The hooks of mkdocs.yml import `tools`. The variable silences an announcement of another program.
MKDOCS = PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

docs: $(VENV)/docs ## Build the documentation site in build/site; a broken link fails
	$(MKDOCS) --quiet build

docs-serve: $(VENV)/docs ## Show the documentation site while you write
	$(MKDOCS) serve

bench: $(VENV)/dev .venv-peers/arq ## What waiting costs, beside other ways to wait; never part of the tests
	for name in polls capacity fanout lag recovery download starve; do \
		$(BIN)/python -m benchmarks $$name --plot docs/images || exit 1; done

.venv-peers/arq:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet arq aiohttp
	@touch $@

upgrade-fixture: $(VENV)/dev ## Write down what this version leaves in Redis; once per release
	PYTHONPATH=tests $(BIN)/python -m upgrades.write

soak: $(VENV)/dev ## Random troubles against a real fleet; SEED=1 MINUTES=10 BROKER=redis (redis-apart, rabbitmq)
	PYTHONPATH=tests $(BIN)/python -m soak --seed $(SEED) --minutes $(MINUTES) --broker $(BROKER) $(SOAK)

clean: ## Remove what the other targets made
	rm -rf .venv .venv-* build dist demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
