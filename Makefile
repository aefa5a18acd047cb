SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# The lab makes namespaces and file systems, so it runs as root.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

LAB_PACKAGES := openssh-server openssh-client sshpass sudo util-linux
TEST_PACKAGES := $(LAB_PACKAGES) chromium fish gettext krb5-user ldap-utils locales mariadb-server mksh postgresql \
	redis-server samba-ad-dc samba-ad-provision shellcheck slapd tcsh zsh

# Tests wait for hosts and processes more than they work. In the order of tests/conftest.py: what is slow comes first.
SIDE_BY_SIDE := --numprocesses 5 --dist loadfile --no-loadscope-reorder
# Where each test is long, those of one file are shared out, too.
SHARED_OUT := --numprocesses 4 --dist load

# Without compiled files each of the many processes that tests start would compile Provost anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench crash docs pictures messages lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.base $(VENV)/.statics ## make .venv with Provost in it: .venv/bin/provost

demo: setup ## five real hosts, the rows of the table, every credential proven with ssh; then the console
	@scripts/packages $(LAB_PACKAGES)
	$(AS_ROOT) $(BIN)/python scripts/demo.py

test: $(VENV)/.dev $(VENV)/.statics ## every test, against real servers that the suite starts
	@scripts/packages $(TEST_PACKAGES)
	@$(AS_ROOT) scripts/busybox >/dev/null
	$(AS_ROOT) $(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore tests/console
	$(AS_ROOT) $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/server --database postgresql -m "not once"
	$(AS_ROOT) $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/console

check: $(VENV)/.dev ## format, lint, types, layers, shell
	@scripts/packages shellcheck
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	shellcheck scripts/packages scripts/busybox scripts/statics .ci/run
	cat src/provost/connectors/linux/remote/*.sh | shellcheck --exclude=SC2030,SC2031 -

bench: $(VENV)/.bench ## 50 hosts beside a floor and Ansible, with ratios; lists with 100,000 accounts
	@scripts/packages $(LAB_PACKAGES)
	$(AS_ROOT) $(BIN)/python benchmarks/push.py
	$(BIN)/python benchmarks/lists.py

crash: $(VENV)/.dev ## kill -9 at every boundary and at 100 random moments, cuts at every step, of every kind
	@scripts/packages $(TEST_PACKAGES)
	$(AS_ROOT) $(BIN)/python -m pytest $(SHARED_OUT) tests/crash --moments 100 --thorough
	$(AS_ROOT) $(BIN)/python -m pytest $(SHARED_OUT) tests/contract -k is_cut --moments 100 --thorough
	$(AS_ROOT) $(BIN)/python -m pytest $(SHARED_OUT) tests/contract/test_network_device.py --thorough
	$(AS_ROOT) $(BIN)/python -m pytest $(SHARED_OUT) tests/server/test_lifecycle_cuts.py tests/e2e/test_hostile_life.py --thorough

docs: $(VENV)/.docs ## the documentation site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

pictures: $(VENV)/.dev $(VENV)/.statics ## pictures of the console for the documentation, in docs/images/
	@scripts/packages $(LAB_PACKAGES) chromium fonts-wqy-microhei pngquant
	$(AS_ROOT) $(BIN)/python scripts/pictures.py

messages: $(VENV)/.dev ## collect what the console says, for its translations
	@scripts/packages gettext
	$(BIN)/python scripts/messages.py

lock: ## write requirements/*.txt anew, with hashes
	for set in base dev docs bench; do uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-header requirements/$$set.in -o requirements/$$set.txt; done

$(VENV)/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Provost needs Python 3.11 or newer as python3.' >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || scripts/packages python3-venv
	python3 -m venv $(VENV)

$(VENV)/.base: $(VENV)/bin/python requirements/base.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/base.txt
	$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null || scripts/packages npm
	npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# The templates say which icons are needed.
$(VENV)/.statics: node_modules/.package-lock.json scripts/statics $(shell find src/provost/server/templates -name '*.html')
	scripts/statics
	@touch $@

$(VENV)/.%: $(VENV)/.base requirements/%.txt
	$(PIP) install --require-hashes -r requirements/$*.txt
	@touch $@
