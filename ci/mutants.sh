#!/usr/bin/env bash
# Breaks the code on purpose, in each of the ways that ci/mutants keeps, and checks that a test sees it:
#
#   bash ci/mutants.sh [--list | --check] [word…]
#
# It takes some twenty seconds for each. `--check` only sees that each variant still applies and that its test is there.
# With TRESS_MUTANTS_SECONDS set, it tries as many as it can in that time, in random order.
#
# With words, only the variants whose name contains one of them. A variant is a patch; its first line is
#
#   Test: path::of::the::test
#
# in `tress-runtime`, `strand::path::of::the::test` in `tress-strand`, or, for one of the package's own tests, `Test: tests/file::the_test`; a second one, `Features: …`, says with which features that is built;
# and the lines before the diff say what it breaks. A test in a `model` is run under loom, any other as it is. A patch
# that does not apply, code that does not compile, and a test that passes or is not there are failures of this script.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

list=false
check=false
words=()
for argument in "$@"; do
    case $argument in
        --list) list=true ;;
        --check) check=true ;;
        *) words+=("$argument") ;;
    esac
done

# The patches that the words choose.
chosen() {
    local patch word
    for patch in "$PWD"/ci/mutants/*.patch; do
        [[ ${#words[@]} -eq 0 ]] && echo "$patch"
        for word in ${words[@]+"${words[@]}"}; do
            [[ "$(basename "$patch")" == *"$word"* ]] && echo "$patch" && break
        done
    done
    true
}

test_of() {
    sed -n '1s/^Test: //p' "$1"
}

features_of() {
    sed -n '2s/^Features: //p' "$1"
}

mapfile -t patches < <(chosen)
[[ ${#patches[@]} -gt 0 ]] || fail "no variant is called like that"
if $list; then
    for patch in "${patches[@]}"; do
        printf '%-44s %s\n' "$(basename "$patch" .patch)" "$(test_of "$patch")"
    done
    exit
fi

if $check; then
    bad=0
    for patch in "${patches[@]}"; do
        name=$(test_of "$patch")
        if ! git apply --check "$patch"; then
            echo "$(basename "$patch") does not apply"
            bad=1
        elif [[ -z "$name" ]] || ! git grep -qw "fn ${name##*::}" -- runtime/src strand/src tests; then
            echo "$(basename "$patch") names no test: $name"
            bad=1
        fi
    done
    ((bad == 0)) || exit 1
    echo "${#patches[@]} variants apply"
    exit
fi

tree="$(target_dir)/mutants"
log="$tree/target/log"
enter_copy "$tree"
# One crate is built over and over.
export CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never

# Runs cargo for a test, under loom if it is a model: time limit in seconds, test, features, arguments.
cargo_for() {
    local limit=$1 test=$2 features=$3 model=() file package=tress-runtime
    shift 3
    if [[ "$test" == tests/* ]]; then
        file=${test#tests/}
        timeout --kill-after=5 "$limit" cargo test --quiet --package tress --features "$features" --test "${file%%::*}" "$@"
        return
    fi
    if [[ "$test" == *::model::* ]]; then
        # What `cargo loom` is. Not by that name: cargo would read the alias twice, here and in the folder that this copy is in.
        model=(--profile loom --config "build.rustflags=['--cfg', 'tress_loom']" --target-dir target/loom)
    fi
    [[ "$test" == strand::* ]] && package=tress-strand
    timeout --kill-after=5 "$limit" cargo test --quiet --package "$package" --lib ${model[@]+"${model[@]}"} "$@"
}

# What the test is called in its own crate.
path_in_crate() {
    case $1 in
        tests/*) echo "${1#tests/*::}" ;;
        strand::*) echo "${1#strand::}" ;;
        *) echo "$1" ;;
    esac
}

# Where time is short: other ones each time.
if [[ -n "${TRESS_MUTANTS_SECONDS:-}" ]]; then
    mapfile -t patches < <(printf '%s\n' "${patches[@]}" | shuf)
fi

tried=0
survivors=0
complain() {
    echo "  FAILED: $1"
    sed 's/^/    /' "$log" | tail -n 20
    survivors=$((survivors + 1))
}

for patch in "${patches[@]}"; do
    ((SECONDS < ${TRESS_MUTANTS_SECONDS:-SECONDS + 1})) || break
    tried=$((tried + 1))
    test=$(test_of "$patch")
    features=$(features_of "$patch")
    begun=$SECONDS
    code=0
    : > "$log"
    if [[ -z "$test" ]]; then
        complain "$(basename "$patch") names no test"
        continue
    fi
    if ! git apply "$patch" 2> "$log"; then
        complain "$(basename "$patch") does not apply"
        continue
    fi
    if ! cargo_for 600 "$test" "$features" --no-run > "$log" 2>&1; then
        complain "$(basename "$patch") does not compile"
    else
        cargo_for 180 "$test" "$features" -- --exact "$(path_in_crate "$test")" > "$log" 2>&1 || code=$?
        if [[ $code -eq 0 ]]; then
            complain "$(basename "$patch") is not seen by $test"
        elif [[ $code -ge 124 && "$test" == *::model::* ]]; then
            complain "$(basename "$patch") is not seen by $test in time"
        else
            printf '%4d s  %-44s seen by %s\n' $((SECONDS - begun)) "$(basename "$patch" .patch)" "$test"
        fi
    fi
    git apply --reverse "$patch"
done

[[ $survivors -eq 0 ]] || fail "$survivors of $tried variants were not seen"
echo "$tried of ${#patches[@]} variants were tried, and seen"
