# Dayfly's recipes. Each takes ARGS="…" and passes them on. Needs git, make and Python 3.11+ with venv.
PYTHON ?= python3
UV := $(or $(shell command -v uv),.uv/bin/uv)
BIN := .venv/bin
MEMBERS := packages/dayfly packages/localazure packages/dayfly-cli apps/worker
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo up test slow lint format lock clean

help: ## Show these recipes
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Watch real documents go the whole way on this machine
	@$(BIN)/dayfly demo $(ARGS)

up: $(READY) ## Start the laptop's cloud and keep it running
	@$(BIN)/dayfly up $(ARGS)

test: lint ## Check everything, then run the tests (ARGS go to pytest)
	@$(BIN)/pytest -n 2 -m "not slow" $(ARGS)

slow: $(READY) ## Run the tests that take longer
	@$(BIN)/pytest -n 0 -m slow $(ARGS)

lint: $(READY) ## Check format, style, types and who imports whom
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary packages/dayfly/src packages/localazure/src packages/dayfly-cli/src apps/worker
	@$(BIN)/lint-imports --no-logo 2>&1 | tail -n 3

format: $(READY) ## Put the code into its format, and mend what can be mended
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

lock: $(UV) ## Pin the newest dependencies that fit (ARGS="--upgrade"), with their hashes
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-package dayfly --no-emit-package localazure \
	  --no-emit-package dayfly-cli --no-emit-package dayfly-worker $(ARGS) --group dev \
	  pyproject.toml packages/*/pyproject.toml apps/worker/pyproject.toml -o requirements/dev.txt

clean: ## Remove the environment and what was cached
	@rm -rf .venv .uv .dayfly .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The environment: exactly what requirements/dev.txt pins, and the packages of this workspace as they stand here.
$(READY): requirements/dev.txt pyproject.toml $(MEMBERS:%=%/pyproject.toml) | $(UV)
	@echo "Setting up .venv (once)…" >&2
	@$(UV) venv --quiet --allow-existing --no-python-downloads --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements/dev.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python $(MEMBERS:%=-e %)
	@touch $@

.uv/bin/uv: requirements/uv.txt
	@echo "Fetching uv into .uv (once)…" >&2
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@touch $@
