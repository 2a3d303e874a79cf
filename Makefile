# Two commands matter: `make book` and `make test`. `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Any Python from 3.11 on; it is only used to make the virtual environment.
PYTHON ?= python3
# Relative, so that the path of the checkout may hold spaces.
VENV ?= .venv
# The file of exact versions; `CONSTRAINTS=` (empty) takes the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
# The port of `make serve`.
PORT ?= 8000
# Options of `make mutants`; `MUTANTS=--help` lists them.
MUTANTS ?=
# The name under which `make elsewhere` records what it finds; none, and it records nothing.
RECORD ?=
# The replacements of the seeds of `make seeds`.
SHIFT ?= 1 2

PY := $(VENV)/bin/python
SETTINGS := $(VENV)/.settings
MADE := $(VENV)/.made
BOOK := $(VENV)/.installed-book
TEST := $(VENV)/.installed-test
BROWSER := $(VENV)/.browser
IBBOOK = PYTHONPATH="$$PWD/book/_ext" $(PY) -m ibbook

# A comma that is part of an argument of `call`.
, := ,

# $(call step,NAME,COMMAND): run COMMAND, and say by NAME what failed, as the last thing on the screen.
define step
	@printf '\n== %s\n' "$(1)"; $(2) || { printf '\n== FAILED: %s\n' "$(1)" >&2; exit 1; }
endef

# $(call install,EXTRAS): the package and its extras. The lines that say nothing new are dropped;
# the rest keeps a long installation from looking hung.
define install
	@echo "Installing ibcore[$(1)] into $(VENV) (some minutes the first time)"
	@$(PY) -m pip install --disable-pip-version-check --progress-bar off \
	  $(if $(CONSTRAINTS),-c "$(CONSTRAINTS)") -e ".[$(1)]" \
	  | awk '!/^Requirement already satisfied|^ +(Using cached|Preparing|Getting|Installing build|Checking)/ { print; fflush() }'
endef

.PHONY: help
help: ## print this list
	@echo "Usage: make TARGET [PYTHON=python3] [VENV=.venv] [CONSTRAINTS=constraints.txt] [PORT=8000] [MUTANTS=] [RECORD=]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: book
book: $(BOOK) ## execute what changed, build the site, say where to open it
	@$(IBBOOK) build

.PHONY: test
test: lint check ## everything that CI checks, in order

.PHONY: lint
lint: $(TEST) ## the part of `test` that reads the code: ruff, mypy
	$(call step,ruff check,$(PY) -m ruff check .)
	$(call step,ruff format,$(PY) -m ruff format --check .)
	$(call step,mypy,$(PY) -m mypy)

# nbval compares each notebook with its executed twin, in a process of its own: the settings of the unit
# tests (warnings as errors, their paths) are not meant for the kernels of notebooks.
NBVAL = $(PY) -m pytest --nbval --nbval-current-env -p no:cacheprovider \
	-o addopts= -o filterwarnings= -o pythonpath= _build/executed

.PHONY: check
check: $(TEST) $(BROWSER) ## the part of `test` that runs the code: book, pytest with coverage, nbval
	$(call step,book,$(IBBOOK) build)
	$(call step,pytest,$(PY) -m pytest --cov)
	$(call step,nbval,$(NBVAL))

.PHONY: browser
browser: $(BROWSER) ## find a browser for the tests of the site, or install one

.PHONY: pdf
pdf: $(BROWSER) ## print the book as one PDF, a file of the site
	@$(IBBOOK) pdf

.PHONY: preview
preview: $(BOOK) ## rebuild only what changed
	@$(IBBOOK) preview

.PHONY: serve
serve: $(BOOK) ## open the built book on localhost
	@$(IBBOOK) serve --port $(PORT)

.PHONY: bench
bench: $(TEST) ## measure what the methods cost, side by side
	@$(PY) benchmarks/run.py

.PHONY: mutants
mutants: $(TEST) ## make small mistakes in ibcore, and count those that nothing notices (an hour)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH="$$PWD/tests:$$PWD/book/_ext" \
	  $(PY) -m mutation $(MUTANTS)

.PHONY: train
train: $(BOOK) ## train again what the chapter on DocVLM has stored (some 20 minutes)
	@$(PY) training/docvlm.py

.PHONY: reference
reference: $(BOOK) ## rewrite the committed reference of the ledger's numbers
	@$(IBBOOK) reference

.PHONY: blunt
blunt: $(BOOK) ## list the comparisons that a slightly wrong prediction would get past
	@$(IBBOOK) blunt

.PHONY: seeds
seeds: $(BOOK) ## execute every chapter with other seeds; every claim must still hold
	@$(IBBOOK) seeds --shift $(SHIFT)

.PHONY: elsewhere
elsewhere: $(BOOK) ## hold the committed numbers against this machine, this Python, these versions
	@$(IBBOOK) elsewhere $(if $(RECORD),--record "$(RECORD)")

.PHONY: notebooks
notebooks: $(BOOK) ## write the executed notebooks that Colab opens
	@$(IBBOOK) notebooks _build/notebooks

.PHONY: constraints
constraints: $(TEST) ## bring constraints.txt in line with pyproject.toml
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@mkdir -p _build
	@cp constraints.txt _build/constraints.txt
	@$(PY) -m uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	  --extra book --extra test --no-annotate --no-header -o _build/constraints.txt pyproject.toml
	@{ grep '^#' constraints.txt; sed 's/ ;.*//' _build/constraints.txt; } > _build/constraints.new
	@mv _build/constraints.new constraints.txt

# In an environment of its own: what is installed beside the book would change what it was run with.
.PHONY: audit
audit: ## look the pinned versions up among the known vulnerabilities (needs the network)
	@$(PYTHON) -m venv _build/.audit
	@_build/.audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@_build/.audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

.PHONY: clean
clean: ## remove what the other targets made, but for the virtual environment
	rm -rf _build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

.PHONY: distclean
distclean: clean ## remove the virtual environment too
	rm -rf "$(VENV)"

# The environment is made anew when another Python or another file of versions is asked for: what was
# installed for one choice says nothing about the other. Both are looked at before anything is removed, and
# a folder that this file did not make is left alone.
CHOICE = PYTHON=$(PYTHON) CONSTRAINTS=$(CONSTRAINTS)

.PHONY: FORCE
$(SETTINGS): FORCE | $(CONSTRAINTS)
	@if [ -d "$(VENV)" ] && [ ! -e "$@" ]; then \
	  echo "$(VENV) was not made by this Makefile: remove it, or choose another one with VENV=..." >&2; exit 1; fi
	@if [ ! -e "$@" ] || [ "$$(cat "$@")" != "$(CHOICE)" ]; then \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "$(PYTHON) is not a Python 3.11 or later: set PYTHON=..." >&2; exit 1; }; \
	  mkdir -p "$(VENV)"; echo "$(CHOICE)" > "$@"; fi

$(MADE): $(SETTINGS)
	@find "$(VENV)" -mindepth 1 -maxdepth 1 ! -name .settings -exec rm -rf {} +
	$(PYTHON) -m venv "$(VENV)"
	@touch "$@"

$(BOOK): $(MADE) pyproject.toml $(CONSTRAINTS)
	$(call install,book)
	@touch "$@"

# The last line saves `make book` the look at what `make test` has just installed.
$(TEST): $(MADE) pyproject.toml $(CONSTRAINTS)
	$(call install,book$(,)test)
	@touch "$@" $(BOOK)

# The tests read the finished site in a Chromium or Chrome: one that is there, or else one that is installed.
$(BROWSER): $(TEST)
	$(call step,browser,$(IBBOOK) browser)
	@touch "$@"
