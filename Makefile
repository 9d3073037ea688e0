# make demo    set up, then train, merge and test a model on real digits
# make test    set up, then run all tests
# make quick   set up, then run the tests that start no process and train
#              nothing: tests/conftest.py marks the others as heavy
# make test-hosts   set up mmpretrain, and its fork, and run the tests there
# make fuzz    set up, then try thousands of damaged checkpoints
# make lint    set up, then check format, imports, style and types
# make docs    set up, then generate tables and the API page anew
# make clean   remove what these made
# make test-processors   run all tests as lesser processors would: see
#                        tests/processors.py; ARGUMENTS='-n 1 tests/ops'

# The first that runs, and can make an environment, of those that
# requirements/pinned.txt is for; or python3, to say what is wrong with it.
PYTHON ?= $(or $(shell for p in python3.11 python3.12 python3.13; do \
    $$p -I -c 'import ensurepip, venv' 2>/dev/null && echo $$p && break; \
    done),python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

HOSTS := .venv-hosts
# What shows that a host's names, models, files and jobs are met.
NAMED := tests/host tests/checkpoints tests/test_package.py \
    tests/jobs/train/test_train.py tests/jobs/test_reparameterize_model.py \
    tests/jobs/test/test_test.py

.PHONY: demo test quick test-hosts test-processors fuzz lint docs clean

demo: $(READY)
	$(BIN)/python demo/demo.py

test: $(READY)
	$(BIN)/python -m pytest

quick: $(READY)
	$(BIN)/python -m pytest -m 'not slow and not heavy'

test-hosts: $(HOSTS)/.ready
	$(HOSTS)/mmpretrain/bin/python -m pytest $(ARGUMENTS)
	$(HOSTS)/onedl-mmpretrain/bin/python -m pytest $(NAMED)

test-processors: $(READY)
	$(BIN)/python tests/processors.py $(ARGUMENTS)

MUTANTS ?= 5000
fuzz: $(READY)
	MUTANTS=$(MUTANTS) $(BIN)/python -m pytest tests/checkpoints/test_fuzz.py

lint: $(READY)
	$(BIN)/isort --check .
	$(BIN)/yapf --diff --recursive --parallel .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) $(HOSTS) work_dirs data/digits

# PYTHONPATH and PYTHONHOME of another environment must not leak into this one.
unexport PYTHONPATH PYTHONHOME

$(READY): requirements/pinned.txt setup.py
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python 3.11, 3.12 or 3.13 is needed, found %d.%d: set PYTHON=..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/pinned.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(HOSTS)/.ready: requirements/pinned.txt $(wildcard requirements/hosts/*) tests/hosts.py
	$(PYTHON) tests/hosts.py $(HOSTS)
	touch $@
