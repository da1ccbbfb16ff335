// Asio's part in the comparison: strands on a thread pool. `peers` builds it, and runs it for each of its samples (`src/peer/asio.rs`):
//
//     peers-asio shared TASKS CALLS SHORT_CALLS INSIDE OUTSIDE HAS_TAIL WARM_UP_MS MEASURE_MS
//     peers-asio strand_post VARIANT WARM_UP_MS MEASURE_MS
//     peers-asio strand_neighbour VARIANT ITEMS RUNS ROUNDS
//
// It prints what a sample of `peers` prints.

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "shared.hpp"
#include "strand_neighbour.hpp"
#include "strand_post.hpp"

int main(int count, char** words) {
    // One that hangs ends by itself.
    alarm(60);
    const std::vector<std::string_view> arguments(words + 1, words + count);
    auto number = [&](std::size_t index) { return std::strtoull(words[index + 1], nullptr, 10); };
    auto window = [&](std::size_t index) {
        return Window{1e6 * static_cast<double>(number(index)), 1e6 * static_cast<double>(number(index + 1))};
    };
    if (arguments.size() == 9 && arguments[0] == "shared") {
        const Plan plan{number(1), number(2), static_cast<std::uint32_t>(number(4)), static_cast<std::uint32_t>(number(5))};
        shared(plan, number(3), number(6) != 0, window(7));
        return 0;
    }
    if (arguments.size() == 4 && arguments[0] == "strand_post" && strand_post(arguments[1], window(2))) {
        return 0;
    }
    if (arguments.size() == 5 && arguments[0] == "strand_neighbour" &&
        strand_neighbour(arguments[1], number(2), number(3), static_cast<std::uint32_t>(number(4)))) {
        return 0;
    }
    std::fputs("peers-asio: these arguments are wrong\n", stderr);
    return 2;
}
