// A handler that takes turns beside a strand with many items, on one thread.
#pragma once

#include <asio.hpp>

#include <atomic>
#include <cstdio>
#include <string_view>

#include "measure.hpp"
#include "table.hpp"

enum class Wait { local, remote, worst };

struct Backlog {
    std::uint64_t items;
    std::uint32_t rounds;
    bool announces;
    std::atomic<bool> is_done{false};
    std::atomic<std::uint64_t> sink{0};

    void item(std::uint64_t item) {
        if (item == 0 && announces) {
            gate.arrive();
        }
        sink.store(spin(item + 1, rounds), std::memory_order_relaxed);
        if (item + 1 == items) {
            is_done.store(true, std::memory_order_relaxed);
        }
    }
};

// Takes one turn after the other, as long as there are items.
class Neighbour {
public:
    Neighbour(asio::thread_pool& pool, Backlog& backlog) : pool_(pool), backlog_(backlog) {}

    void post() {
        due_ = Clock::now();
        asio::post(pool_, [this] { turn(); });
    }

    double first_ns() const { return first_ns_; }
    double worst_ns() const { return worst_ns_; }

private:
    void turn() {
        const double waited_ns = nanoseconds(Clock::now() - due_);
        if (first_ns_ < 0) {
            first_ns_ = waited_ns;
        }
        worst_ns_ = std::max(worst_ns_, waited_ns);
        if (backlog_.is_done.load(std::memory_order_relaxed)) {
            gate.arrive();
        } else {
            post();
        }
    }

    asio::thread_pool& pool_;
    Backlog& backlog_;
    Clock::time_point due_;
    double first_ns_ = -1;
    double worst_ns_ = 0;
};

inline double waited_ns(Wait wait, std::uint64_t items, std::uint32_t rounds) {
    asio::thread_pool pool(1);
    auto strand = asio::make_strand(pool);
    Backlog backlog{items, rounds, wait != Wait::local};
    Neighbour neighbour(pool, backlog);
    gate.expect(1);
    asio::post(pool, [&] {
        for (std::uint64_t item = 0; item < items; ++item) {
            asio::post(strand, [&backlog, item] { backlog.item(item); });
        }
        if (wait == Wait::local) {
            neighbour.post();
        }
    });
    gate.wait();
    if (wait != Wait::local) {
        gate.expect(1);
        neighbour.post();
        gate.wait();
    }
    pool.join();
    return wait == Wait::worst ? neighbour.worst_ns() : neighbour.first_ns();
}

// Prints the median of some runs, in microseconds.
inline bool strand_neighbour(std::string_view variant, std::uint64_t items, std::uint64_t runs, std::uint32_t rounds) {
    Wait wait = Wait::local;
    if (variant == "remote") {
        wait = Wait::remote;
    } else if (variant == "worst") {
        wait = Wait::worst;
    } else if (variant != "local") {
        return false;
    }
    waited_ns(wait, items / 100, rounds);
    const Stopwatch stopwatch;
    std::vector<double> waits_ns;
    for (std::uint64_t run = 0; run < runs; ++run) {
        waits_ns.push_back(waited_ns(wait, items, rounds));
    }
    const Spent spent = stopwatch.spent();
    std::sort(waits_ns.begin(), waits_ns.end());
    std::printf("sample %f %f\n", waits_ns[waits_ns.size() / 2] / 1e3, spent.cpu_ns / static_cast<double>(items * runs));
    return true;
}
