// Posts to a strand: in a burst from the main thread, and each from the one before.
#pragma once

#include <asio.hpp>

#include <cstdio>
#include <string_view>

#include "measure.hpp"

constexpr std::uint64_t posts_per_batch = 200'000;

// Each of its links posts the next.
template <class Executor>
class Links {
public:
    explicit Links(Executor executor) : executor_(executor) {}

    void begin() { asio::post(executor_, [this] { link(); }); }

private:
    void link() {
        if (++links_ % posts_per_batch == 0) {
            gate.arrive();
        } else {
            asio::post(executor_, [this] { link(); });
        }
    }

    Executor executor_;
    std::uint64_t links_ = 0;
};

// What is posted in a burst.
struct Burst {
    std::uint64_t items_run = 0;

    void one_ran() {
        if (++items_run % posts_per_batch == 0) {
            gate.arrive();
        }
    }
};

template <class Batch>
void print_posts(Window window, Batch begin) {
    auto batch = [&] {
        gate.expect(1);
        begin();
        gate.wait();
        return posts_per_batch;
    };
    const Sample sample = repeat(window, batch, batch);
    std::printf("sample %f %f\n", sample.wall_ns, sample.cpu_ns);
}

inline bool strand_post(std::string_view variant, Window window) {
    asio::thread_pool pool(2);
    auto strand = asio::make_strand(pool);
    if (variant == "remote") {
        Burst burst;
        print_posts(window, [&] {
            for (std::uint64_t post = 0; post < posts_per_batch; ++post) {
                asio::post(strand, [&burst] { burst.one_ran(); });
            }
        });
        pool.join();
    } else if (variant == "self") {
        Links links(strand);
        print_posts(window, [&] { links.begin(); });
        pool.join();
    } else if (variant == "pool") {
        Links links(pool.get_executor());
        print_posts(window, [&] { links.begin(); });
        pool.join();
    } else {
        return false;
    }
    return true;
}
