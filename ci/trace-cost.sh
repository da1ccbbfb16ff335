#!/usr/bin/env bash
# What tracing costs when nobody looks: instructions per operation as the code is, and without all that is kept for traces
# only (ci/untraced.patch), counted by callgrind. Counts differ by the optimiser's taste; times would by much more.
#
#   bash ci/trace-cost.sh [--check]
#
# `--check` only sees that the patch still applies.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

patch="$PWD/ci/untraced.patch"
if [[ "${1:-}" == --check ]]; then
    git apply --check "$patch"
    echo "ci/untraced.patch applies"
    exit
fi
have valgrind || skip "valgrind is not installed"

# Each workload, and how many instructions an operation may take more than without traces.
workloads=(spawn_join:24 lazy_call:4 lazy_pending:20 yield:12)
operations=20000

tree="$(target_dir)/trace-cost"
enter_copy "$tree"
# The patch leaves some of the code without a use.
export RUSTFLAGS="${RUSTFLAGS:-} -Awarnings"

build() {
    cargo build --release --quiet --example trace_cost
    cp "$CARGO_TARGET_DIR/release/examples/trace_cost" "$tree/target/$1"
}
build traced
git apply "$patch"
build untraced

# The instructions of a program, in the median of three runs: now and then a thread looks once more for the other one.
run() {
    local run collected=()
    for run in 1 2 3; do
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" > "$tree/target/log" 2>&1 ||
            fail "$*, run $run: $(cat "$tree/target/log")"
        collected+=("$(sed -n 's/.*Collected : //p' "$tree/target/log")")
    done
    printf '%s\n' "${collected[@]}" | sort -n | sed -n 2p
}

# The instructions of one of a workload's operations, without those of the start and the end.
count() {
    local program=$1 workload=$2 one two
    one=$(run "$tree/target/$program" "$workload" "$operations")
    two=$(run "$tree/target/$program" "$workload" $((2 * operations)))
    awk -v one="$one" -v two="$two" -v n="$operations" 'BEGIN { printf "%.1f", (two - one) / n }'
}

bad=0
printf '%-14s %10s %10s %6s %6s\n' "per operation" traced untraced more limit
for entry in "${workloads[@]}"; do
    workload=${entry%%:*} limit=${entry##*:}
    traced=$(count traced "$workload")
    untraced=$(count untraced "$workload")
    more=$(awk -v a="$traced" -v b="$untraced" 'BEGIN { printf "%.1f", a - b }')
    printf '%-14s %10s %10s %6s %6s\n' "$workload" "$traced" "$untraced" "$more" "$limit"
    awk -v more="$more" -v limit="$limit" 'BEGIN { exit !(more <= limit) }' || bad=1
done
((bad == 0)) || fail "tracing costs more than it may"
