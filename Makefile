# make demo and make test do all the set-up on a machine with Python >= 3.11, a C++20 compiler and make.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
EXTRAS := plots,sql,tune,neural,ann,service,postgres,test,lint
BUILD_TOOLS := scikit-build-core nanobind cmake ninja
PEERS := peers peers-irspack peers-lenskit peers-recbole peers-rectools peers-deepctr
NATIVE := $(wildcard src/tastemaker/_native/cpp/*) CMakeLists.txt

.PHONY: demo serve test lint bench install peers clean
.DEFAULT_GOAL := help

help: ## say what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1|\2/' | column -t -s '|'

$(VENV)/tools: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tastemaker needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt $(BUILD_TOOLS)
	@touch $@

$(VENV)/ready: $(VENV)/tools pyproject.toml constraints.txt $(NATIVE)
	@echo "building tastemaker and installing what it needs into $(VENV) (a few minutes the first time)"
	$(PIP) install -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@

install: $(VENV)/ready ## set up .venv with everything

demo: $(VENV)/ready ## fit, compare and show two home screens
	$(VENV)/bin/tastemaker demo $(ARGS)

serve: $(VENV)/ready ## serve the home screens of a generated world (ARGS=... goes to tastemaker serve)
	$(VENV)/bin/tastemaker serve $(ARGS)

test: $(VENV)/ready ## run the tests (ARGS=... goes to pytest)
	$(PY) -m pytest $(ARGS)

lint: $(VENV)/ready ## ruff and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

.venv-%/ready: benchmarks/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@test ! -f benchmarks/$*-alone.txt || $(@D)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps -r benchmarks/$*-alone.txt
	@touch $@

peers: $(PEERS:%=.venv-%/ready) ## set up .venv-peers* with what the benchmarks compare with

bench: $(VENV)/ready peers ## run benchmarks/$(BENCH).py (BENCH=ratings, ...)
	@test -f "benchmarks/$(BENCH).py" || { echo "BENCH must be the name of a file in benchmarks/, e.g. make bench BENCH=ratings"; exit 2; }
	$(PY) benchmarks/$(BENCH).py $(ARGS)

clean: ## remove everything that make made
	rm -rf $(VENV) $(PEERS:%=.venv-%) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
