# The commands of the project. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
# The first supported Python on the PATH that can create a virtual environment.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
  2>/dev/null && echo $$python && break; done)
# make UV=uv installs the same locked packages several times as fast; uv does not read pip.conf.
# Bytecode is compiled on installation, for which uv needs an option. Without bytecode, every process
# that may not write it (PYTHONDONTWRITEBYTECODE) compiles all of TensorFlow again.
UV :=
PIP_INSTALL = $(if $(UV),$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python,\
  $(BIN)/python -m pip install --quiet --disable-pip-version-check)
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --custom-compile-command "make lock" pyproject.toml

# The tests of a file share trained models, so one worker runs them all; a worker takes up to 2.2 GB.
PYTEST_WORKERS := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The image: the Dockerfile describes BASE_IMAGE, CUDA=1, PIP_CONF and CA.
DOCKER ?= docker
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= kfp-finetune:$(VERSION)$(if $(CUDA),-cuda)
BUILD_OPTIONS = --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) \
  $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
  $(if $(CUDA),--build-arg LOCK=requirements-cuda.lock) \
  $(if $(PIP_CONF),--secret id=pip$(,)src=$(PIP_CONF)) $(if $(CA),--secret id=ca$(,)src=$(CA)) \
  $(foreach name,http_proxy https_proxy no_proxy,$(if $($(name)),--build-arg $(name)))
, := ,

.PHONY: bench image wheel reference help run test check format pipeline lock clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-8s %s\n", $$1, $$2}'

run: $(VENV)/ready  ## fine-tune the bundled sample on this machine in under two minutes
	@$(BIN)/kfp-finetune run

test: $(VENV)/ready-dev  ## run the tests, offline
	@$(BIN)/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

# build/typing has the layout of an installed package, because import-linter and mypy do not support
# package-dir.
check: $(VENV)/ready-dev  ## formatting, linting, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@rm -rf build/typing && mkdir -p build/typing/kfp_finetune
	@ln -s $(addprefix ../../../,$(wildcard api/*) cli components pipelines) build/typing/kfp_finetune
	@PYTHONPATH=build/typing $(BIN)/lint-imports --no-cache
	@$(BIN)/mypy -p kfp_finetune

format: $(VENV)/ready-dev  ## format the code and apply the linter's fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/ready-dev  ## compare training speed with other libraries; needs an idle machine
	@$(BIN)/python benchmarks/training/bench.py

image:  ## build the container image of the steps
	@DOCKER_BUILDKIT=1 $(DOCKER) build $(BUILD_OPTIONS) --tag $(IMAGE) .

pipeline: $(VENV)/ready-dev  ## compile the pipelines to the committed YAML files
	@for name in finetune compare_schedules; do \
	  $(BIN)/kfp-finetune compile --pipeline $$name -o pipelines/$$name/pipeline.yaml || exit; done

reference: $(VENV)/ready-dev  ## write docs/reference.md from the program
	@$(BIN)/python docs/reference.py

# setuptools would also pack files that an earlier build left in build/lib.
wheel: $(VENV)/ready  ## build the wheel in dist/
	@rm -rf build/lib
	@mkdir -p dist
	@$(BIN)/python -c 'from setuptools import build_meta; print("dist/" + build_meta.build_wheel("dist"))'

# Keeps locked versions unless pyproject.toml forbids them; make lock UPGRADE=1 takes the newest.
lock: $(VENV)/ready-dev  ## resolve the dependencies and write the lock files
	@$(LOCK) $(if $(UPGRADE),--upgrade) --extra train --extra s3 --extra gcs --extra onnx --extra dev -o requirements-dev.lock
	@$(LOCK) --extra train --extra s3 --extra gcs --constraint requirements-dev.lock -o requirements.lock
	@$(LOCK) --extra train --extra s3 --extra gcs --extra cuda --constraint requirements-dev.lock -o requirements-cuda.lock

clean:  ## remove the environment and everything built
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

# One environment for all commands: the packages of `make test` include those of `make run`.
$(VENV)/ready: requirements.lock pyproject.toml setup.py
	@$(MAKE) --no-print-directory environment LOCKFILE=requirements.lock
	@touch $@

$(VENV)/ready-dev: requirements-dev.lock pyproject.toml setup.py
	@$(MAKE) --no-print-directory environment LOCKFILE=requirements-dev.lock
	@touch $(VENV)/ready $@

.PHONY: environment python
python:
	@echo $(PYTHON)

environment:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with the venv module was found." \
	  "Install one (Debian: apt install python3 python3-venv), or run make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up $(VENV) from $(LOCKFILE); this takes a few minutes the first time."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP_INSTALL) --require-hashes -r $(LOCKFILE)
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
