#!/usr/bin/env bash
# Builds the programs static, for images FROM scratch and for machines with any libc, into a folder.
#   tools/static.sh OUT [PROGRAM...]      PROFILE=measured is quicker to build than the default, release
#
# Everything that could differ between two builds of one commit is fixed: paths, build id, symbols, time.
set -euo pipefail
out=$1; shift
[ $# -gt 0 ] || set -- tunnel-broker tunnel-client tunnelctl tunnel-certs
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
target=$(uname -m)-unknown-linux-gnu
cargo_home=${CARGO_HOME:-$HOME/.cargo}
folder=${CARGO_TARGET_DIR:-$PWD/target}

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export CFLAGS="-ffile-prefix-map=$PWD=/postern -ffile-prefix-map=$cargo_home=/cargo"
# A C library that is linked in resolves names by itself since glibc 2.34: files and DNS, no plug-ins.
export RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols -C link-arg=-Wl,--build-id=none
    --remap-path-prefix=$PWD=/postern --remap-path-prefix=$cargo_home=/cargo"
RUSTFLAGS=${RUSTFLAGS//$'\n'/ }

bins=()
for program in "$@"; do bins+=(--bin "$program"); done
cargo build --quiet --locked --profile "$profile" --target "$target" "${bins[@]}"

mkdir -p "$out"
[ "$profile" != dev ] || profile=debug
for program in "$@"; do
    install -m 0755 "$folder/$target/$profile/$program" "$out/$program"
    if readelf --program-headers "$out/$program" | grep -q INTERP; then
        echo "static: $program asks for a dynamic loader" >&2
        exit 1
    fi
done
