#!/usr/bin/env bash
# Builds the pinned test tools into .tools/bin. A tool whose pins have not changed since is left alone.
#   tools/install.sh [etcd] [grpcurl] [grpcurl-1.9.4] [cargo-deny]      (default: all)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=$root/.tools/bin
stamps=$root/.tools/stamps
go_needed=1.26
cargo_deny_version=0.20.2
mkdir -p "$bin" "$stamps"

fail() { echo "tools: $*" >&2; exit 1; }

# The prerequisite is stated here once; a toolchain download of Go's own would not be pinned.
check_go() {
    command -v go >/dev/null || fail "Go >= $go_needed is needed to build the test tools (etcd, grpcurl); no 'go' in PATH"
    local have
    have=$(go env GOVERSION); have=${have#go}
    [ "$(printf '%s\n' "$go_needed" "$have" | sort -V | head -1)" = "$go_needed" ] ||
        fail "Go >= $go_needed is needed to build the test tools (etcd, grpcurl); found $have"
}

# once NAME PIN COMMAND...: runs the command unless it succeeded with this pin before.
once() {
    local name=$1 pin=$2; shift 2
    [ "$(cat "$stamps/$name" 2>/dev/null)" != "$pin" ] || [ ! -x "$bin/$name" ] || return 0
    echo "tools: building $name"
    local start=$SECONDS
    "$@" || fail "$name could not be built"
    echo "$pin" >"$stamps/$name"
    echo "tools: built $name in $((SECONDS - start)) s"
}

# go_tool NAME MODULE PACKAGE: one program of a module under tools/.
go_tool() {
    local pin
    pin="$3 $(cat "tools/$2/go.mod" "tools/$2/go.sum" | sha256sum | cut -c1-64)"
    once "$1" "$pin" go_build "$@"
}

go_build() {
    check_go
    (cd "tools/$2" && GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS= \
        go build -mod=readonly -trimpath -buildvcs=false -ldflags='-s -w' -o "$bin/$1" "$3")
}

# Fat link-time optimization, its default, costs minutes and gains nothing on a workspace of this size.
install_cargo_deny() {
    CARGO_TARGET_DIR=$root/.tools/target/cargo-deny CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        cargo install --quiet --locked --force --root "$root/.tools" --version "$cargo_deny_version" cargo-deny &&
        rm -rf "$root/.tools/target"
}

[ $# -gt 0 ] || set -- etcd grpcurl grpcurl-1.9.4 cargo-deny
for tool in "$@"; do
    case $tool in
    etcd)
        go_tool etcd etcd go.etcd.io/etcd/server/v3
        go_tool etcdctl etcd go.etcd.io/etcd/etcdctl/v3
        ;;
    grpcurl | grpcurl-1.9.4) go_tool "$tool" "$tool" github.com/fullstorydev/grpcurl/cmd/grpcurl ;;
    cargo-deny) once cargo-deny "$cargo_deny_version" install_cargo_deny ;;
    *) fail "unknown tool $tool" ;;
    esac
done
