# Needs a POSIX make, Python >= 3.11 (PYTHON=... names another one) and git. Everything else goes into .venv.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto
SECONDS ?= 600
SEEDS ?= 20

RUN = $(VENV)/bin/python

.PHONY: help demo book check compact test test-browser test-frameworks hunt mutation mistakes verify lint format bench clean

help:
	@echo "make demo    derive, check and train the digits model; writes out/digits.html"
	@echo "make book    write the reference of all layers to out/book"
	@echo "make check   one case of every test that is not slow: an answer in 45 to 80 seconds on two cores"
	@echo "make test    run the tests, doctests and documentation snippets"
	@echo "make test-browser   the tests of pages in a browser (needs Chromium and chromedriver)"
	@echo "make test-frameworks   the source for PyTorch and JAX, run in them"
	@echo "make hunt SECONDS=600   random programs, names, sizes and state against independent oracles"
	@echo "make mutation   break the rules in a hundred places, one at a time, and see whether the tests notice"
	@echo "make mistakes   plant mistakes in published backward passes; counts what check_backward names"
	@echo "make verify SEEDS=20   verify() over every form of the tests, the examples and the layers"
	@echo "make compact   what every backward pass takes beside the published one, counted by running both"
	@echo "make lint    ruff check, ruff format --check, mypy --strict"
	@echo "make bench   run the benchmarks; writes benchmarks/results/"
	@echo "make format  rewrite the sources with ruff"
	@echo "make clean   remove the environment and everything generated"

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "pullback needs Python >= 3.11: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp a set of extras, so that nothing is installed twice.
$(VENV)/.ready-%: pyproject.toml | $(RUN)
	$(RUN) -m pip install --quiet --editable '.[$*]'
	@touch $@

demo: $(VENV)/.ready-demo
	$(RUN) examples/digits.py --report out/digits.html

book: $(VENV)/.ready-demo
	$(RUN) -m pullback book out/book

test-browser: $(VENV)/.ready-test,browser
	$(RUN) -m pytest -q tests/book tests/graph/test_page.py

test-frameworks: $(VENV)/.ready-test,frameworks
	$(RUN) -m pytest -q -n $(JOBS) tests/backends/test_frameworks.py

hunt: $(VENV)/.ready-test
	$(RUN) -m tools.hunt --seconds $(SECONDS)

mutation: $(VENV)/.ready-test,mutation
	$(RUN) tools/mutate.py --sample 100

check: $(VENV)/.ready-test
	$(RUN) -m pytest -q -n $(JOBS) --quick tests

compact: $(VENV)/.ready-test
	$(RUN) -m tests.compactness --check

mistakes: $(VENV)/.ready-test
	$(RUN) tools/plant_mistakes.py --most 5

test: $(VENV)/.ready-test
	$(RUN) -m pytest -q -n $(JOBS)

verify: $(VENV)/.ready-test
	$(RUN) tools/verify_all.py --seeds $(SEEDS) --out docs/verified.md

lint: $(VENV)/.ready-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(VENV)/.ready-test
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: $(VENV)/.ready-bench
	$(RUN) -m benchmarks.run

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
