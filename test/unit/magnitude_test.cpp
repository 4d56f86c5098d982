#include "delta/magnitude.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace upkeep::delta {
namespace {

Magnitude magnitude_of(int first, std::initializer_list<uint64_t> limbs) {
    Magnitude result;
    result.first = first;
    for (const uint64_t limb : limbs)
        result.limbs[result.size++] = limb;
    result.trim();
    return result;
}

TEST(Magnitude, RoundsTiesToEvenUnlessAFractionFollows) {
    // 2^64 + 2^11 lies in the middle of two doubles, the lower one even.
    const Magnitude tie = magnitude_of(0, {uint64_t{1} << 11, 1});
    EXPECT_EQ(round_magnitude(tie, false, kDoubleFormat), 0x1p64);
    EXPECT_EQ(round_magnitude(tie, true, kDoubleFormat), 0x1.0000000000001p64);
    const Magnitude odd = magnitude_of(0, {uint64_t{3} << 11, 1});
    EXPECT_EQ(round_magnitude(odd, false, kDoubleFormat), 0x1.0000000000002p64);
    const Magnitude below = magnitude_of(0, {(uint64_t{1} << 11) - 1, 1});
    EXPECT_EQ(round_magnitude(below, true, kDoubleFormat), 0x1p64);
    // A fraction far below the smallest subnormal: its half rounds to even, and just above the half upward.
    const Magnitude half_of_smallest = magnitude_of(-18, {0, uint64_t{1} << 13});
    EXPECT_EQ(round_magnitude(half_of_smallest, false, kDoubleFormat), 0.0);
    EXPECT_EQ(round_magnitude(magnitude_of(-18, {1, uint64_t{1} << 13}), false, kDoubleFormat), 5e-324);
    EXPECT_EQ(round_magnitude(magnitude_of(-40, {1}), false, kDoubleFormat), 0.0);
}

TEST(Magnitude, MultipliesAndDivides) {
    const Magnitude value = magnitude_of(-1, {~uint64_t{0}, 5, 7});
    Magnitude product = multiply(value, 1000003);
    EXPECT_FALSE(divide_floor(product, 1000003));
    EXPECT_EQ(product.size, 3);
    EXPECT_EQ(product.first, -1);
    EXPECT_TRUE(subtract_or_zero(product, value).is_zero());
    EXPECT_TRUE(subtract_or_zero(value, product).is_zero());
    EXPECT_TRUE(divide_floor(product, 2));
    EXPECT_TRUE(multiply(value, 0).is_zero());
}

TEST(Magnitude, SquaresAndSubtracts) {
    // (2^128 − 1)² = 2^256 − 2^129 + 1
    const Magnitude result = square(magnitude_of(3, {~uint64_t{0}, ~uint64_t{0}}));
    EXPECT_EQ(result.first, 6);
    ASSERT_EQ(result.size, 4);
    EXPECT_EQ(result.limbs[0], 1u);
    EXPECT_EQ(result.limbs[1], 0u);
    EXPECT_EQ(result.limbs[2], ~uint64_t{0} - 1);
    EXPECT_EQ(result.limbs[3], ~uint64_t{0});
    const Magnitude difference = subtract_or_zero(magnitude_of(2, {1}), magnitude_of(-1, {1}));
    EXPECT_EQ(difference.first, -1);
    ASSERT_EQ(difference.size, 3);
    EXPECT_EQ(difference.limbs[2], ~uint64_t{0});
    EXPECT_TRUE(subtract_or_zero(magnitude_of(-1, {1}), magnitude_of(2, {1})).is_zero());
    EXPECT_TRUE(subtract_or_zero(Magnitude{}, magnitude_of(0, {1})).is_zero());
}

} // namespace
} // namespace upkeep::delta
