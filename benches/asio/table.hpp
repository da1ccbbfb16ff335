// The state that is shared, and the work that is done with it: `src/serial/table.rs` in C++, number by number.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

inline std::uint64_t spin(std::uint64_t number, std::uint32_t rounds) {
    std::uint64_t mixed = number;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    }
    return mixed;
}

class Table {
public:
    std::uint64_t update(std::uint64_t number, std::uint32_t rounds) {
        const std::uint64_t key = (number >> 58) + 1;
        std::size_t index = (key * golden) >> 57;
        for (;; ++index) {
            Slot& slot = slots_[index % slots_.size()];
            if (slot.key == 0) {
                slot = Slot{key, key * golden, 0, 0};
            }
            if (slot.key == key) {
                const std::uint64_t reply = spin(number ^ slot.salt, rounds);
                slot.sum += reply;
                ++slot.updates;
                return reply;
            }
        }
    }

    std::uint64_t updates() const {
        std::uint64_t updates = 0;
        for (const Slot& slot : slots_) {
            updates += slot.updates;
        }
        return updates;
    }

    std::uint64_t checksum() const {
        std::uint64_t checksum = 0;
        for (const Slot& slot : slots_) {
            checksum += spin(slot.key ^ std::rotl(slot.sum, 17) ^ std::rotl(slot.updates, 40), checksum_rounds);
        }
        return checksum;
    }

    static std::uint64_t first_number(std::uint64_t task) { return spin(task + 1, checksum_rounds); }

private:
    struct Slot {
        std::uint64_t key;
        std::uint64_t salt;
        std::uint64_t sum;
        std::uint64_t updates;
    };

    static constexpr std::uint64_t golden = 0x9e3779b97f4a7c15u;
    static constexpr std::uint32_t checksum_rounds = 4;

    std::array<Slot, 128> slots_{};
};
