#!/usr/bin/env bash
# Prints what a program is made of, as CycloneDX 1.6 JSON: every crate that is linked, its license and its checksum.
#   tools/sbom.sh PROGRAM [TARGET]
set -euo pipefail
program=$1
cd "$(dirname "$0")/.."
cargo metadata --format-version 1 --locked --filter-platform "${2:-$(uname -m)-unknown-linux-gnu}" |
    cargo run --quiet --locked -p tunnel-integration --example sbom -- "$program"
