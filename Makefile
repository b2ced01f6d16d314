# make demo      sets everything up and serves the app
# make test      sets everything up and runs the tests, two at a time
# make test-all  also runs what is marked `whole`: long trainings, several processes, every checkpoint
PYTHON ?= python3
PORT ?= 7860
# A package index with CPU builds of torch, for machines without a GPU (see README.md).
TORCH_INDEX ?=
TORCH := $(shell sed -n 's/^\(torch[<>=].*\)$$/\1/p' requirements.txt)
# The exact versions that were tested; `make demo CONSTRAINTS=` takes the newest allowed ones.
CONSTRAINTS ?= $(shell $(PYTHON) -c 'import sys; print("constraints.txt" if sys.version_info[:2] == (3, 11) else "")' 2>/dev/null)
VENV ?= .venv
# Real images, where they lie beside the checkout: the tests that need them skip elsewhere.
ifneq ($(wildcard ../shared/data),)
export FLOWDEMO_DATA ?= $(abspath ../shared/data)
endif
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

SELECTED = -m "not whole"

.PHONY: demo test test-all lint clean
demo: $(VENV)/.demo
	GRADIO_ANALYTICS_ENABLED=False $(BIN)/python app.py --port $(PORT)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(SELECTED) --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 10

test-all: SELECTED =
test-all: test

lint: $(VENV)/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.10 or newer, or name one with PYTHON="; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; $(PYTHON) is older. Name another with PYTHON="; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: on Debian or Ubuntu, apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements.txt constraints.txt | $(VENV)/bin/python
	@echo "Installing what the app needs (once; torch is large) ..."
	$(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) '$(TORCH)')
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.demo
	$(PIP) -r requirements-test.txt
	@touch $@
