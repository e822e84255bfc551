# One command for each thing that a contributor does; each sets itself up.
PYTHON ?= python3
BIN := .venv/bin
# Named, so that ruff does not read the generated repository's pyproject.toml, which is a template.
RUFF := $(BIN)/ruff --config pyproject.toml
# make WITH_PIP=23.2.1 sets up with that pip, not with the one that Python brings.
WITH_PIP :=
# $(call needs,command,message): stop with one line unless the command works.
needs = $(if $(shell $(1) >/dev/null 2>&1 && echo yes),,$(error $(2)))
INSTALL = $(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-deps
# Extras stay in the lock: what it has is then seen to be complete (tests/setup/test_lock.py).
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--only-binary :all: --no-annotate --no-strip-extras --custom-compile-command "make lock"

.PHONY: demo test coverage lint format bench lock clean

demo: .venv/ready  ## bake a library, publish it to an embedded S3, install it
	@$(BIN)/python demo.py

test: .venv/ready  ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

coverage: .venv/ready  ## say which lines and branches no test reaches
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

lint: .venv/ready  ## check style, imports and types, in place
	@$(RUFF) check .
	@$(RUFF) format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy demo.py hooks tests src/s3index benchmarks docs/examples

format: .venv/ready  ## let ruff format and mend
	@$(RUFF) format .
	@$(RUFF) check --fix .

bench: .venv/ready .venv-bench/ready  ## measure what a release costs; writes docs/benchmarks.md
	@$(BIN)/python -m benchmarks$(addprefix .,$(ONLY))

lock: .venv/ready  ## take the newest versions: of development, of the action, of the benchmarks
	@$(COMPILE) -o requirements.lock pyproject.toml --all-extras --group dev
	@$(COMPILE) -o action/s3index.txt pyproject.toml action/s3index.in
	@$(COMPILE) -o action/poetry.txt action/poetry.in
	@$(COMPILE) -o action/build.txt action/build.in
	@$(COMPILE) -o tests/moving/servers.lock tests/moving/servers.in
	@$(COMPILE) -o benchmarks/requirements.txt benchmarks/requirements.in
	@$(COMPILE) -o tests/clients/tools.lock tests/clients/tools.in

clean:
	rm -rf .venv*/ready .venv*/locked .venv .venv-bench .node

# Each environment: what its lock names, then s3index as it lies here. No resolver runs, no sdist is
# built with whatever is newest, and the second step asks no index: none can change what comes out.
# s3index is editable, so that a change of src/ needs no set-up and tests cover the files they name.
# A file is touched when a step is done: one that was cut off starts over.
.venv/locked: requirements.lock
.venv-bench/locked: benchmarks/requirements.txt
.venv/locked .venv-bench/locked:
	@$(call needs,$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))",Python 3.11 or newer is needed: install it or name it with make PYTHON=path)
	@$(call needs,$(PYTHON) -c "import ensurepip; import venv",Python's venv module is needed: install it (Debian: python3-venv))
	@$(call needs,command -v git,git is needed: install it)
	@echo "Setting up $(@D) with $$($(PYTHON) --version) (once, about a minute)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(if $(WITH_PIP),$(INSTALL) pip==$(WITH_PIP))
	@$(INSTALL) --only-binary=:all: --require-hashes -r $<
	@touch $@

.venv/ready: .venv/locked pyproject.toml
	@$(INSTALL) --no-index --no-build-isolation -e .
	@touch $@

.venv-bench/ready: .venv-bench/locked
	@touch $@
