#!/usr/bin/env bash
# Builds the pinned test tools into .tools/bin. A tool whose pins have not changed since is left alone.
#   tools/install.sh [etcd] [grpcurl] [grpcurl-1.9.4] [kube] [helm] [cargo-deny]      (default: all)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=$root/.tools/bin
stamps=$root/.tools/stamps
go_needed=1.26
cargo_deny_version=0.20.2
mkdir -p "$bin" "$stamps"

# Go's caches of these tools reach 8 GB and serve nobody once they are built.
caches=
trap '[ -z "$caches" ] || rm -rf "$caches"' EXIT

fail() { echo "tools: $*" >&2; exit 1; }

# The prerequisite is stated here once; a toolchain download of Go's own would not be pinned.
check_go() {
    command -v go >/dev/null || fail "Go >= $go_needed is needed to build the test tools; no 'go' in PATH"
    local have
    have=$(go env GOVERSION); have=${have#go}
    [ "$(printf '%s\n' "$go_needed" "$have" | sort -V | head -1)" = "$go_needed" ] ||
        fail "Go >= $go_needed is needed to build the test tools; found $have"
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

# go_tool NAME MODULE PACKAGE [LDFLAGS]: one program of a module under tools/.
go_tool() {
    local pin
    pin="$3 ${4:+$4 }$(cat "tools/$2/go.mod" "tools/$2/go.sum" | sha256sum | cut -c1-64)"
    once "$1" "$pin" go_build "$@"
}

go_build() {
    check_go
    [ -n "$caches" ] || caches=$(mktemp -d "$root/.tools/caches.XXXXXX")
    (cd "tools/$2" && GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-modcacherw \
        GOCACHE=$caches/build GOMODCACHE=$caches/modules \
        nice -n 10 go build -mod=readonly -trimpath -buildvcs=false -ldflags="-s -w ${4:-}" -o "$bin/$1" "$3")
}

# Kubernetes and helm take their versions from the linker; without them helm refuses charts that name a kubeVersion.
kube_version=1.34.1
kube_flags="-X k8s.io/component-base/version.gitVersion=v$kube_version -X k8s.io/client-go/pkg/version.gitVersion=v$kube_version"
kube_flags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
helm_flags="-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34"

# Fat link-time optimization, its default, costs minutes and gains nothing on a workspace of this size.
install_cargo_deny() {
    CARGO_TARGET_DIR=$root/.tools/target/cargo-deny CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        cargo install --quiet --locked --force --root "$root/.tools" --version "$cargo_deny_version" cargo-deny &&
        rm -rf "$root/.tools/target"
}

[ $# -gt 0 ] || set -- etcd grpcurl grpcurl-1.9.4 kube helm cargo-deny
for tool in "$@"; do
    case $tool in
    etcd)
        go_tool etcd etcd go.etcd.io/etcd/server/v3
        go_tool etcdctl etcd go.etcd.io/etcd/etcdctl/v3
        ;;
    grpcurl | grpcurl-1.9.4) go_tool "$tool" "$tool" github.com/fullstorydev/grpcurl/cmd/grpcurl ;;
    kube)
        go_tool kube-apiserver kube k8s.io/kubernetes/cmd/kube-apiserver "$kube_flags"
        go_tool kubectl kube k8s.io/kubernetes/cmd/kubectl "$kube_flags"
        ;;
    helm) go_tool helm helm helm.sh/helm/v3/cmd/helm "$helm_flags" ;;
    cargo-deny) once cargo-deny "$cargo_deny_version" install_cargo_deny ;;
    *) fail "unknown tool $tool" ;;
    esac
done
