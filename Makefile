# `make demo` and `make test` need nothing but a Python 3.10 to 3.13 and the package registry.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests in which the driver, python-telegram-bot, aiohttp, pydantic, typer and rich do their work.
MEET_LIBRARIES := tests/config tests/messaging tests/mongo tests/monitoring tests/cli/test_cli.py \
    tests/cli/test_output.py tests/passes/test_pass.py tests/passes/test_claims.py \
    tests/passes/test_journal.py tests/operator/test_check.py
# Tests that start no process, and one pass over the wire.
FAST := tests/test_architecture.py tests/test_walls.py tests/effect/test_statistics.py \
    tests/effect/test_arms.py tests/effect/test_report.py tests/users/test_field_mapping.py \
    tests/users/test_claim_filter.py tests/users/test_journal_entry.py \
    tests/messaging/test_html.py tests/messaging/test_templates.py tests/config/test_settings.py \
    tests/docs/test_docs.py tests/passes/test_pass.py
LOWEST := .venv-lowest
PYTHON310 := $(firstword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.10*/bin/python) python3.10)


.PHONY: help demo test check test-again torture test-deploy test-long test-lowest bench lint types audit tour format clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(READY): pyproject.toml constraints.txt scripts/bootstrap.sh
	@PYTHON="$(PYTHON)" scripts/bootstrap.sh $(VENV)

demo: $(READY) ## Show both passes on throw-away servers on this machine
	@$(BIN)/ozh-notify demo

check: lint types $(READY) ## Lint, types and the fast tests, in about a minute
	$(BIN)/python -m pytest -n 2 --dist worksteal $(FAST)

test: $(READY) ## Run the tests
	$(BIN)/python -m pytest -n 3 --dist worksteal

test-again: $(READY) ## Run the tests that failed once more, one at a time
	$(BIN)/python -m pytest -m "" --last-failed --last-failed-no-failures none

test-deploy: $(READY) ## Run the tests of what is shipped beside the code: units, manifests, image, wheel
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "deploy and not long"

torture: $(READY) ## Do everything that can go wrong, for over an hour
	$(BIN)/python -m tests.torture

test-long: $(READY) ## Run the tests that `make test` leaves out: whole tables of cases, and what takes minutes
	$(BIN)/python -m pytest -n 3 --dist worksteal -m long

test-lowest: $(LOWEST)/.ready ## Run the tests that meet the libraries with their lowest versions
	$(LOWEST)/bin/python -m pytest -n 3 --dist worksteal $(MEET_LIBRARIES)

$(LOWEST)/.ready: pyproject.toml tests/lowest-constraints.txt scripts/bootstrap.sh
	@PYTHON="$(or $(PYTHON),$(PYTHON310))" scripts/bootstrap.sh $(LOWEST) tests/lowest-constraints.txt

bench: $(READY) .venv-bench/.ready ## Measure speed and cost beside other clients, for up to an hour
	PATH="$$PATH:$(HOME)/.cargo/bin" $(BIN)/python -m benchmarks $(FIGURES)

.venv-bench/.ready: $(READY) benchmarks/requirements.txt
	$(BIN)/python -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

lint: $(READY) ## Look for mistakes and check the formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell ozh_notify tests docs benchmarks scripts k8s contrib *.md

types: $(READY) ## Check the types
	$(BIN)/mypy

audit: $(READY) ## Ask PyPI for known vulnerabilities of the exact versions in constraints.txt
	@$(BIN)/pip-audit --strict --disable-pip --no-deps -r constraints.txt || { \
	    echo "Not clean. Either vulnerabilities are listed above, or a package \"could not be"; \
	    echo "audited\": then PyPI's database was not reached (a mirror of packages alone does"; \
	    echo "not have it), and this says nothing about the packages. Repeat it where it is."; \
	    exit 1; } >&2

tour: $(READY) ## Draw docs/tour.svg from a demo that really runs
	$(BIN)/python scripts/tour.py docs/tour.svg

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## Remove everything that was made
	rm -rf $(VENV) .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
