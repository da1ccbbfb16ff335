#!/usr/bin/env bash
# Compares examples/kv with the same program on tokio and DashMap, and with redis-server: interleaved rounds of redis-benchmark, medians.
#
#   bash benches/kv.sh
#
# ROUNDS, REQUESTS (of a run without pipelining), CLIENTS, KEYS and WORKERS may be set. It takes as long as it says, and ends its servers.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh
trap clean_up EXIT

: "${ROUNDS:=5}" "${REQUESTS:=100000}" "${CLIENTS:=50}" "${KEYS:=100000}" "${WORKERS:=2}"
for tool in redis-server redis-benchmark redis-cli; do
    have "$tool" || skip "$tool is not installed: apt-get install redis-server redis-tools"
done

cargo build --release --quiet --package tress --example kv
cargo build --release --quiet --package tress-bench --bin kv_tokio
release="$(target_dir)/release"
work=$(mktemp -d)
started_dirs+=("$work")

names=(kv kv_tokio redis)
declare -A ports
listens() { redis-cli -h 127.0.0.1 -p "$1" ping > "$work/ping" 2>&1 && grep -q PONG "$work/ping"; }
start() {
    local name=$1
    shift
    "$@" > "$work/$name" 2>&1 &
    started+=("$!")
    eventually grep -q '^listening on ' "$work/$name" || fail "$name does not listen: $(cat "$work/$name")"
    ports[$name]=$(sed -n 's/^listening on .*://p' "$work/$name")
}
start kv "$release/examples/kv" --addr 127.0.0.1:0 --workers "$WORKERS"
start kv_tokio "$release/kv_tokio" --addr 127.0.0.1:0 --workers "$WORKERS"
# It cannot choose a port by itself.
for port in $(shuf -i 20000-30000 -n 10); do
    ! listens "$port" || continue
    redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$work" > "$work/redis" 2>&1 &
    pid=$!
    started+=("$pid")
    if eventually listens "$port" && kill -0 "$pid" 2> /dev/null; then
        ports[redis]=$port
        break
    fi
done
[[ -n "${ports[redis]:-}" ]] || fail "redis-server does not listen: $(tail -5 "$work/redis")"

# Requests per second of each test, one a line: name, pipeline, requests.
measure() {
    timeout 120 redis-benchmark -h 127.0.0.1 -p "${ports[$1]}" -t set,get -c "$CLIENTS" -r "$KEYS" -P "$2" -n "$3" --csv \
        2> /dev/null | tr -d '"' | awk -F, -v name="$1" -v pipeline="$2" \
        '$1 == "SET" || $1 == "GET" { print $1, pipeline, name, $2 }' || fail "redis-benchmark on $1"
}

for name in "${names[@]}"; do
    # Keys are there, and memory is warm.
    measure "$name" 16 $((REQUESTS * 2)) > /dev/null
done
for round in $(seq "$ROUNDS"); do
    echo "round $round of $ROUNDS" >&2
    for pipeline in 1 16; do
        for name in "${names[@]}"; do
            measure "$name" "$pipeline" $((pipeline == 1 ? REQUESTS : REQUESTS * 5)) >> "$work/all"
        done
    done
done

median() { awk -v key="$1 $2 $3" '$1 " " $2 " " $3 == key { print $4 }' "$work/all" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
echo "| test | kv | kv_tokio | redis-server | kv/kv_tokio | kv/redis-server |"
echo "|---|--:|--:|--:|--:|--:|"
for pipeline in 1 16; do
    for test in SET GET; do
        medians=()
        for name in "${names[@]}"; do
            medians+=("$(median "$test" "$pipeline" "$name")")
        done
        [[ ${#medians[@]} -eq 3 && -n "${medians[0]}" && -n "${medians[1]}" && -n "${medians[2]}" ]] || fail "a figure is missing"
        awk -v label="$test -P $pipeline" -v a="${medians[0]}" -v b="${medians[1]}" -v c="${medians[2]}" \
            'BEGIN { printf "| %s | %d | %d | %d | %.2f | %.2f |\n", label, a, b, c, a / b, a / c }'
    done
done
