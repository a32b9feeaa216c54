# make demo    light install in .venv-demo; create a mixed folder and sort it
# make test    install with all extras in .venv; run all tests except the slow ones
# make lint    ruff and import-linter: style, format, import layers
# make types   mypy --strict
# make bench   speed (make rivals: also of other programs; make history: compared with earlier runs)
# make docs    the site, in site/
# make pages   completion, man pages and the reference of the commands, from their parsers
# make package  wheel and source archive in dist/, checked, installed and tested
# make quality quality on the data sets in ICAS_DATA
# make format  format the sources with ruff
# make clean   remove what these targets created
#
# PYTHON=python3.12     another Python, 3.10 or later
# EXTRAS=test,fast      extras that `make test` installs; this one leaves out torch (6 GB, 9 GB during the install)
# TESTS=tests/io        some of the tests;  PYTEST_ARGS="-m slow -x"  flags for pytest
# WORKERS=0             run one test at a time; default: one per core

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

# first, so that a missing library is reported before pip runs
libraries:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; choose another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) scripts/environment.py
	@$(PYTHON) scripts/system_libraries.py $(WINDOWS)

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: venv
	@$(BIN)/mypy --strict src tests/typing

# environment of `make bench` and `make history`: no torch, the libraries to compare with
bench history: VENV = .venv-bench
bench history: EXTRAS = fast,dask,test,bench
bench: venv
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/painter.py

# other programs for the same job; they cannot share an environment with icas (older packages)
rivals:
	@$(PYTHON) -m venv .venv-rivals
	@.venv-rivals/bin/python -m pip install --quiet torch torchvision imagededup fastdup

# times of the kernels, stored in .benchmarks/ and compared with earlier ones
history: venv
	@PYTHONPATH=benchmarks $(BIN)/python -m pytest benchmarks/history.py --benchmark-autosave
	@$(BIN)/python -m pytest_benchmark compare --columns=median,ops --group-by=name

quality: venv
	@$(BIN)/python benchmarks/quality.py
	@$(BIN)/python benchmarks/deep.py
	@$(BIN)/python benchmarks/segment_quality.py
	@$(BIN)/python benchmarks/templates.py
	@$(BIN)/python benchmarks/cutout.py
	@$(BIN)/python benchmarks/labeller.py
	@$(BIN)/python benchmarks/painting_tools.py

# the site needs no torch; with the environment of the tests: make docs VENV=.venv EXTRAS=all,test,docs
docs: VENV = .venv-docs
docs: EXTRAS = docs
docs: venv
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

pages: venv
	@$(BIN)/python scripts/pages.py

# PYTHON runs the test of the wheel
package: libraries
	@$(PYTHON) scripts/package.py

format: venv
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-demo .venv-rivals .venv-docs .venv-package site .benchmarks icas-demo icas-demo-[0-9]* build dist .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
