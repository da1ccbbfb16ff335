#!/usr/bin/env bash
# An idle server makes no system calls: strace sees none in five seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

have strace || skip "strace is not installed"
trap clean_up EXIT
cargo build --release --quiet --example http_server
work=$(mktemp -d)
started_dirs+=("$work")

"$(target_dir)/release/examples/http_server" --addr 127.0.0.1:0 > "$work/out" &
server=$!
started+=("$server")
eventually grep -q '^listening on ' "$work/out" || fail "the server does not listen"
address=$(sed -n 's/^listening on //p' "$work/out")
# It has worked before it is idle.
have curl && curl -sSf "$address/plaintext" > /dev/null
sleep 0.5

timeout --signal=INT 5 strace -f -p "$server" -o "$work/calls" 2> "$work/errors" || true
grep -q attached "$work/errors" || skip "strace could not attach: $(head -1 "$work/errors")"
# One line for each thread: the call in which it was found. A second one is a call that it has made meanwhile.
if [[ -n "$(cut -d ' ' -f 1 "$work/calls" | sort | uniq -d)" ]]; then
    cat "$work/calls"
    fail "an idle server makes system calls"
fi
echo "an idle server made no system calls in five seconds ($(wc -l < "$work/calls") threads)"
