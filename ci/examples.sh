#!/usr/bin/env bash
# Starts the examples and asks them with the clients that people use: curl, wrk, a browser, redis-cli, redis-benchmark, socat, a plain socket.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh
trap clean_up EXIT

cargo build --release --quiet --package tress --examples
examples="$(target_dir)/release/examples"
work=$(mktemp -d)
started_dirs+=("$work")

# Starts a server in the background and reads its address: name, arguments.
serve() {
    local name=$1
    shift
    # Here and now: what the server before has said is not to be taken for this one's.
    : > "$work/out"
    "$examples/$name" "$@" > "$work/out" 2> "$work/err" &
    server=$!
    started+=("$server")
    eventually grep -q '^listening on ' "$work/out" || fail "$name does not listen: $(cat "$work/err")"
    address=$(sed -n 's/^listening on //p' "$work/out")
}

# Ends the server by ctrl-c, which it has to take well.
interrupt() {
    local code=0
    kill -INT "$server"
    wait "$server" || code=$?
    [[ $code -eq 0 ]] || fail "$1 ended with $code after ctrl-c: $(cat "$work/err")"
    [[ ! -s "$work/err" ]] || fail "$1 complained: $(cat "$work/err")"
}

# The program has to refuse these arguments in one line.
refuses() {
    local name=$1 code=0
    shift
    "$examples/$name" "$@" > "$work/said" 2> "$work/refusal" || code=$?
    [[ $code -ne 0 ]] || fail "$name $* has succeeded"
    [[ $(wc -l < "$work/refusal") -eq 1 ]] || fail "$name $* has said: $(cat "$work/refusal")"
    echo "  $name $*: $(cat "$work/refusal")"
}

echo "-- hello"
said=$("$examples/hello" | tr '\n' ' ')
[[ "$said" == "hello from tress "* ]] || fail "hello says: $said"

echo "-- own_executor"
said=$("$examples/own_executor")
[[ "$said" == "5050 in 5150 runs, one at a time" ]] || fail "own_executor says: $said"

echo "-- echo_server"
serve echo_server 127.0.0.1:0
exec 3<> "/dev/tcp/${address%:*}/${address##*:}"
echo "across the wire" >&3
read -r -t 10 line <&3
exec 3>&-
[[ "$line" == "across the wire" ]] || fail "the echo is: $line"
refuses echo_server "$address"
refuses echo_server nonsense
interrupt echo_server
if have valgrind; then
    # Users look for their own mistakes with it; a second connection comes after the sentinel has looked at the worker.
    echo "-- echo_server under valgrind"
    : > "$work/out"
    valgrind --quiet --error-exitcode=99 "$examples/echo_server" 127.0.0.1:0 > "$work/out" 2> "$work/err" &
    server=$!
    started+=("$server")
    eventually grep -q '^listening on ' "$work/out" || fail "echo_server under valgrind: $(cat "$work/err")"
    address=$(sed -n 's/^listening on //p' "$work/out")
    for line in first second; do
        exec 3<> "/dev/tcp/${address%:*}/${address##*:}"
        for round in $(seq 200); do
            echo "$line $round" >&3
            read -r -t 20 reply <&3 && [[ "$reply" == "$line $round" ]] || fail "valgrind: $(cat "$work/err")"
        done
        exec 3>&-
    done
    interrupt "echo_server under valgrind"
elif in_ci; then
    fail "valgrind is not installed"
fi

echo "-- pipeline"
# Ten times: where the last stage keeps up, a reader that nothing holds back would not come far ahead, either.
for run in {1..10}; do
    said=$("$examples/pipeline" 2> "$work/err")
    [[ "$said" == "500000 entries, 0 refused, balance 1731, lowest -2576" ]] || fail "pipeline says in run $run: $said"
    # Eight fit between the reader and the last stage, which have one each in hand.
    ahead=$(sed -n 's/^the reader was \([0-9]*\) batches ahead, at most$/\1/p' "$work/err")
    [[ "$ahead" -ge 1 && "$ahead" -le 10 ]] || fail "the reader of pipeline runs ahead in run $run: $(cat "$work/err")"
done
said=$(seq -5 100 | "$examples/pipeline" - 2> "$work/err")
[[ "$said" == "106 entries, 0 refused, balance 5035, lowest -15" ]] || fail "pipeline says: $said"
refuses pipeline nonsense

echo "-- chat"
serve chat 127.0.0.1:0
# Two rooms, with two clients each: the first is there before the other speaks, and goes when that has gone.
if have socat; then
    clients=()
    for room in tea coffee; do
        { printf '/nick ann\n/join %s\n' "$room"; eventually grep -qs 'bob has left' "$work/ann-$room"; } |
            timeout 60 socat -t 5 - "TCP:$address" > "$work/ann-$room" &
        clients+=("$!")
        started+=("$!")
    done
    for room in tea coffee; do
        eventually grep -q "you are in $room" "$work/ann-$room" || fail "chat: $(cat "$work/ann-$room")"
    done
    for room in tea coffee; do
        { printf '/nick bob\n/join %s\nabout %s\n' "$room" "$room"; head -c 5000 /dev/zero | tr '\0' x; printf '\n/quit\n'; } |
            timeout 60 socat -t 5 - "TCP:$address" > "$work/bob-$room" &
        clients+=("$!")
        started+=("$!")
    done
    for client in "${clients[@]}"; do
        wait "$client" || fail "a client of chat ended with $?"
    done
    for room in tea coffee; do
        [[ "$(sed -n 2,7p "$work/ann-$room" | tr '\n' ';')" == "* you are called ann;* you are in $room with 0 others;* bob has come;bob: about $room;* bob has left;* good bye;" ]] ||
            fail "in $room was heard: $(cat "$work/ann-$room")"
        grep -q '^! a line has at most' "$work/bob-$room" || fail "chat takes long lines: $(cat "$work/bob-$room")"
    done
elif in_ci; then
    fail "socat is not installed"
fi
exec 3<> "/dev/tcp/${address%:*}/${address##*:}"
read -r -t 10 line <&3
refuses chat "$address"
refuses chat nonsense
refuses chat --unknown
interrupt chat
read -r -t 10 line <&3
exec 3>&-
[[ "$line" == "* the server stops: good bye" ]] || fail "chat stops with: $line"

echo "-- kv"
serve kv --addr 127.0.0.1:0 --workers 2
if have redis-cli && have redis-benchmark; then
    redis() { timeout 10 redis-cli -h 127.0.0.1 -p "${address##*:}" "$@"; }
    # Commands, and what redis-cli shows of the answers.
    while IFS='|' read -r command expected; do
        # shellcheck disable=SC2086 # they are several words
        said=$(redis $command | tr '\n' ' ' | sed 's/ *$//')
        [[ "$said" == "$expected" ]] || fail "$command: $said"
    done << 'END'
ping|PONG
set key value|OK
get key|value
set key other nx|
get none|
exists key none|1
incr number|1
decr number|0
expire key 100|1
ttl key|100
dbsize|2
set soon value px 1|OK
select 0|OK
config get save|save
get|ERR wrong number of arguments for 'get' command
frobnicate it|ERR unknown command 'frobnicate', with args beginning with: 'it'
END
    gone() { [[ "$(redis exists soon)" == 0 ]]; }
    eventually gone || fail "a key outlives its time"
    [[ "$(redis del key number soon)" == 2 ]] || fail "del counts what was gone"
    # As at a prompt, where redis-cli asks for the documentation of commands first.
    said=$(printf 'set "two words" x\nget "two words"\nquit\n' | redis | tr '\n' ' ')
    [[ "$said" == "OK x "* ]] || fail "redis-cli says: $said"
    for pipeline in 1 16; do
        timeout 120 redis-benchmark -h 127.0.0.1 -p "${address##*:}" -t get,set,incr -n 20000 -r 1000 -P "$pipeline" --csv \
            > "$work/benchmark" 2> "$work/complaints" || fail "redis-benchmark: $(cat "$work/complaints")"
        [[ ! -s "$work/complaints" ]] || fail "redis-benchmark: $(cat "$work/complaints")"
        for test in SET GET INCR; do
            grep -q "^\"$test\"," "$work/benchmark" || fail "redis-benchmark -P $pipeline: $(cat "$work/benchmark")"
        done
    done
elif in_ci; then
    fail "redis-tools are not installed"
fi
exec 3<> "/dev/tcp/${address%:*}/${address##*:}"
printf '*1\r\n$99999999999\r\n' >&3
IFS= read -r -t 10 line <&3
exec 3>&-
[[ "$line" == $'-ERR Protocol error: invalid bulk length\r' ]] || fail "kv says to nonsense: $line"
for arguments in "--addr $address" "--addr nonsense" "--workers 0" "--workers two" "--unknown"; do
    # shellcheck disable=SC2086 # they are several words
    refuses kv $arguments
done
interrupt kv

echo "-- http_server"
mkdir "$work/files"
echo "a file" > "$work/files/a.txt"
echo "a secret" > "$work/secret.txt"
ln -s "$work/secret.txt" "$work/files/link.txt"
serve http_server --addr 127.0.0.1:0 --dir "$work/files"
have curl || skip "curl is not installed"
get() { curl -sSf --max-time 10 "$@"; }
code() { curl -sS --max-time 10 -o /dev/null -w '%{http_code}' "$@"; }
[[ "$(get "$address/plaintext")" == "Hello, World!" ]] || fail "/plaintext"
[[ "$(get "$address/json")" == '{"message":"Hello, World!"}' ]] || fail "/json"
get "$address/" | grep -q '</html>' || fail "/"
head -c 1000000 /dev/urandom > "$work/body"
get --data-binary "@$work/body" "$address/echo" | cmp - "$work/body" || fail "POST /echo"
# A dump of the tasks shows the one that asks for it, with the line at which it waits meanwhile; unless it has not come to wait.
line=$(grep -n '// the dump shows this line' examples/http_server/routes.rs | cut -d: -f1)
shows() { get "$address$1" > "$work/tasks" && grep -q "$2" "$work/tasks"; }
eventually shows /tasks "task at examples/http_server/routes.rs:$line:" || fail "/tasks: $(cat "$work/tasks")"
eventually shows /tasks.json "\"file\":\"examples/http_server/routes.rs\",\"line\":$line," ||
    fail "/tasks.json: $(cat "$work/tasks")"
get "$address/" | grep -q 'href="/tasks"' || fail "/ has no link to /tasks"
[[ "$(get "$address/files/a.txt")" == "a file" ]] || fail "/files/a.txt"
escapes=(/files/../secret.txt /files/%2e%2e/secret.txt /files/..%2fsecret.txt /files/%2e%2e%2fsecret.txt
    /files//etc/passwd /files/./../secret.txt /files/link.txt "/files/a.txt%00")
for path in "${escapes[@]}"; do
    [[ "$(code --path-as-is "$address$path")" =~ ^4 ]] || fail "$path is answered"
done
[[ "$(code "$address/nowhere")" == 404 ]] || fail "/nowhere"

if have wrk; then
    echo "-- wrk"
    wrk -t2 -c64 -d5 "$address/plaintext" | tee "$work/wrk"
    grep -q 'Requests/sec' "$work/wrk" || fail "wrk did not finish"
    ! grep -qE 'Socket errors|Non-2xx' "$work/wrk" || fail "wrk has seen errors"
elif in_ci; then
    fail "wrk is not installed"
fi

browser=$(command -v chromium || command -v chromium-browser || true)
if [[ -n "$browser" ]]; then
    echo "-- chromium"
    mkdir "$work/profile"
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
        --user-data-dir="$work/profile" --virtual-time-budget=5000 --dump-dom "$address/" \
        > "$work/dom" 2> "$work/browser" || fail "chromium: $(tail -5 "$work/browser")"
    grep -q '<title>tress</title>' "$work/dom" || fail "the browser has loaded something else"
    # Filled in by the page's script, from a second request.
    grep -q 'live tasks' "$work/dom" || fail "the page's script has not run"
elif in_ci; then
    fail "chromium is not installed"
fi

if have slowhttptest; then
    echo "-- slowhttptest"
    # Headers that never end: the server closes those connections, and answers others meanwhile.
    timeout 60 slowhttptest -c 200 -H -i 5 -r 200 -l 15 -u "$address/" -p 3 > "$work/slow" 2>&1 &
    slow=$!
    started+=("$slow")
    sleep 3
    [[ "$(get "$address/plaintext")" == "Hello, World!" ]] || fail "slow clients hold up others"
    wait "$slow" || fail "slowhttptest: $(tail -5 "$work/slow")"
    grep -q 'service available: *YES' <(sed 's/\x1b\[[0-9;]*m//g' "$work/slow") || fail "$(tail -20 "$work/slow")"
elif in_ci; then
    fail "slowhttptest is not installed"
fi

interrupt http_server
serve http_server --addr 127.0.0.1:0
taken=${address#http://}
for arguments in "--addr $taken" "--addr nonsense" "--addr 127.0.0.1:99999" "--workers 0" "--workers 1000000" \
    "--workers two" "--dir /no/such/directory" "--unknown"; do
    # shellcheck disable=SC2086 # they are several words
    refuses http_server $arguments
done
interrupt http_server
echo "the examples answer"
