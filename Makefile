# `make demo` and `make test` need nothing but a Python 3.10 to 3.13 and the package registry.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-long lint types format clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(READY): pyproject.toml constraints.txt scripts/bootstrap.sh
	@PYTHON="$(PYTHON)" scripts/bootstrap.sh $(VENV)

demo: $(READY) ## Show both passes on throw-away servers on this machine
	@$(BIN)/ozh-notify demo

test: $(READY) ## Run the tests
	$(BIN)/python -m pytest -n 4 --dist worksteal

test-long: $(READY) ## Run the tests that take minutes
	$(BIN)/python -m pytest -m long

lint: $(READY) ## Look for mistakes and check the formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check the types
	$(BIN)/mypy

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## Remove everything that was made
	rm -rf $(VENV) .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
