# Every task of the project: `make run` trains, `make test` tests; `make help` lists all.
# Nothing is needed beyond Python 3.11 to 3.13 and make: the rest goes into .venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install run test test-all test-jobs test-long test-slow test-machines \
  test-extras test-beam test-browser torture coverage test-jax test-torch lint ui docs \
  slides docs-tables docs-pictures notebooks solutions bench clean lock format


# The first interpreter of a version that the locked packages support.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
    2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=
# Processes that run the tests at the same time.
JOBS ?= 2
# Tests compile thousands of small programs and run each of them once or twice.
COMPILE_QUICKLY = XLA_FLAGS="--xla_backend_optimization_level=0 \
  --xla_llvm_disable_expensive_passes=true"

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /	/' | expand -t 12

run: .venv/run.stamp  ## train LeNet-5 on real digits through the whole pipeline
	@$(BIN)/python pipelines/lenet5_digits.py $(ARGS)

# Large networks, many trainings, many compiled loops: minutes of their own.
LONG = tests/architectures tests/callbacks tests/diagnosis tests/layers/adaptive \
  tests/model_graph tests/strangers/test_stranger_models.py tests/testing \
  tests/test_stages.py tests/test_transfer.py \
  tests/test_transfer_features.py tests/test_transfer_strangers.py \
  dlkeras/architectures dlkeras/callbacks dlkeras/diagnosis dlkeras/layers/adaptive \
  dlkeras/testing dlkeras/transfer

test: .venv/test.stamp  ## run the tests (ARGS are handed to pytest)
	@$(COMPILE_QUICKLY) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup \
	  -m "not slow and not browser and not job" $(LONG:%=--ignore=%) --ignore=tests/docs $(ARGS)

test-jobs: .venv/test.stamp  ## run the tests of whole jobs: kills, searches, several machines
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m job tests/pipeline tests/untrusted \
	  tests/docs $(ARGS)

test-long: .venv/torch.stamp  ## run the tests of architectures, callbacks, filters, strangers' models
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow" $(LONG) $(ARGS)

# All that a change may break, whole; `.ci/run` takes the long parts of it in turn.
test-all: test test-jobs test-long test-jax test-torch test-extras test-browser \
  notebooks solutions docs lint  ## run every test but the slow ones (hours)
	@$(MAKE) torture ARGS=--quick

test-slow: .venv/torch.stamp  ## tell sick from healthy trainings: 20 seeds, and held-out networks
	@$(BIN)/python -m pytest -m slow $(LONG) $(ARGS)

test-machines: .venv/jax.stamp  ## train one job in two processes, on TensorFlow and on JAX; a tracking server
	@$(BIN)/python -m pytest -m slow tests/pipeline/test_distributed_job.py \
	  tests/pipeline/test_ownership.py tests/pipeline/test_tracking_server.py $(ARGS)

test-extras: .venv/extras.stamp  ## run the tests of ONNX, LiteRT, database servers, artifact stores
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests/architectures/test_export.py \
	  tests/pipeline/test_database_servers.py tests/pipeline/test_artifact_store.py \
	  tests/pipeline/test_serving.py \
	  -k "test_export or test_database_servers or test_artifact_store or extras" $(ARGS)

test-beam: .venv/test.stamp .venv-beam/stamp  ## write examples with Apache Beam, as without it
	@DLKERAS_BEAM_PYTHON="$$PWD/.venv-beam/bin/python" \
	  $(BIN)/python -m pytest -m slow tests/pipeline/test_beam.py $(ARGS)

# What runs on every backend of Keras; the pipeline is TensorFlow's.
COMPONENTS = tests/layers tests/optimization tests/testing tests/callbacks tests/diagnosis \
  tests/test_transfer.py tests/test_transfer_features.py dlkeras/transfer \
  dlkeras/layers dlkeras/optimization dlkeras/testing dlkeras/callbacks dlkeras/diagnosis
# What strangers bring to the figures and tables.
STRANGERS = tests/strangers/test_stranger_models.py tests/strangers/test_stranger_arrays.py

coverage: .venv/test.stamp  ## run the tests and say which lines they reach
	@$(BIN)/python -m pytest --cov --cov-report term-missing $(ARGS)

test-jax: .venv/jax.stamp  ## run the tests of the Keras parts on JAX
	@$(COMPILE_QUICKLY) KERAS_BACKEND=jax $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow" \
	  $(COMPONENTS) $(STRANGERS) $(ARGS)

test-torch: .venv/torch.stamp .venv/jax.stamp  ## run the tests of the Keras parts on PyTorch
	@KERAS_BACKEND=torch $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow" \
	  $(COMPONENTS) $(STRANGERS) $(ARGS)

torture: .venv/test.stamp  ## kill training at every write and at random; count what is lost
	@$(BIN)/python benchmarks/torture.py $(ARGS)

bench: .venv/jax.stamp .venv/torch.stamp  ## measure ours against its peers (minutes)
	@KERAS_BACKEND=jax $(BIN)/python benchmarks/lms.py $(ARGS)
	@KERAS_BACKEND=tensorflow $(BIN)/python benchmarks/monitor.py $(ARGS)
	@KERAS_BACKEND=jax $(BIN)/python benchmarks/connections.py $(ARGS)

# One thread each: they run at the same time.
NBMAKE = TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 \
  $(BIN)/python -m pytest -n $(JOBS) --nbmake --nbmake-timeout=300 --durations=0

notebooks: .venv/docs.stamp  ## write all notebooks (.ipynb) to build/ and run every chapter
	@$(BIN)/python scripts/notebooks.py
	@$(BIN)/python scripts/chapters.py --jobs $(JOBS) $(ARGS)

solutions: .venv/docs.stamp  ## run the exercises' solutions, and chapters as readers change them
	@$(BIN)/python scripts/notebooks.py build/solutions
	@$(NBMAKE) build/solutions/solutions/*.ipynb tests/docs/chapter_variations.py $(ARGS)

# The tests build the site, one process of them while another runs the pages' examples.
docs: .venv/docs.stamp  ## build the site into build/site and check its links
	@$(BIN)/python scripts/chapters.py --jobs $(JOBS)
	@$(COMPILE_QUICKLY) $(BIN)/python -m pytest -n $(patsubst 1,0,$(JOBS)) --dist loadgroup \
	  -m "not job and not browser" tests/docs $(ARGS)
	@echo "Open build/site/index.html in a browser"

slides: .venv/docs.stamp  ## write the chapters as slides: build/slides/index.html
	@$(BIN)/python scripts/chapters.py --jobs $(JOBS)
	@$(BIN)/python scripts/site_build.py --slides
	@echo "Open build/slides/index.html in a browser and teach"

docs-tables: .venv/torch.stamp  ## measure the tables of docs/ again
	@$(BIN)/python tests/pipeline/corrupt_input.py docs/corrupt_input.md
	@$(BIN)/python benchmarks/augmentation.py --write docs/augmentation.md

docs-pictures: .venv/test.stamp  ## draw the pictures of docs/ again
	@$(BIN)/python docs/pictures.py $(ARGS)
	@$(BIN)/python docs/moving_pictures.py

test-browser: .venv/docs.stamp  ## open MLflow's pages in Chromium (Debian: chromium-driver)
	@$(BIN)/python -m pytest -m browser tests/ui $(ARGS)

lint: .venv/jax.stamp .venv/torch.stamp .venv/docs.stamp  ## ruff, pyright, imports, words
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/python scripts/words.py
	@$(BIN)/pyright
	@$(BIN)/lint-imports

format: .venv/test.stamp  ## put the code into ruff's form
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

ui: .venv/run.stamp  ## open MLflow on http://127.0.0.1:5000
	@$(BIN)/dlkeras ui $(ARGS)

clean:  ## remove the environment, caches and build outputs; mlruns/ is kept
	rm -rf .venv .venv-beam build dist .coverage .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment is made once; a changed lock installs what changed.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "dlkeras needs Python 3.11, 3.12 or 3.13; \
	none was found (python3 is: $$(python3 --version 2>&1))" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || { \
	  v=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "Python's venv module is missing; install it with: \
	sudo apt install python$$v-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; exit 1; }

.venv/run.stamp: .venv/bin/python requirements/run.txt pyproject.toml
	@echo "Installing the locked packages into .venv (some minutes the first time)"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

.venv/test.stamp: .venv/run.stamp requirements/test.txt
	@echo "Installing the locked test tools into .venv"
	@$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@

LOCKS = run test jax docs extras
install: .venv/bin/python  ## install all that the tests need, in one step
	@echo "Installing everything that the tests need into .venv"
	@$(PIP) install --require-hashes $(LOCKS:%=-r requirements/%.txt)
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@$(PIP) install torch==2.13.0
	@touch .venv/run.stamp .venv/test.stamp
	@touch $(LOCKS:%=.venv/%.stamp) .venv/torch.stamp

.venv/jax.stamp: .venv/test.stamp requirements/jax.txt
	@echo "Installing JAX and numba into .venv"
	@$(PIP) install --require-hashes -r requirements/jax.txt
	@touch $@

.venv/extras.stamp: .venv/test.stamp requirements/extras.txt
	@echo "Installing ONNX, LiteRT and databases' clients into .venv"
	@$(PIP) install --require-hashes -r requirements/extras.txt
	@touch $@

# Beam wants an older protobuf than the tests' own tools.
.venv-beam/stamp: .venv/run.stamp requirements/beam.txt pyproject.toml
	@echo "Installing Apache Beam and the pipeline into .venv-beam"
	@"$(PYTHON)" -m venv .venv-beam
	@.venv-beam/bin/python -m pip --disable-pip-version-check --quiet \
	  install --require-hashes -r requirements/beam.txt
	@.venv-beam/bin/python -m pip --disable-pip-version-check --quiet \
	  install --no-build-isolation --no-deps --editable .
	@touch $@

.venv/docs.stamp: .venv/test.stamp requirements/docs.txt
	@echo "Installing what writes the site and runs the notebooks into .venv"
	@$(PIP) install --require-hashes -r requirements/docs.txt
	@touch $@

# PyTorch has builds of several sizes under one version, so no hash names it.
.venv/torch.stamp: .venv/test.stamp
	@echo "Installing PyTorch into .venv"
	@$(PIP) install torch==2.13.0
	@touch $@

# Extras stand in the lock: pip takes the newest release of `x[extra]` where only `x` is.
UV_LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-header --no-emit-index-url --no-strip-extras \
  --extra pipeline --group build
lock:  ## write requirements/*.txt again from pyproject.toml (needs uv)
	$(UV_LOCK) pyproject.toml -o requirements/run.txt
	$(UV_LOCK) --group dev -c requirements/run.txt pyproject.toml -o requirements/test.txt
	$(UV_LOCK) --group dev --group docs -c requirements/test.txt pyproject.toml \
	  -o requirements/docs.txt
	$(UV_LOCK) --group dev --extra jax --group bench -c requirements/test.txt \
	  pyproject.toml -o requirements/jax.txt
	$(UV_LOCK) --group dev --extra onnx --extra litert --extra mysql --extra postgresql \
	  --extra s3 --group stores -c requirements/test.txt pyproject.toml -o requirements/extras.txt
	$(UV_LOCK) --extra beam pyproject.toml -o requirements/beam.txt
