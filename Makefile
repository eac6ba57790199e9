# Everything a user or CI runs. `make quickstart` and `make check` set up all they need.

# The first Python that raysweep supports and that really runs here.
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
# One thread a process: the sweep itself runs as many processes as there are cores.
export OMP_NUM_THREADS := 1

.PHONY: quickstart real check lint docs test test-ray test-lowest fuzz soak benchmark dist constraints clean

quickstart: .venv/.installed
	$(BIN)/raysweep run experiments/quickstart.py

# Real pretrained models on real sentences; the first time, 179 MB are downloaded. RAYSWEEP_REAL names another
# folder than real/.
real: .venv/.installed
	$(BIN)/python experiments/real
	$(BIN)/raysweep run experiments/real_models.py:small
	$(BIN)/raysweep run experiments/real_models.py:finetuned

check: lint docs test test-ray test-lowest

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy experiments/real

# The pages of docs/ with a reference made from the code, into site/; any warning is an error.
docs: .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

test: .venv/.installed-test
	$(BIN)/pytest -m "not ray" -n 2 --dist loadfile --cov raysweep --cov-report term:skip-covered

test-ray: .venv/.installed-test
	$(BIN)/pytest -m ray

# The tests that train little, on the lowest versions of the direct dependencies.
FAST := spec store planning objectives transforms metrics recipes results estimates
test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/python -m pytest -p no:cacheprovider -m "not ray" -n 2 --dist loadfile $(FAST:%=tests/%)

# Every broken input of the lists in tests/*/broken_*.py; `make test` takes each fifth.
fuzz: .venv/.installed-test
	$(BIN)/pytest -m fuzz -n 2 --dist worksteal

# Faults at random moments of a sweep, from a seed; by hand, as long as one likes.
SEED ?= 0
MINUTES ?= 10
soak: .venv/.installed-test
	$(BIN)/python tests/soak.py --seed $(SEED) --minutes $(MINUTES)

# Alone on the machine, or the numbers mean nothing; about 20 minutes on two cores.
benchmark: .venv/.installed
	$(BIN)/python benchmarks

# What could be uploaded to a package index: a wheel and a source archive, checked.
dist:
	test -x .venv-dist/bin/python || $(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install --quiet build twine
	rm -rf dist
	.venv-dist/bin/python -m build --outdir dist
	.venv-dist/bin/python -m twine check --strict dist/*

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "raysweep needs Python 3.11 or 3.12; install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .[test]
	touch $@

.venv/.installed-docs: .venv/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .[docs]
	touch $@

.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt -e .[chess,optuna] pytest pytest-timeout pytest-xdist
	touch $@

# After an upgrade that passed `make check`: pin what is installed. "+cpu" marks one machine's build of torch.
constraints: .venv/.installed-test
	{ sed -n '/^#/p' constraints.txt; $(BIN)/pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv .venv-lowest .venv-dist build dist *.egg-info
