// Wall and CPU time, as `src/clock.rs` takes them, and a way for the main thread to wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <vector>

using Clock = std::chrono::steady_clock;

inline double nanoseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::nano>(duration).count();
}

// Nanoseconds of wall time, and of CPU time of all threads.
struct Spent {
    double wall_ns;
    double cpu_ns;
};

class Stopwatch {
public:
    Spent spent() const { return {nanoseconds(Clock::now() - wall_), process_cpu_ns() - cpu_ns_}; }

private:
    static double process_cpu_ns() {
        std::timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return 1e9 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec);
    }

    double cpu_ns_ = process_cpu_ns();
    Clock::time_point wall_ = Clock::now();
};

// How long to warm up and how long to measure, in nanoseconds.
struct Window {
    double warm_up_ns;
    double measure_ns;
};

// Nanoseconds for each operation.
struct Sample {
    double wall_ns;
    double cpu_ns;
};

// Runs `short_batch` for the warm-up, once at least; then `batch`, which returns how many operations it did.
template <class Short, class Batch>
Sample repeat(Window window, Short short_batch, Batch batch) {
    const Stopwatch warm_up;
    do {
        short_batch();
    } while (warm_up.spent().wall_ns < window.warm_up_ns);
    const Stopwatch stopwatch;
    double operations = 0;
    for (;;) {
        operations += static_cast<double>(batch());
        const Spent spent = stopwatch.spent();
        if (spent.wall_ns >= window.measure_ns) {
            return {spent.wall_ns / operations, spent.cpu_ns / operations};
        }
    }
}

// Where the main thread waits until so many have arrived. There is one for the life of the process, so that nobody arrives at one that is
// gone.
class Gate {
public:
    void expect(std::uint64_t arrivals) { left_ = arrivals; }

    void arrive() {
        const std::lock_guard lock(mutex_);
        if (--left_ == 0) {
            all_arrived_.notify_one();
        }
    }

    void wait() {
        std::unique_lock lock(mutex_);
        all_arrived_.wait(lock, [this] { return left_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable all_arrived_;
    std::uint64_t left_ = 0;
};

inline Gate gate;
