#!/usr/bin/env bash
# Installs what the tests need and runs all of them. At the end stands once more what failed; the last line is
# `N passed, N failed, N skipped`, summed over all parts; the exit status is 0 without a failure.
#
#     Tests/run.sh                  everything
#     Tests/run.sh PART…            some of: lint ledger build unit release integration allocations differential fuzz bench
#                                demo
#
# SCOPECHECK_VECTORS names the folder of vectors written by others (default ../shared/vectors); without it those
# cases are counted as skipped.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
export SCOPECHECK_VECTORS=${SCOPECHECK_VECTORS:-$root/../shared/vectors}
all="lint ledger build unit release integration allocations differential fuzz bench demo"
parts=" ${*:-$all} "
for part in $parts; do
    case " $all " in *" $part "*) ;; *) echo "unknown part \`$part\`; there are: $all" >&2; exit 2 ;; esac
done

passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
started=$SECONDS
wanted() { case "$parts" in *" $1 "*) return 0 ;; *) return 1 ;; esac }
heading() { printf '\n== %s (%d:%02d)\n' "$1" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }

# Runs a command whose output only matters when it fails; on a terminal it is shown as it comes.
quietly() {
    local log=$1 status
    shift
    if [ -t 1 ]; then
        "$@" 2>&1 | tee "$log"
        status=${PIPESTATUS[0]}
    else
        "$@" >"$log" 2>&1
        status=$?
        [ "$status" -eq 0 ] || tail -n 60 "$log"
    fi
    return "$status"
}

# What failed is said where it happens and once more at the end: the start of a long log is easily lost.
fail() {
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1" | tee -a "$logs/failures"
}

# One check that passes or fails as a whole.
step() {
    if quietly "$logs/step" "${@:2}"; then
        passed=$((passed + 1))
    else
        fail "$1"
    fi
}

# A part that prints its own counts as its last line.
counted() {
    local name=$1 status last
    shift
    "$@" 2>&1 | tee "$logs/counted"
    status=${PIPESTATUS[0]}
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$logs/counted" | tail -n 1)
    if [ -n "$last" ]; then
        # shellcheck disable=SC2086  # three words
        set -- $(echo "$last" | tr -dc '0-9 ')
        passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
        [ "$2" -eq 0 ] || grep -E -A 6 'FAILED|MISSED' "$logs/counted" | sed "s/^/$name: /" >>"$logs/failures"
        # Counts without a failure and a status that says one: the part broke off.
        [ "$status" -eq 0 ] || [ "$2" -gt 0 ] || fail "$name"
    elif [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        fail "$name"
    fi
}

heading "Debian packages"
Tests/install.sh libfcgi-dev libssl-dev liblmdb-dev pkg-config nginx:nginx-light lighttpd:lighttpd \
    apache2:apache2-bin haproxy:haproxy openssl:openssl curl ca-certificates gcc zlib1g-dev valgrind:valgrind \
    objcopy:binutils python3 python3-cryptography python3-jsonschema python3-yaml pypi:joserfc || exit 1
command -v swift >/dev/null || {
    echo "swift was not found; install Swift 6.3 (https://www.swift.org/install) and put it on PATH" >&2
    exit 1
}
python=/usr/bin/python3

if wanted lint; then
    heading "format"
    step "swift format lint" swift format lint --strict --recursive --configuration .swift-format \
        Package.swift Sources $(find Tests -mindepth 1 -maxdepth 1 -type d -name '*Tests')
fi
if wanted ledger; then
    heading "ledger of requirements and attacks"
    counted "ledger" $python Tests/Ledger/check.py
fi
if wanted build; then
    heading "build, warnings as errors"
    step "swift build" swift build --build-tests
fi
if wanted unit; then
    heading "unit tests"
    quietly "$logs/unit" swift test
    status=$?
    # Swift Testing sums itself up: `Test run with 12 tests in 3 suites passed after …`, or `… failed after … with
    # 2 issues`; XCTest's own sum is of 0 tests. A test that could not run its cases says `skipped 12 cases: …`.
    total=$(sed -nE 's/.*Test run with ([0-9]+) tests?.*/\1/p' "$logs/unit" | awk '{ n += $1 } END { print n + 0 }')
    broken=$(grep -cE '^.{0,3} ?Test .* failed after ' "$logs/unit")
    broken=$((broken - $(grep -cE '^.{0,3} ?Test run with .* failed after ' "$logs/unit")))
    unrun=$(sed -nE 's/.*skipped ([0-9]+) cases.*/\1/p' "$logs/unit" | awk '{ n += $1 } END { print n + 0 }')
    [ "$status" -eq 0 ] || [ "$broken" -gt 0 ] || broken=1
    [ "$total" -gt 0 ] || { broken=$((broken + 1)); echo "FAILED: no unit test ran"; }
    [ "$broken" -eq 0 ] || grep -E ' (recorded an issue|failed after)' "$logs/unit" | head -n 40 | tee -a "$logs/failures"
    grep -E 'skipped [0-9]+ cases' "$logs/unit" | sort | uniq -c | sed 's/^ *[0-9]* //' | head -n 20
    passed=$((passed + (total > broken ? total - broken : 0))) failed=$((failed + broken)) skipped=$((skipped + unrun))
    echo "$total unit tests, $broken failed, $unrun cases skipped"
fi
if wanted release; then
    heading "release build"
    step "swift build -c release" swift build -c release --product scopecheck --static-swift-stdlib
    step "swift build -c release, health check" swift build -c release --product scopecheck-health
fi
if wanted integration; then
    heading "integration tests with real proxies"
    counted "integration tests" $python Tests/Integration/run.py
fi
if wanted allocations; then
    heading "allocations and locks on the request path"
    counted "allocations" $python Tests/Allocations/run.py
fi
if wanted differential; then
    heading "differential test against the reference evaluator"
    counted "differential test" $python Tests/Reference/differential.py
fi
if wanted fuzz && [ -x Tests/Fuzz/replay.sh ]; then
    heading "replay of the fuzzers' corpora"
    counted "corpus replay" Tests/Fuzz/replay.sh
fi
if wanted bench && [ -x bench/smoke.sh ]; then
    heading "benchmarks, as a check that they run"
    counted "benchmarks" bench/smoke.sh
fi
if wanted demo; then
    heading "demos"
    step "nginx/demo.sh --once" nginx/demo.sh --once
    step "haproxy/demo.sh --once" haproxy/demo.sh --once
fi
heading "done"
[ ! -s "$logs/failures" ] || { echo "what failed:"; head -n 80 "$logs/failures"; }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
