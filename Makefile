# Every target works from a bare checkout and needs only CPython 3.11 or newer, with venv and pip.
# pip reads its usual settings: on Linux without a GPU, PIP_EXTRA_INDEX_URL pointing at PyTorch's CPU wheels
# saves several gigabytes of CUDA libraries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_STAMP := $(VENV)/test.stamp
DEV_STAMP := $(VENV)/dev.stamp
BENCHMARKS := $(sort $(wildcard benchmarks/*.py))

.DELETE_ON_ERROR:
.PHONY: help demo test coverage lint docs bench notebooks figures

help:
	@echo "make demo      fit the Arabidopsis example into demo_out/ and print its strongest interactions"
	@echo "make test      run the tests"
	@echo "make coverage  run the tests and print the share of lines they reach (a sixth slower)"
	@echo "make lint      check style, formatting and types"
	@echo "make docs      build the documentation into site/"
	@echo "make bench     run every script in benchmarks/"
	@echo "make notebooks run the notebooks again, and write what they show"
	@echo "make figures   draw the pictures of README and docs"

demo: $(TEST_STAMP)
	$(BIN)/genoattn fit data/arabidopsis_ril.vcf.gz --pheno data/arabidopsis_ril.pheno.tsv \
		--trait 3.Butenyl --transform log --order 2 -o demo_out --force

test: $(TEST_STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Numba's compiled functions count as not reached: their lines run outside the interpreter.
coverage: $(TEST_STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=
	@printf 'coverage in percent: '; $(BIN)/python -m coverage report --format=total

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Strict: a warning, such as a link that leads nowhere, is an error. Nothing is fetched from the network.
docs: $(DEV_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(TEST_STAMP)
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

notebooks: $(TEST_STAMP)
	$(BIN)/python notebooks/execute.py

figures: $(TEST_STAMP)
	$(BIN)/python docs/figures.py
	$(BIN)/python docs/concept_figures.py

# The environment is made when absent and brought up to date when what it is made from has changed.
$(TEST_STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/python -m pip install --no-input -q -c constraints.txt -e '.[test]'
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/python -m pip install --no-input -q -c constraints.txt -e '.[test,dev,docs]'
	@touch $@ $(TEST_STAMP)

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("genoattn needs Python 3.11 or newer, found " + sys.version.split()[0] + "; name another one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
