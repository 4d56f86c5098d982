#pragma once

#include <cstdint>

namespace upkeep::delta {

/// A non-negative big number of fixed capacity: Σ limbs[i] · 2^(64 · (first + i)), i < size.
/// The arithmetic below keeps it trimmed: neither the lowest nor the highest limb is zero; zero has size 0.
struct Magnitude {
    /// n · Σx² − (Σx)² of any doubles needs 70 limbs; three more are scaled in before a division.
    static constexpr int kCapacity = 76;

    uint64_t limbs[kCapacity];
    int size = 0;
    int first = 0;

    bool is_zero() const { return size == 0; }
    /// Drops zero limbs at both ends.
    void trim();
};

/// A binary floating point format: the bits of a significand and the exponent of the lowest bit of a subnormal.
struct BinaryFormat {
    int precision;
    int lowest_exponent;
};
inline constexpr BinaryFormat kDoubleFormat{53, -1074};
inline constexpr BinaryFormat kFloatFormat{24, -149};

/// The value rounded once, to nearest with ties to even, to the given format; returned as a double, which is
/// infinite if it is beyond the range of double (the caller compares with the range of a smaller format).
/// has_fraction: the true value is larger than `value` by less than one unit of its lowest limb; then `value`
/// must have at least 64 significant bits.
double round_magnitude(const Magnitude &value, bool has_fraction, BinaryFormat format);

/// value · factor. The product must fit the capacity.
Magnitude multiply(const Magnitude &value, uint64_t factor);

/// value². The product must fit the capacity.
Magnitude square(const Magnitude &value);

/// a − b, or zero where b > a. The span from the lowest to the highest limb of both must fit the capacity.
Magnitude subtract_or_zero(const Magnitude &a, const Magnitude &b);

/// Appends `count` zero limbs below, so that a following division keeps 64 · count more bits.
void extend_below(Magnitude &value, int count);

/// Divides in place by divisor > 0, down to the lowest limb. True if a remainder was cut off.
bool divide_floor(Magnitude &value, uint64_t divisor);

} // namespace upkeep::delta
