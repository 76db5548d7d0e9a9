# make demo   set up and run the main job on real data
# make test   set up and run the tests
# make help   the rest
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/installed
# Three processes for two cores: many tests wait. A file of tests stays in one. In the order of the
# folders: what takes long comes first, and the small files of tests/unit fill the cores to the end.
# All must find the same tests in the same order, whatever order a set has.
PYTEST_PARALLEL = PYTHONHASHSEED=0 $(BIN)/python -m pytest \
  --numprocesses=3 --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test conformance lint format docs bench lock clean

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

# The lock is the only input: a second run installs nothing.
$(STAMP): requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@touch $@

demo: $(STAMP) ## Stream 336,776 flights through the broker into a Parquet lake
	$(BIN)/python -m pipelines.demo

test: $(STAMP) ## Run the tests, and the core of Beam's own on the local runner
	$(PYTEST_PARALLEL)
	$(PYTEST_PARALLEL) tests/conformance/beam/core

conformance: $(STAMP) ## Run more of Beam's own tests on the local runner, for half an hour
	$(PYTEST_PARALLEL) tests/conformance/beam

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## Mend style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## Write the site of the pages to build/docs
	$(BIN)/python -m sphinx -c docs -b html -E -a -W --keep-going -q -d build/doctrees . build/docs

bench: $(STAMP) ## Measure side by side with Beam per element, Bytewax, DuckDB and Polars
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.files
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.restart
	$(BIN)/python -m benchmarks.workers
	$(BIN)/python -m benchmarks.backlog
	$(BIN)/python -m benchmarks.bigquery
	$(BIN)/python -m benchmarks.broker
	$(BIN)/python -m benchmarks.udf

# The image's own files are of one Python, and name the bytes of each package.
IMAGE_LOCK = $(BIN)/uv pip compile --quiet --constraint requirements.lock --python-version 3.11 \
  --python-platform x86_64-manylinux_2_28 --generate-hashes --no-annotate --no-header \
  --no-emit-index-url

lock: $(STAMP) ## Pin every package anew, for Python 3.10 to 3.13
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --extra dev --universal \
	  --python-version 3.10 --no-annotate --no-header --no-emit-index-url -o requirements.lock
	$(IMAGE_LOCK) pyproject.toml --extra delta --extra iceberg --extra udf -o templates/image/requirements.txt
	echo setuptools | $(IMAGE_LOCK) - -o templates/image/build-requirements.txt

clean: ## Remove what was built and measured, and the virtual environments
	rm -rf $(VENV) .venv-* build dist *.egg-info demo-run .pytest_cache .mypy_cache .ruff_cache .hypothesis
