# make demo: set up and run the main job on the bundled sample; make test: set up and pass all checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread a process: on small machines two OpenMP threads that wait for each other are slower than one.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo test types tests clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,allennlp]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/cli featurize --encoders glove,cse,elmo --store demo/features
	$(BIN)/cli train --features glove+cse --store demo/features --run demo/runs/glove+cse
	$(BIN)/cli eval --folds 1,3 --store demo/features --run demo/runs/glove+cse

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory --jobs 2 types tests

types:
	$(BIN)/mypy

tests:
	$(BIN)/python -m pytest -n 2

clean:
	rm -rf $(VENV) demo features runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
