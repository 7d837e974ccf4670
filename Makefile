# Everything below needs Python 3.11 or later, pip and make; nothing has to be installed by hand.

VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# The first of these that is Python 3.11 or later makes the environment.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

.DEFAULT_GOAL := help
.PHONY: help install test demo bench generated clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP)  ## a virtual environment with pminusy and its test tools

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[test]'
# pip compiles on one core, and what is never imported as well; a file that fails is no failure.
	$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
	@touch $@

# The tests that read our formulas with a second renderer want Node; without npm they are skipped.
tests/js/node_modules: tests/js/package-lock.json
	@if command -v npm >/dev/null; then \
		npm ci --prefix tests/js --ignore-scripts --no-audit --no-fund --silent && touch $@; \
	else echo "npm is not installed: some tests of documents are skipped" >&2; fi

test: $(STAMP) tests/js/node_modules  ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

demo: $(STAMP)  ## derive, check, evaluate, and train on real digits
	@PATH="$(abspath $(BIN)):$$PATH" sh examples/demo.sh

bench: $(STAMP)  ## measurements against peers
	@for script in bench/*.py; do $(BIN)/python "$$script" || exit 1; done

generated: $(STAMP)  ## rewrite generated/ and the golden files from the library
	$(BIN)/pminusy build -o generated
	$(BIN)/python -m pytest -n auto --quiet --update

clean:  ## remove the environment and every cache
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
