# make serve   install into .venv and run the example server
# make test    install into .venv, then lint, types and tests
# make fuzz    feed each parser with broken input for SECONDS (1) each
# make bench   measure against peers (see bench/README.md)
# make format  format and fix what can be fixed

PYTHON ?= python3
VENV ?= .venv
APP ?= hello:HelloRouter
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: serve test lint types unit fuzz bench format clean

serve: $(INSTALLED)
	$(BIN)/plugpy serve $(APP) --app-dir examples --acceptors 2

test: lint types unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

unit: $(INSTALLED)
	$(BIN)/pytest -q

fuzz: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]' || echo "atheris is not to be had here"
	$(BIN)/python tests/fuzz --seconds $(or $(SECONDS),1)

bench: $(INSTALLED)
	$(BIN)/python -m bench

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "plugpy needs Python 3.11 or newer; say which one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "installing plugpy into $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
