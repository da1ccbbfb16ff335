#!/usr/bin/env bash
# Installs what the checks use and a fresh Debian with rustup has not. What is there already is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

have rustup || fail "rustup is missing: see https://rustup.rs"

packages=()
want() { have "$1" || packages+=("$2"); }
want cc build-essential
want c++ build-essential
want make build-essential
want curl curl
want wrk wrk
want strace strace
want nghttp nghttp2-client
want slowhttptest slowhttptest
want valgrind valgrind
want chromium chromium
want redis-cli redis-tools
want socat socat

if [[ ${#packages[@]} -gt 0 ]]; then
    as_root=()
    if [[ $EUID -ne 0 ]]; then
        have sudo || skip "${packages[*]} are missing, and installing them takes root"
        as_root=(sudo)
    fi
    have apt-get || skip "${packages[*]} are missing, and there is no apt-get"
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get update -qq || echo "the package lists could not be updated"
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null ||
        skip "these packages could not be installed: ${packages[*]}"
fi

rustup component add rustfmt clippy 2> /dev/null || fail "rustfmt and clippy could not be installed"
# The sanitizers are there in nightly only, and want a standard library that is instrumented too.
if ! rustup run "$TRESS_NIGHTLY" rustc -V > /dev/null 2>&1; then
    rustup toolchain install "$TRESS_NIGHTLY" --profile minimal || skip "$TRESS_NIGHTLY could not be installed"
fi
rustup component add rust-src --toolchain "$TRESS_NIGHTLY" 2> /dev/null ||
    echo "rust-src could not be installed: ThreadSanitizer will not see into the standard library"
rustc -V
rustup run "$TRESS_NIGHTLY" rustc -V
