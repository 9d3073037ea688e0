# Every target sets up .venv first.
#
# make demo    train, merge and test a model on real digits
# make test    run all tests
# make quick   run the tests that neither start processes nor train:
#              tests/conftest.py marks the others as heavy
# make test-hosts   run the tests with mmpretrain and with its fork
# make test-processors   run all tests as on older processors: see
#                        tests/processors.py; ARGUMENTS='-n 1 tests/ops'
# make fuzz    read thousands of damaged checkpoints
# make stops   stop tools at hundreds of moments
# make at-once write into one folder from several processes, thousands of times
# make lint    check format, imports, style and types
# make docs    regenerate tables of models and docs/api.md
# make dist    build sdist and wheel in dist/, and test the wheel in an
#              environment of its own
# make clean   remove everything that these targets made

# The first interpreter that runs and can make environments, of the versions
# that requirements/pinned.txt is for; else python3, for the error message.
PYTHON ?= $(or $(shell for p in python3.11 python3.12 python3.13; do \
    $$p -I -c 'import ensurepip, venv' 2>/dev/null && echo $$p && break; \
    done),python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

HOSTS := .venv-hosts
# Tests that depend on the host: names, models, files and jobs.
HOST_TESTS := tests/host tests/checkpoints tests/test_guest.py \
    tests/test_package.py tests/jobs/train/test_train.py \
    tests/jobs/test_reparameterize_model.py tests/jobs/testing/test_test.py

.PHONY: demo test quick test-hosts test-processors fuzz stops \
    at-once lint docs dist clean

demo: $(READY)
	$(BIN)/python demo/demo.py

test: $(READY)
	$(BIN)/python -m pytest

quick: $(READY)
	$(BIN)/python -m pytest -m 'not slow and not heavy'

test-hosts: $(HOSTS)/.ready
	$(HOSTS)/mmpretrain/bin/python -m pytest $(ARGUMENTS)
	$(HOSTS)/onedl-mmpretrain/bin/python -m pytest $(HOST_TESTS)

test-processors: $(READY)
	$(BIN)/python tests/processors.py $(ARGUMENTS)

MUTANTS ?= 5000
fuzz: $(READY)
	MUTANTS=$(MUTANTS) $(BIN)/python -m pytest tests/checkpoints/test_fuzz.py

STOPS ?= 200
stops: $(READY)
	STOPS=$(STOPS) $(BIN)/python -m pytest -s tests/tools/test_stops.py

WRITES ?= 2000
at-once: $(READY)
	WRITES=$(WRITES) $(BIN)/python -m pytest -n 0 tests/jobs/test_kills.py \
	    -k writers

lint: $(READY)
	$(BIN)/isort --check .
	$(BIN)/yapf --diff --recursive --parallel .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python docs/generate.py

dist: $(READY)
	$(BIN)/python tests/distributions.py dist

clean:
	rm -rf $(VENV) $(HOSTS) work_dirs data/digits build dist

# PYTHONPATH and PYTHONHOME of another environment must not leak into this one.
unexport PYTHONPATH PYTHONHOME

$(READY): $(VENV)/.packages pyproject.toml setup.py
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.packages: requirements/pinned.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python 3.11, 3.12 or 3.13 is needed, found %d.%d: set PYTHON=..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/pinned.txt
	touch $@

$(HOSTS)/.ready: requirements/pinned.txt $(wildcard requirements/hosts/*) tests/hosts.py
	$(PYTHON) tests/hosts.py $(HOSTS)
	touch $@
