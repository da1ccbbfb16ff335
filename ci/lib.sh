# What the scripts in this folder share. Sourced, not run.

export PATH="$HOME/.cargo/bin:$PATH"
: "${TRESS_NIGHTLY:=nightly}"

# True in CI, where a tool that is missing is a failure and not a reason to skip.
in_ci() { [[ "${CI:-}" == true ]]; }

fail() {
    echo "error: $*" >&2
    exit 1
}

# Ends the script because it cannot do its work here; in CI that is a failure.
skip() {
    in_ci && fail "$*"
    echo "skipped: $*"
    exit 0
}

have() { command -v "$1" > /dev/null 2>&1; }

# Where cargo puts what it builds.
target_dir() { echo "${CARGO_TARGET_DIR:-$PWD/target}"; }

# Goes to a copy of the working tree, in a fixed place, so that what has been built there is of use next time: its folder, in which `target` stays.
enter_copy() {
    local tree=$1
    mkdir -p "$tree/target"
    find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -r {} +
    git ls-files -z --cached --others --exclude-standard |
        tar --create --null --files-from=- --ignore-failed-read |
        tar --extract --touch --directory "$tree"
    cd "$tree"
    # The copy is no part of a repository: inside one that ignores it, `git apply` would change nothing, and not say so.
    GIT_CEILING_DIRECTORIES=$(dirname "$tree")
    export GIT_CEILING_DIRECTORIES CARGO_TARGET_DIR="$tree/target"
}

# Processes that the script has started; they end with it.
started=()
started_dirs=()
clean_up() {
    local pid
    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    done
    [[ ${#started_dirs[@]} -eq 0 ]] || rm -rf "${started_dirs[@]}"
}

# Waits, for ten seconds at most, until a command succeeds.
eventually() {
    local attempt
    for attempt in $(seq 100); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}
