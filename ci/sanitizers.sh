#!/usr/bin/env bash
# Runs the stress suite under AddressSanitizer (with LeakSanitizer) and ThreadSanitizer, on nightly.
#
#   ci/sanitizers.sh [address|thread]...        both if none is named
#
# TRESS_STRESS_SECONDS is how long each stress case runs with each number of workers.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

target=x86_64-unknown-linux-gnu
[[ "$(uname -sm)" == "Linux x86_64" ]] || skip "the sanitizers are run on x86_64 Linux"
rustup run "$TRESS_NIGHTLY" rustc -V > /dev/null 2>&1 || skip "the sanitizers need $TRESS_NIGHTLY: run ci/tools.sh"

# Looking up where a panic came from takes an instrumented standard library many seconds.
export RUST_BACKTRACE=0
export TRESS_STRESS_SECONDS="${TRESS_STRESS_SECONDS:-1}"

# Each test of the pool, apart from those that measure time: a sanitizer slows everything down.
tests=(
    abort_storm backtrace_shows_the_chain block_on_takes_part blocking_calls dump_disturbs_nobody dump_loses_no_wake
    dump_of_hostile_tasks dump_shows_the_tree frames_are_freed_by_their_maker frames_come_from_their_allocator
    frames_of_any_layout graceful_shutdown_finishes_in_flight
    hostile_wakers_do_no_harm join_handles nested_block_on_is_refused no_wakeup_is_lost nobody_starves
    panics_stay_in_their_task refused_after_shutdown runtimes_dropped_anywhere shutdown_drops_everything
    shutdown_waits_up_to_its_timeout spawn_storm stop_requests tcp_edge_results_are_defined timers_under_load
)

# Each test of frames as a tree, apart from those that run on a small stack or look at its depth, since instrumented
# code needs several times as much: lazy_chains_need_no_stack and lazy_ready_awaits_use_no_stack.
tests+=(
    a_finished_task_hands_over_to_its_joiner allocators_may_do_anything handovers_lose_nobody lazy_assume_unleaked
    lazy_changes_hands
    lazy_combinators lazy_dropped_anywhere lazy_dropped_by_a_threads_end lazy_dropped_while_lent
    lazy_drops_may_do_anything lazy_frames_are_in_their_task lazy_leaked_is_never_polled
    lazy_local_stays_on_its_thread lazy_of_any_shape lazy_payloads_end_somewhere lazy_polled_in_a_drop lazy_shared
    lazy_trees_match_plain_recursion lazy_under_foreign_wakers lazy_wakes_only_its_frame
    two_lazies_cannot_starve_a_third
)
# Environments, stopping, and what stands on them.
tests+=(
    algorithm_bulk algorithm_when_all algorithm_when_any environment_is_inherited join_sets scopes_wait_for_their_tasks
    each_end_is_told_where_it_is_caught stopped_ends_its_frame stops_end_what_waits stops_hit_only_what_waits
)
# Executors, and tasks that borrow.
tests+=(
    an_executor_that_panics_ends_its_task_alone any_executor_erases_types blocking_scope_lends
    executors_run_what_they_are_given executor_lanes inline_executor run_on_goes_and_comes_back
    hop_to_moves_until_its_run_on_ends run_on_meets_hostile_executors run_on_put_aside run_on_side_by_side
    scopes_leave_nobody_behind
)
# Strands, and what belongs to them.
tests+=(
    actor_callers_may_leave actor_calls_take_turns cells_are_lent_once dump_lists_named_strands
    strand_items_never_overlap strand_locals_stay_on_their_strand strand_metrics_count strands_count_without_atomics
    strands_shared_and_churned strands_take_turns
)
# For the same reason: it measures the stack; it compares what is polled in one go, which is as much as there is stack
# for; it moves megabytes over the stack, in more copies than fit; and what runs on a small stack in files that do more.
skipped=(and_the_stack_stays_flat step_by_step of_a_megabyte needs_no_stack in_a_deep_nest)

selected=()
for test in "${tests[@]}"; do
    [[ -e tests/$test.rs ]] || fail "there is no tests/$test.rs"
    selected+=(--test "$test")
done

# Sets RUSTFLAGS and runs the suite: the name, the sanitizer's seconds at most, further arguments of cargo.
run() {
    local name=$1 cap=$2 flags=$3
    shift 3
    echo "-- $name"
    CARGO_TARGET_DIR="$(target_dir)/$name" \
        RUSTFLAGS="-Zsanitizer=$name -Cunsafe-allow-abi-mismatch=sanitizer $flags" \
        timeout --kill-after=10 "$cap" cargo "+$TRESS_NIGHTLY" test --quiet --target "$target" "$@" \
        --no-fail-fast "${selected[@]}" -- "${skipped[@]/#/--skip=}" \
        || fail "$name has found something, or did not end within $cap s"
}

for sanitizer in "${@:-address thread}"; do
    for name in $sanitizer; do
        case $name in
            address)
                # Each frame is an allocation of its own (see the README of `frame`), so that each is watched. Native
                # recursion, for which the other sanitizer's record of calls is too short; a panic that leaves a stack
                # for another one is misunderstood (https://github.com/google/sanitizers/issues/189).
                skipped+=(when_the_leaf_panics)
                ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 \
                    run address 900 "--cfg tress_sanitize" --test lazy_borrowed_recursion_grows_the_heap
                ;;
            thread)
                # With a standard library that is instrumented too, its locks, channels and reference counts are
                # understood, and need no suppressions. The frame pool is on: its protocols are watched as well.
                library=$(rustc "+$TRESS_NIGHTLY" --print sysroot)/lib/rustlib/src/rust/library/std
                if [[ -d "$library" ]]; then
                    TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp history_size=7" run thread 900 "" -Zbuild-std
                else
                    echo "-- rust-src is missing: the standard library is not instrumented"
                    cat ci/tsan.supp ci/tsan-std.supp > "$(target_dir)/tsan.supp"
                    TSAN_OPTIONS="suppressions=$(target_dir)/tsan.supp history_size=7" \
                        run thread 900 "--cfg tress_sanitize"
                fi
                ;;
            *) fail "unknown sanitizer $name" ;;
        esac
    done
done
echo "the sanitizers have found nothing"
