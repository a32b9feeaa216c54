# make demo    see it work: own environment, light install, a mixed folder sorted
# make test    see it proven: own environment with all extras, the whole fast suite
# make lint    ruff and import-linter: style, format, import layers
# make types   mypy --strict
# make bench   how fast, beside others (make rivals: for more of them); make history: than before
# make docs    the site, into site/
# make pages   completion, man pages and the reference of the commands, from their parsers
# make package  wheel and source archive into dist/, checked, installed and tried
# make quality how good, on the data sets in ICAS_DATA
# make format  put the sources into ruff's format
# make clean   remove what these targets made
#
# PYTHON=python3.12     another Python, 3.10 or later
# EXTRAS=test,fast      what `make test` installs; this one spares the 6 GB of torch, 9 GB while pip works
# TESTS=tests/io        a part of the tests;  PYTEST_ARGS="-m slow -x"  flags for pytest
# WORKERS=0             tests one after the other; else as many at a time as there are cores

PYTHON ?= python3
EXTRAS ?= all,test,docs
TESTS ?= tests
WORKERS ?= auto
PYTEST_ARGS ?=
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BIN = $(VENV)/bin

.PHONY: help demo test venv libraries lint types bench rivals history quality docs pages package format clean
.DEFAULT_GOAL := help

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

demo: libraries
	@$(PYTHON) scripts/environment.py $(DEMO_VENV)
	@$(DEMO_VENV)/bin/clusterimg demo

test: WINDOWS = --windows
test: venv
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS) $(TESTS)

# lint, types and the rest use the environment that `make test` uses
venv: libraries
	@$(PYTHON) scripts/environment.py $(VENV) --extras $(EXTRAS) --editable

# first of all, so that a missing library does not waste pip's minutes
libraries:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) scripts/environment.py
	@$(PYTHON) scripts/system_libraries.py $(WINDOWS)

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: venv
	@$(BIN)/mypy --strict src tests/typing

# what `make bench` and `make history` use: no torch, and what icas is measured beside
bench history: VENV = .venv-bench
bench history: EXTRAS = fast,dask,test,bench
bench: venv
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/painter.py

# other programs for the same job; they cannot share an environment with icas (older packages)
rivals:
	@$(PYTHON) -m venv .venv-rivals
	@.venv-rivals/bin/python -m pip install --quiet torch torchvision imagededup fastdup

# the kernels' times, kept in .benchmarks/ and shown beside those kept before
history: venv
	@PYTHONPATH=benchmarks $(BIN)/python -m pytest benchmarks/history.py --benchmark-autosave
	@$(BIN)/python -m pytest_benchmark compare --columns=median,ops --group-by=name

quality: venv
	@$(BIN)/python benchmarks/quality.py
	@$(BIN)/python benchmarks/deep.py
	@$(BIN)/python benchmarks/segment_quality.py
	@$(BIN)/python benchmarks/templates.py
	@$(BIN)/python benchmarks/cutout.py

# the site needs no torch; with the environment of the tests: make docs VENV=.venv EXTRAS=all,test,docs
docs: VENV = .venv-docs
docs: EXTRAS = docs
docs: venv
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

pages: venv
	@$(BIN)/python scripts/pages.py

# PYTHON is what the wheel is tried with
package: libraries
	@$(PYTHON) scripts/package.py

format: venv
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-demo .venv-rivals .venv-docs .venv-package site .benchmarks icas-demo icas-demo-[0-9]* build dist .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
