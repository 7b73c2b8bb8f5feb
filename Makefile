# make repro: the pipeline. make test: the tests. Each first makes .venv from the hash-pinned lock when it is stale.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# `. .venv/bin/activate` for every recipe: stage commands say `python`.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
SOURCES := params.yaml $(wildcard stages/*.py emotion/*.py emotion/*/*.py emotion/*/*/*.py)

.PHONY: help repro test test-all test-emulated docs lint lock verify fer2013 ferplus ferplus-one experiments

help:  ## show what can be made
	@grep -hE '^[a-z0-9 -]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

repro: .venv/pipeline .venv/params-checked  ## run the pipeline: only what changed
	dvc repro

test: .venv/dev  ## the tests (about 15 minutes on two cores)
	python -m pytest -n 2 --dist loadfile -m "not slow and not emulated"

test-all: .venv/dev  ## the slow tests: soaks, long trainings, the browser (at most 40 minutes)
	python -m pytest -n 2 --dist loadfile -m slow

test-emulated: .venv/dev  ## all runs on emulated processors (qemu-user; about an hour)
	python -m pytest -m emulated

docs: .venv/dev  ## regenerate the pages that are made of numbers; the cards too with FER2013_RUN=folder where it ran
	python -m tools.docs.performance
	python -m tools.docs.other_models
	python -m tools.docs.experiments
	python -m tools.docs.hub_card
	$(if $(FER2013_RUN),python -m tools.docs.cards --run $(FER2013_RUN) --docs docs)

lint: .venv/dev  ## ruff, format, types
	ruff check .
	ruff format --check .
	mypy

lock: .venv/dev  ## regenerate the locks from pyproject.toml
	bash requirements.sh

.venv/params-checked: .venv/pipeline $(SOURCES)
	@python -m tools.check_params
	@touch $@

# The dev lock is a superset of the pipeline's, so either marker serves `make repro`.
.venv/pipeline: requirements.lock
	@test ! -e .venv/dev || test requirements-dev.lock -nt .venv/dev || { touch $@; exit 0; }; \
	echo "installing TensorFlow, DVC and what they need into .venv: some minutes"; \
	{ test -x $(BIN)/python || $(PYTHON) -m venv .venv; } \
	&& python -m pip install --quiet --require-hashes -r requirements.lock \
	&& python -m pip install --quiet --no-deps --no-build-isolation --editable . && touch $@

.venv/dev: requirements-dev.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	python -m pip install --quiet --require-hashes -r requirements-dev.lock
	python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch .venv/pipeline $@

verify: .venv/pipeline  ## run the committed pipeline from scratch in a clone and compare every byte with dvc.lock
	python -m tools.verify

fer2013 ferplus ferplus-one: .venv/pipeline  ## run a published recipe, on FER2013's labels or on the crowd's votes, from data/local/ or Kaggle
	python -m tools.publish rerun $@

# Columns: changed parameters, the headline; `dvc exp show` alone is 300 characters wide. A pipe gets all columns.
experiments: .venv/pipeline  ## this commit's experiments: what each changed, and its headline metrics
	@test -t 1 || export COLUMNS=$${COLUMNS:-1024}; dvc exp show --no-pager --only-changed --keep 'Experiment|test_|(metrics/train/0.json:)?epochs' \
	--drop '(?!(data|split|preprocess|augment|model|train|evaluate|report)\.)|train\.(accuracy|loss)'
