// Chains that share a table on a strand.
#pragma once

#include <asio.hpp>

#include <cstdio>
#include <deque>

#include "measure.hpp"
#include "table.hpp"

using Pool = asio::thread_pool;
using Strand = asio::strand<Pool::executor_type>;

struct Plan {
    std::uint64_t tasks;
    std::uint64_t calls_per_task;
    std::uint32_t inside;
    std::uint32_t outside;
};

struct State {
    Strand strand;
    Pool::executor_type pool;
    Plan plan;
    Table table;
};

// Posts its next update to the strand when the one before is done: from there, or, if it has work of its own to do, from the pool after that.
template <bool IS_TIMED>
class Chain {
public:
    Chain(State& state, std::uint64_t task) : state_(state), number_(Table::first_number(task)) {
        if (IS_TIMED) {
            latencies_ns_.reserve(state.plan.calls_per_task / calls_per_sample + 1);
        }
    }

    void call() {
        ++call_;
        if (IS_TIMED && call_ % calls_per_sample == 0) {
            begin_ = Clock::now();
        }
        asio::post(state_.strand, [this] { update(); });
    }

    const std::vector<double>& latencies_ns() const { return latencies_ns_; }

private:
    void update() {
        number_ = state_.table.update(number_, state_.plan.inside);
        if (IS_TIMED && call_ % calls_per_sample == 0) {
            latencies_ns_.push_back(nanoseconds(Clock::now() - begin_));
        }
        if (call_ == state_.plan.calls_per_task) {
            gate.arrive();
        } else if (state_.plan.outside == 0) {
            call();
        } else {
            asio::post(state_.pool, [this] {
                number_ = spin(number_, state_.plan.outside);
                call();
            });
        }
    }

    // As in `src/serial/sharing.rs`.
    static constexpr std::uint64_t calls_per_sample = 17;

    State& state_;
    std::uint64_t number_;
    std::uint64_t call_ = 0;
    Clock::time_point begin_;
    std::vector<double> latencies_ns_;
};

struct Ended {
    Table table;
    std::vector<double> latencies_ns;
};

template <bool IS_TIMED>
Ended batch(Pool& pool, Plan plan) {
    State state{asio::make_strand(pool), pool.get_executor(), plan, {}};
    std::deque<Chain<IS_TIMED>> chains;
    for (std::uint64_t task = 0; task < plan.tasks; ++task) {
        chains.emplace_back(state, task);
    }
    gate.expect(plan.tasks);
    for (auto& chain : chains) {
        chain.call();
    }
    gate.wait();
    Ended ended{state.table, {}};
    for (const auto& chain : chains) {
        ended.latencies_ns.insert(ended.latencies_ns.end(), chain.latencies_ns().begin(), chain.latencies_ns().end());
    }
    return ended;
}

inline double percentile(const std::vector<double>& sorted, std::size_t per_mille) {
    return sorted[std::min(sorted.size() * per_mille / 1000, sorted.size() - 1)];
}

// Prints the figures, and what the table comes to after a shorter batch.
inline void shared(Plan plan, std::uint64_t short_calls_per_task, bool has_tail, Window window) {
    Pool pool(2);
    Plan short_plan = plan;
    short_plan.calls_per_task = short_calls_per_task;
    Table table;
    const Sample sample = repeat(
        window, [&] { table = batch<false>(pool, short_plan).table; },
        [&] { return batch<false>(pool, plan).table.updates(); });
    std::printf("sample %f %f", sample.wall_ns, sample.cpu_ns);
    if (has_tail) {
        std::vector<double> latencies_ns = batch<true>(pool, plan).latencies_ns;
        std::sort(latencies_ns.begin(), latencies_ns.end());
        std::printf(" %f %f", percentile(latencies_ns, 990), percentile(latencies_ns, 999));
    }
    std::printf("\ntable %llu %llu\n", static_cast<unsigned long long>(table.updates()),
                static_cast<unsigned long long>(table.checksum()));
}
