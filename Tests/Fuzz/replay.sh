#!/usr/bin/env bash
# Runs every committed input through its fuzz target, built without the fuzzer. The last line is
# `N passed, N failed, N skipped`; the exit status is 0 without a failure.
#
#     Tests/Fuzz/replay.sh            all targets
#     Tests/Fuzz/replay.sh TARGET…    some of: fastcgi http spop tokens policy tables request proofs claims
#                                     introspection statuses bundle clients signatures publications
#
# A Replay that is built already is named by SCOPECHECK_REPLAY.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
export SWIFT_BACKTRACE=enable=no
# The target `request` makes a store, which stays behind when the process is ended.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
all="fastcgi http spop tokens policy tables request proofs claims introspection statuses bundle"
all="$all clients signatures publications"
targets=${*:-$all}

replay=${SCOPECHECK_REPLAY:-}
if [ -z "$replay" ]; then
    swift build --product Replay || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
    replay=$(swift build --product Replay --show-bin-path)/Replay
fi

passed=0 failed=0 skipped=0
for target in $targets; do
    mapfile -t files < <(find "corpus/$target" "cases/$target" -type f 2>/dev/null | LC_ALL=C sort)
    if [ "${#files[@]}" -eq 0 ]; then
        echo "$target: no inputs"
        skipped=$((skipped + 1))
        continue
    fi
    next=0 broken=0
    while [ "$next" -lt "${#files[@]}" ]; do
        # One run takes many files; the one behind the last that it names has ended it.
        done=$(timeout 300 "$replay" "$target" "${files[@]:next:1000}" | wc -l)
        passed=$((passed + done))
        count=$((${#files[@]} - next))
        [ "$count" -le 1000 ] || count=1000
        next=$((next + done))
        if [ "$done" -lt "$count" ]; then
            echo "FAILED: $target: ${files[next]}"
            broken=$((broken + 1))
            next=$((next + 1))
            # A target that fails everywhere says nothing new.
            if [ "$broken" -ge 20 ]; then
                echo "FAILED: $target: the remaining $((${#files[@]} - next)) inputs were not run"
                skipped=$((skipped + ${#files[@]} - next))
                break
            fi
        fi
    done
    failed=$((failed + broken))
    echo "$target: ${#files[@]} inputs, $broken failed"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
