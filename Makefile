# make sweep: a fresh clone becomes a trained, saved digit classifier. make test: a fresh clone becomes a tested one.
# What `make sweep` types stands in README.md in plain pip and python, too.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help install install-dev sweep test test-quick test-lowest lint bench clean
.DEFAULT_GOAL := help

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(BIN)/.installed  ## make the environment in .venv, with torch

install-dev: $(BIN)/.installed-dev  ## the same with all that the tests need

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[digits]"
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

sweep: install  ## search until the best model exceeds 90% test accuracy, save it
	$(BIN)/python train.py -m hydra/sweeper=optuna

test: test-quick  ## all tests; those on the full MNIST one after the other, as each uses every core
	$(BIN)/python -m pytest -m full

test-quick: install-dev  ## the tests that need no data set, one process a core
	$(BIN)/python -m pytest -n auto -m "not full"

LOWEST_TESTS := tests/compare tests/diff tests/runs tests/sweep/space tests/sweep/study tests/sweep/test_example.py \
	tests/sweep/test_plugin.py tests/digits/config tests/digits/data tests/digits/training $(wildcard tests/digits/test_*.py) \
	tests/test_cli.py tests/test_figures.py tests/test_init.py tests/test_public.py

# uv resolves to lower bounds, which pip cannot. Its torch is another one than that of .venv: some gigabytes.
test-lowest:  ## tests that need no extra but digits, with the oldest packages that pyproject.toml allows
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
		--requirements pyproject.toml --extra digits "pytest>=8"
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --no-deps --editable .
	.venv-lowest/bin/python -m pytest -m "not full" $(LOWEST_TESTS)

lint: install-dev  ## style and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

bench: install-dev  ## one table: ours beside its peers, with ratios (20 to 30 minutes; run nothing else)
	$(BIN)/python -m benchmarks

clean:  ## remove the environment and caches; runs and data stay
	rm -rf $(VENV) .venv-lowest .pytest_cache .mypy_cache .ruff_cache
