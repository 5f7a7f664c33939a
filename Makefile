# Every target installs what it needs into .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-all lint format docs picture bench dist clean

demo: $(READY)  ## run the main job on simulated data
	$(BIN)/nrtune demo

test: $(READY)  ## tests that every change must pass
	$(BIN)/pytest

test-all: $(READY)  ## also the slow ones, and those that need a GPU, a cluster or a browser where there is one
	$(BIN)/pytest -m ""

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck --external-sources clusters/*.sh tests/cluster/*.sh

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)  ## write docs/methods.md and docs/reference/ from the code
	$(BIN)/python docs/methods.py
	$(BIN)/python docs/reference.py

bench: $(READY)  ## run all benchmarks at a small size and write docs/benchmarks.md
	$(BIN)/python benchmarks/run_all.py

picture: $(READY)  ## draw docs/report.png anew, by a Chromium
	$(BIN)/python docs/picture.py

dist: $(READY)  ## build the source distribution, and of it the wheel that the nodes of a cluster install
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf .venv nrtune-demo dist

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nrtune needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(READY)
