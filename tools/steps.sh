#!/usr/bin/env bash
# Runs make targets one after the other, all of them whatever fails, and ends with one summary.
#   tools/steps.sh TARGET...
set -uo pipefail
cd "$(dirname "$0")/.."
# Whatever a step leaves behind in its temporary folders goes with this one.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/postern.XXXXXX")
export TMPDIR
# Tests run commands as other users, who must pass through.
chmod 711 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT
log=$TMPDIR/steps.log
summary=
failed=0
begun=$SECONDS

for step in "$@"; do
    echo "==> $step"
    start=$SECONDS
    if make --no-print-directory "$step" 2>&1 | tee -a "$log"; then
        result=ok
    else
        result=FAILED
        failed=$((failed + 1))
    fi
    summary+=$(printf '%-14s %-7s %5d s' "$step" "$result" $((SECONDS - start)))$'\n'
done

# counted WORD: sum over the closing lines of all cargo test runs.
counted() { sed -n "s/^test result: .* \([0-9][0-9]*\) $1;.*/\1/p" "$log" | awk '{ sum += $1 } END { print sum + 0 }'; }

echo "==> summary"
printf '%s' "$summary"
left_out=$(grep -o 'left out: only root' "$log" | wc -l)
echo "$(counted passed) passed, $(counted failed) failed, $(counted ignored) ignored, $left_out left out"
echo "$(($# - failed)) of $# steps ok in $((SECONDS - begun)) s"
[ "$failed" -eq 0 ]
