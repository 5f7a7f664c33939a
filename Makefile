# Every target installs what it needs into .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
FOR_USERS := .venv/.user
FOR_DEVELOPERS := .venv/.dev
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
export TORCH  # cpu, or a CUDA version such as cu130; empty: the build for CPUs unless there is a GPU

.PHONY: demo check test test-all test-any-order test-under-load coverage lint format lock docs picture gallery bench dist wheelhouse clean

demo: $(FOR_USERS)  ## run the main job on simulated data
	$(BIN)/nrtune demo

check: lint  ## lint, types and the fast tests: before every commit
	$(PYTEST) --ignore tests/integration -m "not end_to_end and not slow and not gpu and not cluster and not ui" $(ARGS)

test: $(FOR_DEVELOPERS)  ## tests that every change must pass; ARGS="-k name" and the like go to pytest
	$(PYTEST) --durations 25 $(ARGS)

test-all: $(FOR_DEVELOPERS)  ## also the slow ones, and those that need a GPU, a cluster or a browser where there is one
	$(BIN)/pytest -m "" $(ARGS)

test-any-order: $(FOR_DEVELOPERS)  ## the same tests shuffled, three times; SEEDS="7" repeats one order
	for seed in $(or $(SEEDS),1 2 3); do $(PYTEST) -p randomly --randomly-seed $$seed $(ARGS) || exit; done

test-under-load: $(FOR_DEVELOPERS)  ## the same tests, three times, beside two processes that keep two cores busy
	$(BIN)/python tests/helpers/under_load.py $(PYTEST) $(ARGS)

coverage: $(FOR_DEVELOPERS)  ## the lines that the tests run, in their own processes and in those that they start
	rm -f .coverage*
	$(BIN)/coverage run $(PYTEST) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(FOR_DEVELOPERS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports
	$(BIN)/shellcheck --external-sources clusters/*.sh tests/cluster/*.sh

format: $(FOR_DEVELOPERS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(FOR_DEVELOPERS)  ## renew constraints.txt and requirements/ from pyproject.toml; UPGRADE=1 takes the newest versions
	$(BIN)/python requirements/lock.py

docs: $(FOR_DEVELOPERS)  ## write the pages that come from the code, and build the site of all of them: site/index.html
	$(BIN)/python docs/methods.py
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/notebook.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

gallery: $(FOR_DEVELOPERS)  ## three finished reports in gallery/; ARGS="--data FILE --cagi5 FOLDER --published TABLE" name real data
	$(BIN)/python docs/gallery.py $(ARGS)

bench: $(FOR_DEVELOPERS)  ## run all benchmarks at a small size and write docs/benchmarks.md
	$(BIN)/python benchmarks/run_all.py

picture: $(FOR_DEVELOPERS)  ## draw docs/report.png anew, by a Chromium
	$(BIN)/python docs/picture.py

dist: $(FOR_DEVELOPERS)  ## build the source distribution, and of it the wheel that the nodes of a cluster install
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

wheelhouse: dist  ## all wheels that a machine without internet installs; TORCH=cu130 for one with a GPU
	$(BIN)/python requirements/wheelhouse.py wheelhouse

clean:
	rm -rf .venv nrtune-demo dist wheelhouse

$(FOR_USERS): pyproject.toml $(wildcard requirements/*.txt requirements/*.py)
	$(PYTHON) requirements/install.py user

$(FOR_DEVELOPERS): pyproject.toml $(wildcard requirements/*.txt requirements/*.py)
	$(PYTHON) requirements/install.py dev
