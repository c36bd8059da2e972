#!/usr/bin/env bash
# Counts the instructions of the pure hot functions and holds them against benches/instructions.txt: the guard
# against regressions, since times are noisy and these counts are not.
#
#   tests/instructions.sh            fails when a count grew by more than 10 %
#   tests/instructions.sh --record   writes the counts down
#
# Another compiler or processor family gives other counts: then it reports, and does not fail.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

record=no
case ${1-} in
    '') ;;
    --record) record=yes ;;
    *)
        echo "usage: tests/instructions.sh [--record]" >&2
        exit 2
        ;;
esac

file=benches/instructions.txt
times=200
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

built=$(cargo bench --locked --bench instructions --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*instructions-[^"]*\)".*/\1/p')
# Valgrind reads all debug information there is, and needs no more than the names of functions.
strip -g -o "$work/instructions" "$built"

# count NAME: instructions inside `counted` alone, so that preparing, which hashes with random keys, does not show.
count() {
    if ! valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*instructions*counted*' \
        "$work/instructions" "$1" "$times" >"$work/out" 2>&1; then
        cat "$work/out" >&2
        return 1
    fi
    sed -n 's/.*Collected : *//p' "$work/out"
}

compiler="$(rustc --version) $(uname -m)"
recorded=$(sed -n 's/^# compiler: //p' "$file" 2>/dev/null || true)
{
    echo '# Instructions for each call, counted by tests/instructions.sh --record.'
    echo "# compiler: $compiler"
} >"$work/new"

failed=no
printf '%-34s %12s %12s %8s\n' workload recorded now change
for name in $("$work/instructions" --list); do
    full=$(count "$name")
    if [ "$full" -lt "$times" ]; then
        echo "$name: nothing was counted" >&2
        exit 1
    fi
    now=$(((full + times / 2) / times))
    echo "$name $now" >>"$work/new"
    before=$(sed -n "s/^$name //p" "$file" 2>/dev/null || true)
    if [ -z "$before" ]; then
        printf '%-34s %12s %12s %8s\n' "$name" - "$now" new
        # A workload without a recorded count guards nothing.
        failed=yes
        continue
    fi
    change=$(awk -v a="$before" -v b="$now" 'BEGIN { printf "%+.1f%%", (b - a) * 100 / a }')
    mark=''
    if [ $((now * 100)) -gt $((before * 110)) ]; then
        mark=' grew'
        failed=yes
    fi
    printf '%-34s %12s %12s %8s%s\n' "$name" "$before" "$now" "$change" "$mark"
done

if [ "$record" = yes ]; then
    cp "$work/new" "$file"
    echo "recorded for $compiler"
elif [ "$compiler" != "$recorded" ]; then
    echo "recorded for ${recorded:-nothing}, counted for $compiler: not compared"
elif [ "$failed" = yes ]; then
    echo 'instructions: more than recorded; if that is meant, tests/instructions.sh --record' >&2
    exit 1
fi
