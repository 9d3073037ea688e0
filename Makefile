# make demo    set up, then train, merge and test a model on real digits
# make test    set up, then run all tests
# make fuzz    set up, then try thousands of damaged checkpoints
# make lint    set up, then check style
# make clean   remove what these made

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test fuzz lint clean

demo: $(READY)
	$(BIN)/python demo/demo.py

test: $(READY)
	$(BIN)/python -m pytest

MUTANTS ?= 5000
fuzz: $(READY)
	MUTANTS=$(MUTANTS) $(BIN)/python -m pytest tests/checkpoints/test_fuzz.py

lint: $(READY)
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) work_dirs data/digits

# PYTHONPATH and PYTHONHOME of another environment must not leak into this one.
unexport PYTHONPATH PYTHONHOME

$(READY): requirements/pinned.txt setup.py
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v == (3, 11) or sys.exit("Python 3.11 is needed, found %d.%d: set PYTHON=..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/pinned.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
