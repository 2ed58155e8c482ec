.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
CACHE := .cache
OPA_VERSION := v1.22.2
OPA := $(CACHE)/bin/opa
MAVEN_DEPENDENCIES := org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
export PATH := $(CURDIR)/$(CACHE)/bin:$(CURDIR)/$(BIN):$(PATH)
SOURCES := mesh control_plane domain_agent cli tests examples
PYTEST_ARGS ?=

##@ Use
.PHONY: help
help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z_-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: install data $(if $(KAFKA),kafka) ## watch a small airline's mesh work, checked step by step
	@$(BIN)/python -m examples.airline.demo

.PHONY: run
run: install data $(if $(KAFKA),kafka) ## leave the airline's mesh up and print how to try it
	@$(BIN)/python -m examples.airline.run

##@ Set up
.PHONY: install
install: $(CACHE)/installed $(OPA) ## virtual environment, packages, OPA

$(CACHE)/installed: pyproject.toml
	@test -x $(BIN)/python || python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@mkdir -p $(CACHE) && touch $@

$(OPA):
	@mkdir -p $(CACHE)/bin
	GOBIN=$(CURDIR)/$(CACHE)/bin go install github.com/open-policy-agent/opa@$(OPA_VERSION)

.PHONY: kafka
kafka: $(CACHE)/kafka/fetched ## a Kafka broker for tests, demo and bench, fetched once

# Without mvn the tests that need a broker are skipped and say so; with CI=true they fail.
$(CACHE)/kafka/fetched: examples/airline/broker.pom.xml
	@if command -v mvn > /dev/null; then \
	  mvn -q -B -f $< $(MAVEN_DEPENDENCIES) -DoutputDirectory=$(CURDIR)/$(CACHE)/kafka/libs && touch $@; \
	else echo "no mvn on PATH: Kafka is not fetched"; fi

.PHONY: data
data: $(CACHE)/installed ## the airline's data, made once
	@$(BIN)/python -m examples.airline.data

.PHONY: gen
gen: $(CACHE)/installed ## generate the stubs from proto/
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. --mypy_out=readable_stubs:. --mypy_grpc_out=. $(shell find proto -name '*.proto')

##@ Check
.PHONY: check
check: lint types proto policy ## everything that needs no running part

.PHONY: fmt
fmt: install ## format Python and Rego
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)
	$(OPA) fmt --write policies

.PHONY: lint
lint: install ## ruff and import-linter
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports

.PHONY: types
types: install ## mypy --strict
	$(BIN)/mypy

.PHONY: policy
policy: install ## Rego: format, strict check, tests with full coverage
	$(OPA) fmt --fail policies > /dev/null
	$(OPA) check --strict --schema policies/schemas --ignore starter policies
	$(OPA) test --ignore schemas,starter --coverage --threshold 100 policies > /dev/null
	$(OPA) test --ignore schemas,starter policies
	@for layer in organisation domain; do \
	  $(BIN)/python -m cli policy check policies/starter/$$layer --layer $$layer --coverage 100 --require-all || exit; \
	done

.PHONY: proto
proto: install ## buf lint, and that the committed stubs are what proto/ says
	$(BIN)/buf lint
	$(BIN)/python -m pytest -q tests/architecture/test_stubs.py

.PHONY: test
test: install data kafka ## the whole suite
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: install data kafka ## break things on purpose, at full size, into docs/reliability.md
	FAULTS=full $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS) tests/faults

.PHONY: bench
bench: install data kafka ## measure, A/B alternated, into docs/benchmarks.md
	$(BIN)/python -m tests.bench
