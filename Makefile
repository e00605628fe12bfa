# make demo: train three small nets, report on them. make test: everything CI checks. make check: what tells most of it
# in less than 90 seconds on two cores. All set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := rnnreport-demo
# whole files to three workers, one of which waits for a browser or a clock, in the order of tests/conftest.py: the long
# ones first
SPREAD := -n 3 --dist loadfile --no-loadscope-reorder

# what hundreds of the tests' processes import is compiled once, also where the environment says never
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint samples

demo: $(INSTALLED)
	$(BIN)/rnnreport demo --out $(DEMO) --force

test: lint
	chromium="$$(.ci/chromium $(BIN)/playwright)" && RNNREPORT_CHROMIUM="$$chromium" $(BIN)/python -m pytest $(SPREAD)

# After a change that is meant to change the pages: make them anew, then look at them.
samples: $(INSTALLED)
	chromium="$$(.ci/chromium $(BIN)/playwright)" && RNNREPORT_CHROMIUM="$$chromium" $(BIN)/python -m tests.golden.update

check: lint
	$(BIN)/python -m pytest -q $(SPREAD) -m "not slow" @tests/fast.txt

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# torch comes first, by itself, so that a CPU build offered to pip is taken. The groups are read from pyproject.toml
# because the pip of older Pythons has no --group. Nothing is compiled: most of it is never imported.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt torch
	$(BIN)/python -c 'import tomllib; groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; \
	  print(*groups["test"], *groups["lint"], sep="\n")' > $(VENV)/groups.txt
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -r $(VENV)/groups.txt
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt --no-build-isolation -e .
	touch $@
