# Every target sets up what it needs in .venv and needs nothing but Python >= 3.11 and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
OUT ?= demo
WORKERS ?= 2
# Compiled kernels are kept, so that a second run and the examples that the tests start do not compile again.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.5
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
INPUTS := pyproject.toml $(CONSTRAINTS)

.PHONY: help demo test slow lowest lint docs bench clean

help:  ## Say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed  ## Run the three models once; figures and summary go to demo/
	$(BIN)/python examples/quickstart.py --out "$(OUT)" --overwrite

test: $(VENV)/.installed-dev  ## Run the test suite, on WORKERS=2 processes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

slow: $(VENV)/.installed-dev  ## Run the science checks that take minutes
	$(BIN)/python -m pytest -m slow -n $(WORKERS) --dist loadfile

lowest:  ## Run the test suite with the lowest versions that are declared, in .venv-lowest
	$(MAKE) VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt .venv-lowest/.installed-dev
	.venv-lowest/bin/python -m pytest -n $(WORKERS) --dist loadfile -o filterwarnings=default

lint: $(VENV)/.installed-dev  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-docs  ## Build the documentation, tutorials executed, into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.installed-dev  ## Time the kernels at the sizes users have
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -o addopts=--import-mode=importlib

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) .venv-lowest demo build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .cache

# uv makes the environment where it happens to be there; otherwise venv and pip do.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "physneuro needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.12"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then uv venv --quiet --seed --python "$$(command -v $(PYTHON))" $(VENV); \
	elif $(PYTHON) -m venv $(VENV); then :; \
	else rm -rf $(VENV); echo "Python cannot make environments here; on Debian: apt-get install python3-venv"; exit 1; fi

define install
	@echo "Installing physneuro$(1) into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python -c $(CONSTRAINTS) -e '.$(1)'; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.$(1)'; fi
	@touch $@
endef

$(VENV)/.installed: $(INPUTS) | $(VENV)/bin/python
	$(call install,)

$(VENV)/.installed-dev: $(INPUTS) | $(VENV)/bin/python
	$(call install,[dev$(comma)nested$(comma)search])

$(VENV)/.installed-docs: $(INPUTS) | $(VENV)/bin/python
	$(call install,[docs])

comma := ,
