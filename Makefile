# Each target sets up what it needs; a bare machine needs Python 3.11 or newer with venv, make and the OpenSSH client.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
# Hundreds of processes of ours start in a run of the tests: each would compile all our modules anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup demo devstack test steady quick check bench chaos fuzz mutate format recipients docs screens wheel wheelcheck deb debcheck lock clean

help: ## This text
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements/development.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is needed (Debian: apt-get install python3-venv)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.installed ## Virtual environment, locked dependencies, .venv/bin/sftp-gateway

demo: setup ## The main job, end to end, on embedded servers; serves until Ctrl-C
	@$(BIN)/sftp-gateway demo

devstack: setup ## Embedded PostgreSQL, S3 and mailbox until Ctrl-C
	@$(BIN)/sftp-gateway devstack

test: setup ## All tests, with short forms of chaos and fuzz
	$(BIN)/python -m pytest -n 4 --dist worksteal

steady: setup ## All tests RUNS times (5) beside two busy loops on two cores, with the names of what failed
	@$(BIN)/python -m tests.steady --runs $(or $(RUNS),5)

quick: setup ## Only the tests that need no server, no browser and no client program
	$(BIN)/python -m pytest -n 3 --dist worksteal -p tests.quick

check: setup ## Static checks: ruff, format, mypy strict, import contracts
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check --no-cache .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## Speed and memory, as ratios in one run; BASE=<revision>: beside that commit
	$(BIN)/python -m benchmarks $(if $(BASE),--base $(BASE))

chaos: setup ## Kills, cuts and outages, the long form
	$(BIN)/python -m tests.chaos

fuzz: setup ## Random packets, bytes and calls of the API, the long form
	$(BIN)/python -m tests.processing.reference.fuzz_bytes --runs 20000
	$(BIN)/python -m tests.sftpd.fuzz_packets --runs 20000
	$(BIN)/python -m tests.sending.providers.smpp.fuzz_pdus --runs 20000
	$(BIN)/python -m tests.api.openapi.fuzz_calls --seconds 120

mutate: setup ## Change the code in thousands of small ways: which does no test notice? GROUP=<name>: only that one
	$(BIN)/python -m tests.mutation $(GROUP)

format: setup ## Put every file into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

recipients: setup ## Compile libphonenumber's metadata into the table of recipients
	$(BIN)/python -m tools.compile_recipients

docs: setup ## Write the pages of docs/ that come from the code
	$(BIN)/python -m tools.docs_reference docs/

screens: setup ## Pictures of the console's pages, in docs/screens; needs chromium
	mkdir -p docs/screens
	SCREENS=docs/screens $(BIN)/python -m pytest -q tests/console/browser/test_screens.py -k picture_is_made

# Nothing is chosen at the time of an installation: the tools that build the wheel have hashes, and it is built without isolation,
# in which pip would fetch tools of its own choice; so has the wheel, and all it needs; --only-binary, as a source would be built.
PIP_LOCKED := -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:
wheel: ## The wheel and requirements.txt that pins it and all it needs by hash, in dist/
	rm -rf dist
	$(PYTHON) -m venv dist/tools
	dist/tools/bin/python $(PIP_LOCKED) -r requirements/build.txt
	dist/tools/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --wheel-dir dist .
	rm -rf dist/tools
	cp requirements/production.txt dist/requirements.txt
	sha256sum dist/*.whl | awk '{print "./" $$2 " --hash=sha256:" $$1}' >> dist/requirements.txt

wheelcheck: wheel ## Install that into an empty environment, and call it there
	$(PYTHON) -m venv --clear dist/installed
	dist/installed/bin/python $(PIP_LOCKED) -r dist/requirements.txt
	cd / && $(CURDIR)/dist/installed/bin/python -P -m pip check --disable-pip-version-check && $(CURDIR)/dist/installed/bin/sftp-gateway --version
	rm -rf dist/installed

deb: wheel ## A Debian package of the wheel with its own environment, units and users, in dist/, for the Debian this is
	packaging/build-deb

debcheck: setup ## Try that package in a bare Debian, from apt install to purge; DEBIAN=trixie: build and try it for that one; needs root, debootstrap
	packaging/check-deb

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: setup ## Resolve the dependencies anew and write their hashes
	$(BIN)/python $(PIP_LOCKED) -r requirements/lock.txt
	$(COMPILE) pyproject.toml -o requirements/production.txt
	$(COMPILE) pyproject.toml requirements/development.in --extra embedded -c requirements/production.txt -o requirements/development.txt
	$(COMPILE) requirements/build.in -c requirements/development.txt -o requirements/build.txt
	$(COMPILE) requirements/lock.in -o requirements/lock.txt

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .mutation
