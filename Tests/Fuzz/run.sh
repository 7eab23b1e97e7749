#!/usr/bin/env bash
# Fuzzes one target with libFuzzer and adds what it finds to a folder of its own; nothing committed is changed.
#
#     Tests/Fuzz/run.sh TARGET SECONDS [LIBFUZZER-OPTION…]
#     Tests/Fuzz/run.sh TARGET minimise        writes the smallest corpus of the same coverage to corpus/TARGET
#
# TARGET is one of: fastcgi http spop tokens policy tables request proofs claims introspection statuses bundle clients
# signatures publications. New inputs go to .work/TARGET, inputs that ended the process to .work/TARGET-found: put those
# into cases/TARGET under a name that says what they are.
set -euo pipefail
cd "$(dirname "$0")"
targets="fastcgi http spop tokens policy tables request proofs claims introspection statuses bundle"
targets="$targets clients signatures publications"
target=${1:?"give a target: $targets"}
seconds=${2:?"give seconds, or \`minimise\`"}
shift 2
[ -d "corpus/$target" ] || { echo "unknown target \`$target\`" >&2; exit 2; }

# `Fuzz` gets its `main` from libFuzzer, hence -parse-as-library; its objects stand apart from those of Replay.
swift build -c release --sanitize=fuzzer -Xswiftc -parse-as-library --product Fuzz --scratch-path .build-fuzz
fuzz=.build-fuzz/release/Fuzz

# A trap is reported by libFuzzer itself; Swift's own backtraces take minutes when the output is a pipe.
export SWIFT_BACKTRACE=enable=no SCOPECHECK_FUZZ_TARGET=$target
# The target `request` makes a store, which stays behind when the process is ended.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
mkdir -p ".work/$target" ".work/$target-found" "cases/$target"
dictionary=()
[ ! -f "dictionaries/$target.dict" ] || dictionary=("-dict=dictionaries/$target.dict")
if [ "$seconds" = minimise ]; then
    mkdir -p ".work/$target-least"
    "$fuzz" -set_cover_merge=1 -max_len=65000 ".work/$target-least" "corpus/$target" ".work/$target" "cases/$target"
    rm -rf "corpus/$target"
    mv ".work/$target-least" "corpus/$target"
    ./seeds.py corpus "$target"
    exit
fi
"$fuzz" "-max_total_time=$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    "-artifact_prefix=.work/$target-found/" "${dictionary[@]}" "$@" ".work/$target" "corpus/$target" "cases/$target"
