# The two commands are `make demo` and `make test`: each does all the set-up there is. `make help` lists the rest.

VENV := .venv
PYTHON := $(VENV)/bin/python
COMPILED := $(wildcard gateway/_*.pyx)
SET_UP_BY := pyproject.toml setup.py bootstrap.sh

# stale whatever the dates say: a compiled module is missing
ifneq ($(words $(COMPILED)),$(words $(wildcard gateway/_*.so)))
.PHONY: $(VENV)/.built
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format build config-reference servers perf perf-quick perf-tools \
	clean distclean

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 26

demo: build ## set up, then a complete gateway on loopback, with mail servers and users of its own
	@$(VENV)/bin/gateway demo

test: servers check ## set up, make check, then the tests except the slow ones
	@echo '==> tests'
	@$(PYTHON) -m pytest -m 'not slow'

test-all: servers check ## the same with the slow tests
	@echo '==> tests, slow ones included'
	@$(PYTHON) -m pytest

check: $(VENV)/.dev build ## style, types, stubs of the compiled modules, layers
	@echo '==> ruff'
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --quiet --check .
	@echo '==> mypy'
	@$(PYTHON) -m mypy --no-error-summary gateway perf $(wildcard tests/support)
ifneq ($(COMPILED),)
	@echo '==> stubtest, cython-lint'
	@$(PYTHON) -m mypy.stubtest --concise $(subst /,.,$(COMPILED:.pyx=))
	@PATH="$(VENV)/bin:$$PATH" cython-lint $(COMPILED)
endif
	@echo '==> import-linter'
	@report=$$($(VENV)/bin/lint-imports --no-logo 2>&1) || { echo "$$report"; exit 1; }

format: $(VENV)/.dev ## sort the imports and lay out the code as make check wants it
	@$(PYTHON) -m ruff check --quiet --select I --fix .
	@$(PYTHON) -m ruff format --quiet .

build: $(VENV)/.built ## compile gateway/_*.pyx in place

config-reference: build ## write conf/gateway.ini.example and docs/settings.md from the model
	@$(VENV)/bin/gateway config-reference

servers: # the programs that the tests talk to
	@./bootstrap.sh servers

perf: perf-tools ## measure beside nginx, Dovecot, HAProxy, stunnel (an hour, as root) and write docs/performance.md
	@$(PYTHON) -m perf.suite run --docs docs

perf-quick: perf-tools ## see that this measuring works: half a minute, figures of no worth in perf/build
	@$(PYTHON) -m perf.suite run --quick --rounds 1 --out perf/build/quick.jsonl --docs perf/build/quick

perf-tools: $(VENV)/.dev build # the load generator and its like, and the peers
	@./bootstrap.sh perf
	@$(MAKE) --silent -C perf/tools PYTHON=$(abspath $(PYTHON))

clean: ## remove what was built, keep the virtual environment
	@rm -rf build perf/build dist *.egg-info gateway/_*.c gateway/_*.so $(VENV)/.built .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis
	@find gateway tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## remove the virtual environment too
	@rm -rf $(VENV)

$(VENV)/.run: $(SET_UP_BY)
	@./bootstrap.sh run
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@./bootstrap.sh dev
	@touch $@

$(VENV)/.built: $(VENV)/.run $(COMPILED) $(wildcard gateway/_*.pxd)
	@echo '==> compiled modules'
	@$(PYTHON) setup.py --quiet build_ext --inplace
	@touch $@
