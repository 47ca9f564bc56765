#!/usr/bin/env bash
# Writes integration/profiles/etcd.protoset anew from the .proto files of the etcd module that tools/etcd pins.
set -euo pipefail
cd "$(dirname "$0")/.."
include=$(mktemp -d)
trap 'rm -rf "$include"' EXIT

module() { (cd tools/etcd && GOWORK=off GOTOOLCHAIN=local go mod download && go list -m -f '{{.Dir}}' "$1"); }

mkdir "$include/etcd"
ln -s "$(module go.etcd.io/etcd/api/v3)" "$include/etcd/api"
cargo run --quiet --locked -p tunnel-integration --example protoset -- \
    --include "$include" \
    --include tools/etcd/proto \
    --include "$(module github.com/gogo/protobuf)" \
    --include "$(module github.com/grpc-ecosystem/grpc-gateway/v2)" \
    --out integration/profiles/etcd.protoset \
    etcd/api/etcdserverpb/rpc.proto
