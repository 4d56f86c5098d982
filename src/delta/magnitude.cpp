#include "delta/magnitude.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#ifdef POSTGRES_H
#error "src/delta must not depend on the server's headers"
#endif

namespace upkeep::delta {

namespace {

using uint128 = unsigned __int128;

/// 64 bits of the value from the given bit position upward (position 0 is the lowest bit of the lowest limb).
uint64_t bits_from(const Magnitude &value, int position) {
    const int limb = position / 64;
    const int shift = position % 64;
    uint64_t bits = limb < value.size ? value.limbs[limb] >> shift : 0;
    if (shift != 0 && limb + 1 < value.size)
        bits |= value.limbs[limb + 1] << (64 - shift);
    return bits;
}

bool has_bit_below(const Magnitude &value, int position) {
    const int limb = position / 64;
    for (int i = 0; i < std::min(limb, value.size); i++)
        if (value.limbs[i] != 0)
            return true;
    const int rest = position % 64;
    return limb < value.size && rest != 0 && (value.limbs[limb] << (64 - rest)) != 0;
}

/// Moves the value into a span that begins at limb `first` and has `size` limbs.
Magnitude spread(const Magnitude &value, int first, int size) {
    Magnitude result;
    result.first = first;
    result.size = size;
    std::fill_n(result.limbs, size, 0);
    std::copy_n(value.limbs, value.size, result.limbs + (value.first - first));
    return result;
}

} // namespace

void Magnitude::trim() {
    while (size > 0 && limbs[size - 1] == 0)
        size--;
    int zeros = 0;
    while (zeros < size && limbs[zeros] == 0)
        zeros++;
    if (zeros > 0) {
        std::copy(limbs + zeros, limbs + size, limbs);
        size -= zeros;
        first += zeros;
    }
}

double round_magnitude(const Magnitude &value, bool has_fraction, BinaryFormat format) {
    if (value.is_zero())
        return 0.0;
    const int base = 64 * value.first;
    const int length = 64 * value.size - std::countl_zero(value.limbs[value.size - 1]);
    // The exponent of the last bit that the format keeps at this size.
    const int last = std::max(base + length - format.precision, format.lowest_exponent);
    const int dropped = last - base;
    if (dropped <= 0) // no more bits than the format has: they are exact
        return std::ldexp(static_cast<double>(value.limbs[0]), base);
    if (dropped > length) // less than half of the smallest subnormal
        return 0.0;

    uint64_t kept = dropped < length ? bits_from(value, dropped) : 0;
    const bool half = (bits_from(value, dropped - 1) & 1) != 0;
    if (half && ((kept & 1) != 0 || has_fraction || has_bit_below(value, dropped - 1)))
        kept++;
    return std::ldexp(static_cast<double>(kept), last);
}

Magnitude multiply(const Magnitude &value, uint64_t factor) {
    Magnitude result;
    result.first = value.first;
    result.size = value.size + 1;
    uint64_t carry = 0;
    for (int i = 0; i < value.size; i++) {
        const uint128 product = static_cast<uint128>(value.limbs[i]) * factor + carry;
        result.limbs[i] = static_cast<uint64_t>(product);
        carry = static_cast<uint64_t>(product >> 64);
    }
    result.limbs[value.size] = carry;
    result.trim();
    return result;
}

Magnitude square(const Magnitude &value) {
    Magnitude result;
    result.first = 2 * value.first;
    result.size = 2 * value.size;
    std::fill_n(result.limbs, result.size, 0);
    for (int i = 0; i < value.size; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < value.size; j++) {
            // At most (2^64 − 1)² + 2 · (2^64 − 1) = 2^128 − 1.
            const uint128 product = static_cast<uint128>(value.limbs[i]) * value.limbs[j] + result.limbs[i + j] + carry;
            result.limbs[i + j] = static_cast<uint64_t>(product);
            carry = static_cast<uint64_t>(product >> 64);
        }
        result.limbs[i + value.size] = carry;
    }
    result.trim();
    return result;
}

Magnitude subtract_or_zero(const Magnitude &a, const Magnitude &b) {
    if (b.is_zero())
        return a;
    if (a.is_zero())
        return Magnitude{};
    const int first = std::min(a.first, b.first);
    const int size = std::max(a.first + a.size, b.first + b.size) - first;
    Magnitude result = spread(a, first, size);
    const Magnitude other = spread(b, first, size);
    uint64_t borrow = 0;
    for (int i = 0; i < size; i++) {
        const uint128 difference = static_cast<uint128>(result.limbs[i]) - other.limbs[i] - borrow;
        result.limbs[i] = static_cast<uint64_t>(difference);
        borrow = static_cast<uint64_t>(difference >> 64) & 1;
    }
    if (borrow != 0)
        return Magnitude{};
    result.trim();
    return result;
}

void extend_below(Magnitude &value, int count) {
    std::copy_backward(value.limbs, value.limbs + value.size, value.limbs + value.size + count);
    std::fill_n(value.limbs, count, 0);
    value.size += count;
    value.first -= count;
}

bool divide_floor(Magnitude &value, uint64_t divisor) {
    uint64_t remainder = 0;
    for (int i = value.size - 1; i >= 0; i--) {
        const uint128 part = static_cast<uint128>(remainder) << 64 | value.limbs[i];
        value.limbs[i] = static_cast<uint64_t>(part / divisor);
        remainder = static_cast<uint64_t>(part % divisor);
    }
    while (value.size > 0 && value.limbs[value.size - 1] == 0)
        value.size--;
    return remainder != 0;
}

} // namespace upkeep::delta
