# The commands of the project. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
# The first Python on the PATH that the project supports and that can make a virtual environment.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
  2>/dev/null && echo $$python && break; done)
# make UV=uv: uv installs the same locked packages several times as fast; it does not read pip.conf.
# Bytecode is compiled once, here: pip does it by itself, uv has to be asked. Without it every process
# that may not write bytecode (PYTHONDONTWRITEBYTECODE) compiles all of TensorFlow again.
UV :=
PIP_INSTALL = $(if $(UV),$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python,\
  $(BIN)/python -m pip install --quiet --disable-pip-version-check)
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --custom-compile-command "make lock" pyproject.toml

# The tests of a file share what they train, so one worker runs them all; it takes up to 3 GB.
PYTEST_WORKERS := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The image: BASE_IMAGE, CUDA=1, PIP_CONF and CA are what the Dockerfile says of them.
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

run: $(VENV)/ready  ## fine-tune the bundled sample, here, in under two minutes
	@$(BIN)/kfp-finetune run

test: $(VENV)/ready-dev  ## run the tests, offline
	@$(BIN)/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

# build/typing is laid out as an installed package: import-linter and mypy know no package-dir.
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

bench: $(VENV)/ready-dev  ## measure training beside other ways to do it; for a quiet machine
	@$(BIN)/python benchmarks/training/bench.py

image:  ## build the container image of the steps
	@DOCKER_BUILDKIT=1 $(DOCKER) build $(BUILD_OPTIONS) --tag $(IMAGE) .

pipeline: $(VENV)/ready-dev  ## compile the pipelines into the YAML that is committed
	@for name in finetune compare_schedules; do \
	  $(BIN)/kfp-finetune compile --pipeline $$name -o pipelines/$$name/pipeline.yaml || exit; done

reference: $(VENV)/ready-dev  ## write docs/reference.md from the program
	@$(BIN)/python docs/reference.py

# setuptools would also pack files that an earlier build left in build/lib.
wheel: $(VENV)/ready  ## build the wheel in dist/
	@rm -rf build/lib
	@mkdir -p dist
	@$(BIN)/python -c 'from setuptools import build_meta; print("dist/" + build_meta.build_wheel("dist"))'

# What is locked stays unless pyproject.toml forbids it; make lock UPGRADE=1 takes the newest of all.
lock: $(VENV)/ready-dev  ## resolve the dependencies and write the lock files
	@$(LOCK) $(if $(UPGRADE),--upgrade) --extra train --extra s3 --extra gcs --extra onnx --extra dev -o requirements-dev.lock
	@$(LOCK) --extra train --extra s3 --extra gcs --constraint requirements-dev.lock -o requirements.lock
	@$(LOCK) --extra train --extra s3 --extra gcs --extra cuda --constraint requirements-dev.lock -o requirements-cuda.lock

clean:  ## remove the environment and everything built
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

# One environment for all commands: what `make test` needs holds what `make run` needs.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory environment LOCKFILE=requirements.lock
	@touch $@

$(VENV)/ready-dev: requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory environment LOCKFILE=requirements-dev.lock
	@touch $(VENV)/ready $@

.PHONY: environment python
python:
	@echo $(PYTHON)

environment:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed; none was found." \
	  "Install one (Debian: apt install python3 python3-venv), or say make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up $(VENV) from $(LOCKFILE); this takes a few minutes, once."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP_INSTALL) --require-hashes -r $(LOCKFILE)
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
