# `make` alone lists what there is. Every target works from a clean clone, as root or as an ordinary user.

CARGO ?= cargo
# Where the demo listens, and where it keeps its database.
PORT ?= 8080
DATA ?= data/demo
# Which benchmarks to run: part of a name, empty for all.
BENCH ?=
# Simulated histories: how many, from which seed on; or one, with the shortest that fails alike.
SEEDS ?= 10000
FROM ?= 0
SEED ?=
# Which targets to fuzz: part of a name, empty for all; and how long each, seconds.
FUZZ ?=
TIME ?= 3600
# How many clients chaos has to do with.
CLIENTS ?= 10000
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where Kafka is, or is fetched to.
KAFKA := $(or $(KAFKA_DIR),$(abspath $(TARGET))/kafka)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lint-deny bench bench-models bench-policy bench-delivery simulate-faults fuzz chaos conformance sources clean-data

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: PostgreSQL, libpq, a C compiler, Redis, MariaDB, NATS, Chromium, Firefox, codespell, Node (apt; root or sudo)
	@.ci/setup build database mariadb engines browser spelling client

demo: ## build, then run a simulated shop with live shoppers (PORT=8080); Ctrl-C stops it
	@.ci/setup build database
	$(CARGO) build --release --bin tidings
	@exec $(TARGET)/release/tidings demo --data-dir $(DATA) --listen 127.0.0.1:$(PORT)

test: setup lint ## everything that must be green: lints, unit, integration and browser tests
	$(CARGO) test --workspace

lint: ## formatting, clippy, documentation, spelling, and (where cargo-deny is installed) licences, sources and advisories of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --workspace --no-deps --quiet
	@if command -v codespell >/dev/null; then codespell; \
	else echo "lint: codespell is not installed, spelling is not checked (make setup)"; fi
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(MAKE) --no-print-directory deny; \
	else echo "lint: cargo-deny is not installed, dependencies are not checked (make lint-deny)"; fi

lint-deny: ## check the dependencies, installing cargo-deny first (some minutes)
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	@$(MAKE) --no-print-directory deny

.PHONY: deny
deny:
	$(CARGO) deny check bans licenses sources
	@if $(CARGO) deny fetch db >/dev/null 2>&1; then $(CARGO) deny check advisories; \
	else echo "lint: the database of advisories can't be reached; SECURITY.md says when it was looked at last"; fi

# Both start a puller; `sources` reads Kafka as well where it is there already.
PULLED := $(filter sources kafka,$(BENCH))
WITH_KAFKA := $(or $(filter kafka,$(BENCH)),$(if $(PULLED),$(wildcard $(KAFKA)/jars)))

bench: ## measure what the README claims (BENCH=part-of-a-name for some of it; BENCH=kafka fetches Kafka first)
	@.ci/setup build database $(if $(filter sources,$(BENCH)),mariadb engines) $(if $(WITH_KAFKA),kafka)
	@$(if $(WITH_KAFKA),tests/sources/kafka $(KAFKA))
	$(if $(PULLED),$(CARGO) build --release -p tidings-pull $(if $(WITH_KAFKA),--features kafka))
	$(CARGO) bench --bench bench -- $(BENCH)

bench-models: ## measure the models on public data and against Python's (TIDINGS_DATA=folder, BENCH_ONLY=part)
	@.ci/setup build
	$(CARGO) bench --bench bench -- models

bench-policy: ## measure what decides: off-policy estimates, learned choices in simulation, caps, speed (TIDINGS_DATA=folder)
	@.ci/setup build database
	$(CARGO) bench --bench bench -- policy

bench-delivery: ## memory, throughput and latency of delivery, beside nchan, NATS, Socket.IO, and Centrifugo where it is on the PATH (BENCH=name)
	@.ci/setup build database
	$(CARGO) bench --bench delivery -- $(BENCH)

simulate-faults: ## many users' decisions under virtual time while everything around them fails (SEEDS=n from FROM=0, or SEED=n)
	$(CARGO) test --test sim -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --from $(FROM))

fuzz: ## parsers under mutated input, guided by coverage, an hour each (TIME=seconds, FUZZ=part-of-a-name for some of them)
	@.ci/setup build
	RUSTC_WORKSPACE_WRAPPER=$(abspath tests/fuzz/instrumented) $(CARGO) test --workspace --test fuzz -- $(FUZZ) --seconds $(TIME)

chaos: ## 10,000 clients while server, PostgreSQL and network die: what is lost, what is shown twice (CLIENTS=n)
	@.ci/setup build database
	$(CARGO) bench --bench delivery -- chaos $(CLIENTS)

conformance: ## the Autobahn test suite, clients of others, ours in a bundle of Vite, promtool on the metrics, proxies in front, Schemathesis
	@.ci/setup build database client
	@.ci/setup proxies || true
	$(CARGO) build --release --bin tidings
	@tests/conformance/run $(TARGET)/release/tidings

sources: ## Kafka as a source: fetched (Maven, Java), read by a puller that is killed again and again; clippy with librdkafka
	@.ci/setup build database kafka
	@tests/sources/kafka $(KAFKA)
	$(CARGO) clippy -p tidings-pull --all-targets --features kafka -- -D warnings
	$(CARGO) build -p tidings-pull --features kafka
	KAFKA_DIR=$(KAFKA) $(CARGO) test --test it pull_kafka -- --ignored

clean-data: ## delete the demo's database
	@.ci/setup stopped $(DATA)
	rm -rf $(DATA)
