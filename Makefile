# `make help` says what there is. Every target sets up what it needs and does nothing twice: the virtual environment is
# made once, the compiled parts are built when they change, dependencies are installed when pyproject.toml changes.
# PYTHON=/path/to/python chooses the interpreter for a new environment; else it is the fastest on the machine.

VENV := .venv
PY := $(VENV)/bin/python
COMPILED := $(shell find proxy/fairlead/engine proxy/fairlead/wire proxy/fairlead/balance proxy/fairlead/dataplane \
	proxy/fairlead/observe/histogram.* -name '*.py' -o -name '*.pyx' -o -name '*.pxd')
BUILD_REQUIRES := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
ARGS ?=

.NOTPARALLEL:
.PHONY: help demo test check lint types unit interpreted build venv h1cases fuzz asan compare e2e soak attack \
	resilience loadtest overload deploy-check image docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## three backends, the proxy and traffic, live in this terminal (ARGS="--seconds 30")
	@$(VENV)/bin/fairlead demo $(ARGS)

test: lint types unit interpreted ## all that must be green: lint, types and tests

check: test ## the same

lint: build
	@echo "== ruff"
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: build
	@echo "== mypy"
	@$(VENV)/bin/mypy

unit: build
	@echo "== pytest"
	@$(PY) -m pytest $(ARGS)

interpreted: build # the same text without the compiler: the engine is compiled, the rest is what a debugger sees
	@echo "== pytest, the data plane interpreted"
	@FAIRLEAD_INTERPRETED=1 $(PY) -m pytest tests/dataplane tests/control

h1cases: build ## HTTP cases of other projects, where they are at hand, against a real proxy (ARGS="-v")
	@PYTHONPATH=tests $(PY) -m h1cases $(ARGS)

fuzz: build ## coverage-guided fuzzing of parsers and exchanges (ARGS="exchange --seconds 600")
	@$(PY) -m pip install -q --group fuzz
	@PYTHONPATH=tests $(PY) -m fuzz $(ARGS)

asan: build ## the tests that give the compiled parts hostile bytes, under AddressSanitizer (ARGS="tests/wire")
	@scripts/asan $(ARGS)

compare: build ## CPU, latency and memory beside nginx, HAProxy and Envoy (ARGS="--quick")
	@scripts/apt-install nginx-light libnginx-mod-stream haproxy wrk nghttp2-client
	@$(PY) -m pip install -q --group compare
	@$(PY) -m loadtests.compare $(ARGS)

e2e: build ## a cluster in a box: rollouts, scaling, outages under 1,000 requests/s (ARGS="rolling-update")
	@command -v ip >/dev/null || scripts/apt-install iproute2
	@PYTHONPATH=tests $(PY) -m box $(ARGS)

soak: build ## random failures and many connections: no wrong byte, no leak
	@$(PY) -m loadtests.soak $(ARGS)

attack: build ## 7,000 clients that hold on and give nothing: latency, memory, deadlines (ARGS="--seconds 30")
	@$(PY) -m loadtests.attack $(ARGS)

resilience: build ## one bad endpoint among three, behind Fairlead, HAProxy and Envoy: what users feel of it
	@scripts/apt-install haproxy
	@$(PY) -m pip install -q --group compare
	@$(PY) -m loadtests.resilience $(ARGS)

loadtest: build ## users, by locust, and what befalls the pods; plots (ARGS="rollout", ARGS="spike --web 8089")
	@$(PY) -m loadtests.scenarios $(ARGS)

overload: build ## twice what a service can do, beside HAProxy's maxconn and Envoy's adaptive concurrency (ARGS="--seconds 5")
	@scripts/apt-install haproxy
	@$(PY) -m pip install -q --group compare
	@$(PY) -m loadtests.overload $(ARGS)

deploy-check: build ## the manifests and the chart, rendered and held against Kubernetes 1.30 to 1.37; the Dockerfiles, linted
	@echo "== validators"
	@$(PY) -m pip install -q --group deploy
	@scripts/make-helm-venv $(VENV)/helm
	@$(PY) -m pytest -rs tests/deploy tests/example $(ARGS)

image: ## the container images, built with buildah and run as Kubernetes would run them
	@scripts/build-image

docs: build ## write docs/configuration.md anew, from the code
	@$(PY) -m fairlead.config > $(VENV)/configuration.md
	@mv $(VENV)/configuration.md docs/configuration.md

build: $(VENV)/.built $(VENV)/.installed ## the environment and the compiled parts, in place
	@:

venv: $(VENV)/.installed
	@:

$(VENV)/.made:
	@scripts/make-venv $(VENV)
	@touch $@

$(VENV)/.tools: pyproject.toml | $(VENV)/.made
	@echo "== build tools"
	@$(PY) -m pip install -q --upgrade pip
	@$(PY) -c '$(BUILD_REQUIRES)' > $(VENV)/build-requires.txt
	@$(PY) -m pip install -q -r $(VENV)/build-requires.txt
	@touch $@

$(VENV)/.built: setup.py $(COMPILED) | $(VENV)/.tools
	@echo "== compiled parts"
	@$(PY) setup.py -q build_ext --inplace
	@touch $@

# Without building: an editable installation would compile all of it once more.
$(VENV)/.installed: pyproject.toml | $(VENV)/.built
	@echo "== dependencies"
	@FAIRLEAD_BUILD_NOTHING=1 $(PY) -m pip install -q --no-build-isolation -e . --group dev
	@touch $@

clean: ## remove the environment and all that was built
	@rm -rf $(VENV) build dist proxy/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find proxy $(wildcard loadtests) \( -name '*.so' -o -name '*.c' \) -delete
	@find proxy tests $(wildcard loadtests) -name __pycache__ -prune -exec rm -rf {} +
