#!/usr/bin/env bash
# Compares examples/kv with the same program on tokio and DashMap, and with redis-server: interleaved rounds of redis-benchmark, medians. Of each there are
# requests per second, which are bounded by redis-benchmark's one thread, and the server's CPU time per request in microseconds, which is not.
#
#   bash benches/kv.sh
#
# ROUNDS, REQUESTS (of a test without pipelining), CLIENTS, KEYS and WORKERS may be set. It takes as long as it says, and ends its servers.
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
declare -A ports pids
listens() { redis-cli -h 127.0.0.1 -p "$1" ping > "$work/ping" 2>&1 && grep -q PONG "$work/ping"; }
start() {
    local name=$1
    shift
    "$@" > "$work/$name" 2>&1 &
    started+=("$!")
    pids[$name]=$!
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
        pids[redis]=$pid
        break
    fi
done
[[ -n "${ports[redis]:-}" ]] || fail "redis-server does not listen: $(tail -5 "$work/redis")"

# The server's CPU time so far, in ticks of the clock.
cpu_of() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/${pids[$1]}/stat"; }
ticks_per_second=$(getconf CLK_TCK)

# One test: a line with its name, pipeline, server, requests per second, and microseconds of CPU time per request.
measure() {
    local name=$1 test=$2 pipeline=$3 requests=$4 before rate
    before=$(cpu_of "$name")
    rate=$(timeout 120 redis-benchmark -h 127.0.0.1 -p "${ports[$name]}" -t "${test,,}" -c "$CLIENTS" -r "$KEYS" \
        -P "$pipeline" -n "$requests" --csv 2> /dev/null | tr -d '"' | awk -F, -v test="$test" '$1 == test { print $2 }')
    [[ -n "$rate" ]] || fail "redis-benchmark on $name"
    awk -v key="$test $pipeline $name" -v rate="$rate" -v ticks=$(($(cpu_of "$name") - before)) -v requests="$requests" \
        -v hertz="$ticks_per_second" 'BEGIN { print key, rate, ticks * 1e6 / hertz / requests }'
}

for name in "${names[@]}"; do
    # Keys are there, and memory is warm.
    measure "$name" SET 16 $((REQUESTS * 2)) > /dev/null
done
for round in $(seq "$ROUNDS"); do
    echo "round $round of $ROUNDS" >&2
    for pipeline in 1 16; do
        for test in SET GET; do
            for name in "${names[@]}"; do
                measure "$name" "$test" "$pipeline" $((pipeline == 1 ? REQUESTS : REQUESTS * 5)) >> "$work/all"
            done
        done
    done
done

# Of a field of the lines of one test on one server.
median() {
    awk -v key="$2 $3 $4" -v field="$1" '$1 " " $2 " " $3 == key { print $field }' "$work/all" | sort -g |
        awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}
table() {
    local title=$1 field=$2 format=$3 test pipeline name medians
    echo "| $title | kv | kv_tokio | redis-server | kv/kv_tokio | kv/redis-server |"
    echo "|---|--:|--:|--:|--:|--:|"
    for pipeline in 1 16; do
        for test in SET GET; do
            medians=()
            for name in "${names[@]}"; do
                medians+=("$(median "$field" "$test" "$pipeline" "$name")")
            done
            [[ -n "${medians[0]}" && -n "${medians[1]}" && -n "${medians[2]}" ]] || fail "a figure is missing"
            awk -v label="$test -P $pipeline" -v a="${medians[0]}" -v b="${medians[1]}" -v c="${medians[2]}" -v format="$format" \
                'BEGIN { printf "| %s | " format " | " format " | " format " | %.2f | %.2f |\n", label, a, b, c, a / b, a / c }'
        done
    done
}
table "requests per second" 4 %d
echo
table "CPU time per request, us" 5 %.2f
