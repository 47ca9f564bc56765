# The targets are the steps of CI. `make test` runs them all; `make check` is the fast subset.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO := cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
BENCHED = tunnel-broker tunnel-client tunnelctl reference-engine bench bench-load bench-swarm
CRATES = $(shell grep -hm1 '^name' $(filter-out fuzz/%,$(wildcard */Cargo.toml)) | cut -d'"' -f2)
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.PHONY: help demo demo-access demo-etcd demo-ops test test-rotation check bench cutting torture lint fmt tools protos \
	fmt-check clippy docs deny each build unit fuzz-check doctests integration drift image-check bench-smoke

help: ## Lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: build ## Walks the main job with everything on this machine; HOLD=1 leaves it running, ENGINE=etcd plays it with etcd, OPS=1 plays operations
	@tools/install.sh grpcurl $(filter etcd,$(ENGINE))
	@$(TARGET)/debug/demo

# As `make test` plays it: the closing line is looked at, too, and nothing may be held.
demo-access demo-etcd demo-ops:
	@tools/demo.sh $(@:demo-%=%)

test: ## Everything that CI runs, with one summary at the end
	@tools/steps.sh tools fmt-check deny clippy docs build unit doctests drift integration test-rotation bench-smoke demo-access demo-etcd demo-ops

check: ## The fast subset: formatting, lints, unit tests
	@tools/steps.sh fmt-check clippy unit

bench: ## The figures of the README, which it rewrites, on loopback and on a wire of namespaces; BENCH_ARGS for less
	@tools/debian.sh iproute2 ethtool || [ -n '$(findstring no-wire,$(BENCH_ARGS))' ]
	@$(CARGO) build --quiet --locked --release $(foreach bin,$(BENCHED),--bin $(bin))
	@$(TARGET)/release/bench --out $(TARGET)/bench $(or $(BENCH_ARGS),--readme README.md)

# Not part of `test`, which makes a tenth of them: all is compiled once more, optimized.
cutting: ## The last of 1,000 live streams ends within a second, whatever cuts them
	@$(CARGO) test --quiet --locked --profile measured -p tunnel-integration --test it cutting -- --nocapture

torture: build ## 200 power cuts (kill -9) under load; ROUNDS=n SEED=n
	@$(TARGET)/debug/torture --rounds $(or $(ROUNDS),200) $(if $(SEED),--seed $(SEED))

test-rotation: build ## Rotates everything that can be, with 300 replicas under calls; the last line is `failed calls: 0`
	@$(TARGET)/debug/rotation

lint: ## Formatting, lints, documentation, dependencies
	@tools/steps.sh tools fmt-check clippy docs deny

fmt: ## Formats the sources
	@$(CARGO) fmt --all

tools: ## Builds the pinned test tools into .tools
	@tools/install.sh

protos: ## Writes generated code and descriptor sets anew
	@POSTERN_REGENERATE=1 $(CARGO) test --quiet --locked -p tunnel-protos --test generated
	@POSTERN_REGENERATE=1 $(CARGO) test --quiet --locked -p tunnel-integration --test generated
	@tools/etcd-protoset.sh

fmt-check: ## Fails on unformatted sources
	@$(CARGO) fmt --all --check

clippy: ## Fails on any lint
	@$(CARGO) clippy --quiet --locked --workspace --all-targets -- -D warnings

docs: ## Fails on broken documentation
	@RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --locked --workspace --no-deps --lib --document-private-items

# Advisories need a database that may be out of reach.
deny: ## Licenses, duplicates, sources and banned crates of the dependencies
	@tools/install.sh cargo-deny
	@$(CARGO) fetch --quiet --locked
	@cargo-deny --offline --locked --log-level error check --hide-inclusion-graph bans licenses sources

# Not part of `test`: dependencies are compiled anew for each set of features, minutes on two cores.
each: ## Every crate compiles by itself, with only its own features
	@for crate in $(CRATES); do $(CARGO) check --quiet --locked -p $$crate; done

build: ## All programs, as demo, tests and smoke start them
	@$(CARGO) build --quiet --locked --workspace --bins

unit: ## Tests of each crate by itself
	@$(CARGO) test --quiet --locked --workspace --lib --bins --no-fail-fast

# Not part of `test`: libFuzzer is compiled, and cargo-fuzz needs a nightly toolchain.
fuzz-check: ## The targets for cargo-fuzz compile
	@cp Cargo.lock fuzz/
	@$(CARGO) check --quiet --manifest-path fuzz/Cargo.toml --target-dir $(TARGET)

doctests: ## Examples in the documentation
	@$(CARGO) test --quiet --locked --workspace --doc

drift: ## Generated code and descriptor sets are those of their sources
	@$(CARGO) test --quiet --locked -p tunnel-protos -p tunnel-integration --test generated

integration: build ## The programs together, with the real grpcurl and etcd
	@tools/install.sh etcd grpcurl grpcurl-1.9.4 kube helm
	@[ "$$(id -u)" != 0 ] || tools/debian.sh systemd
	@$(CARGO) test --quiet --locked --workspace --test '*' --no-fail-fast

# Not part of `test`: everything is compiled once more, for another target. PROFILE=dev is the quickest.
image-check: build ## The static client runs in an empty root, as in an image, and finds its broker by DNS; as root
	@tools/static.sh $(TARGET)/static tunnel-client
	@$(CARGO) test --quiet --locked -p tunnel-integration --test it charts_deploy::image -- --ignored

bench-smoke: build ## The bench at its smallest, to see that it runs
	@$(TARGET)/debug/bench --smoke --out $(TARGET)/bench-smoke
