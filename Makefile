# One command for each thing that a contributor does; each sets itself up.
PYTHON ?= python3
BIN := .venv/bin
# Named, so that ruff does not read the generated repository's pyproject.toml, which is a template.
RUFF := $(BIN)/ruff --config pyproject.toml

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

lock: .venv/ready  ## take the newest versions of the development dependencies
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-annotate --custom-compile-command "make lock" --extra preview --group dev --no-strip-extras pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .venv-bench

.venv/ready: requirements.lock
	@echo "Setting up .venv with $$($(PYTHON) --version) (once, about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=…")'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv-bench/ready: benchmarks/requirements.txt
	@echo "Setting up .venv-bench (once, about a minute)"
	@$(PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@
