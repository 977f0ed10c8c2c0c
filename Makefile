# The front door. `make quickstart` trains and measures an agent; `make test` passes the tests.
# Needs Python 3.11 or newer with venv and pip, and make. Everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install quickstart test check bench clean

help:
	@echo "make quickstart   install, then train and measure an agent"
	@echo "make test         install, then run the tests"
	@echo "make check        formatting, lint, types, import floors"
	@echo "make bench        the benchmarks under bench/"
	@echo "make clean        remove .venv and caches; runs/ stays"

install: $(VENV)/installed

$(VENV)/python:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml constraints.txt
	@echo "installing into $(VENV): a minute or two"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/developed: $(VENV)/installed
	@echo "installing what the tests need"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

quickstart: $(VENV)/installed
	$(BIN)/ml-agent train quickstart

test: $(VENV)/developed
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/developed
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
