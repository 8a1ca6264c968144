# Two commands for a stranger: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
# Two test processes of one thread each: two processes of two threads on two cores slow each other down.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.PHONY: demo test test-long test-load test-all campaign mutants check audit format docs install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Trains the weights that ship further on drawn street scenes for about two minutes (20 steps where the machine is too
# busy for a plan), evaluates, predicts, and writes demo/report.html. IMAGE=... segments an image of your own with the
# weights that ship.
STREET := $(BIN)/segnet train --recipe street --set model.start=segnet-basic-camvid --set train.lr=1.5e-3
demo: install
	rm -rf $(DEMO)/run $(DEMO)/images $(DEMO)/predictions
	$(STREET) --minutes 2 --out $(DEMO)/run || $(STREET) --set train.max_steps=20 --out $(DEMO)/run
	cp $(DEMO)/run/report.html $(DEMO)/report.html
	$(BIN)/segnet data draw $(DEMO)/images --count 4 --seed 7
	$(BIN)/segnet predict $(DEMO)/images/images --weights $(DEMO)/run/best.safetensors --out $(DEMO)/predictions
ifdef IMAGE
	$(BIN)/segnet predict "$(IMAGE)" --weights segnet-basic-camvid --out $(DEMO)/predictions
endif
	@echo "Open $(DEMO)/report.html, and the images in $(DEMO)/predictions."

# The tests that a change should pass before it is committed: all but the long ones.
test: install
	$(PYTEST) -m "not slow and not browser and not load"

# The long ones: compiled models, exports to other runtimes, several processes, real weights, a browser.
test-long: install
	$(PYTEST) -m "slow or browser"

# The service under load and attack, and a training whose processes are killed, one test at a time: what they do depends
# on what else the machine does.
test-load: install
	$(BIN)/python -m pytest -m load

test-all: test test-long test-load

# Commands stopped at random moments, faults of the disk, mutated inputs; an hour or more on two cores. What it found last
# stands in results/reliability.md; its short form is among the long tests.
CAMPAIGN := OMP_NUM_THREADS=1 $(BIN)/python tests/campaign
campaign: install
	$(CAMPAIGN) kills --count 40 --seed 1 --out campaign-kills.json
	$(CAMPAIGN) faults --count 10 --seed 1 --out campaign-faults.json
	$(CAMPAIGN) mutations --count 1000000 --seconds 60 --seed 1 --kept campaign-found --out campaign-mutations.json
	$(CAMPAIGN) answers --count 40 --seed 1 --out campaign-answers.json

# Wrong changes in the parts that everything rests on; which of them no test notices (CONTRIBUTING.md has the score).
mutants: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check mutmut
	OMP_NUM_THREADS=1 $(BIN)/python -m mutmut run --max-children 2
	$(BIN)/python -m mutmut results

check: install
	$(BIN)/ruff format --check src tests tools
	$(BIN)/ruff check src tests tools
	$(BIN)/mypy
	$(BIN)/python tools/licences.py

# Known vulnerabilities of what is pinned, and sbom.json (CycloneDX) of what is installed. It needs the network: exit code 3
# where the service does not answer for every package.
AUDIT := .venv-audit/bin
audit: install
	test -x $(AUDIT)/pip-audit || { $(PYTHON) -m venv .venv-audit && $(AUDIT)/python -m pip install --quiet \
	  --disable-pip-version-check pip-audit cyclonedx-bom; }
	$(BIN)/python tools/audit.py $(AUDIT)

format: install
	$(BIN)/ruff format src tests tools
	$(BIN)/ruff check --fix src tests tools

# The site, in site/index.html; a warning is an error.
docs: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html."

clean:
	rm -rf $(VENV) .venv-audit sbom.json $(DEMO) site .pytest_cache .mypy_cache .ruff_cache
