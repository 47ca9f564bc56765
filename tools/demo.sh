#!/usr/bin/env bash
# Plays the demo to its end and fails unless its last line says that every step passed.
#   tools/demo.sh access|etcd|ops
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
    access) play=() ;;
    etcd) play=(ENGINE=etcd) ;;
    ops) play=(OPS=1) ;;
    *) echo "usage: tools/demo.sh access|etcd|ops" >&2; exit 2 ;;
esac
log=$(mktemp "${TMPDIR:-/tmp}/postern-demo.XXXXXX")
trap 'rm -f "$log"' EXIT
env -u HOLD -u ENGINE -u OPS make --no-print-directory demo HOLD= "${play[@]}" | tee "$log"
# A step has a number of its own, and the last one is the number of all.
steps=$(grep -cE '^[ 0-9][0-9]  ' "$log")
tail -n 1 "$log" | grep -qxE "All $steps steps passed in [0-9.]+ s\." || {
    echo "The demo did not end with its $steps steps passed." >&2
    exit 1
}
