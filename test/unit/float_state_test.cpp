#include "delta/float_state.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <random>
#include <utility>
#include <vector>

namespace upkeep::delta {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

FloatState state_of(std::initializer_list<double> values) {
    FloatState state(true);
    for (const double x : values)
        state.add(x, 1);
    return state;
}

std::vector<uint8_t> bytes_of(const FloatState &state) {
    std::vector<uint8_t> bytes(state.serialized_size());
    EXPECT_EQ(state.serialize(bytes.data()), bytes.size());
    return bytes;
}

void expect_value(const FloatResult &result, double expected) {
    ASSERT_EQ(result.status, FloatStatus::value);
    if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(result.value));
    } else {
        EXPECT_EQ(result.value, expected);
        EXPECT_EQ(std::signbit(result.value), std::signbit(expected));
    }
}

TEST(FloatState, OfNoValuesIsNull) {
    const FloatState state(true);
    EXPECT_TRUE(state.is_zero());
    for (const FloatResult result : {state.sum_float8(), state.sum_float4(), state.avg(), state.var_pop(),
                                     state.var_samp(), state.stddev_pop(), state.stddev_samp()})
        EXPECT_EQ(result.status, FloatStatus::null);
}

TEST(FloatState, OfOneValue) {
    const FloatState state = state_of({2.5});
    expect_value(state.sum_float8(), 2.5);
    expect_value(state.avg(), 2.5);
    expect_value(state.var_pop(), 0.0);
    expect_value(state.stddev_pop(), 0.0);
    EXPECT_EQ(state.var_samp().status, FloatStatus::null);
    EXPECT_EQ(state.stddev_samp().status, FloatStatus::null);
    const FloatState special = state_of({kInf});
    expect_value(special.var_pop(), kNaN);
    expect_value(special.stddev_pop(), kNaN);
    EXPECT_EQ(special.var_samp().status, FloatStatus::null);
}

TEST(FloatState, OfSeveralValues) {
    const FloatState state = state_of({2, 4, 4, 4, 5, 5, 7, 9});
    expect_value(state.sum_float8(), 40);
    expect_value(state.sum_float4(), 40);
    expect_value(state.avg(), 5);
    expect_value(state.var_pop(), 4);
    expect_value(state.stddev_pop(), 2);
    expect_value(state.var_samp(), 32.0 / 7);
    expect_value(state.stddev_samp(), std::sqrt(32.0 / 7));
}

TEST(FloatState, SpecialValuesComeAndGo) {
    FloatState state = state_of({0.1, 1e17, 1e34});
    const auto before = bytes_of(state_of({0.1}));
    state.add(kInf, 1);
    expect_value(state.sum_float8(), kInf);
    expect_value(state.avg(), kInf);
    expect_value(state.var_samp(), kNaN);
    state.add(-kInf, 1);
    expect_value(state.sum_float8(), kNaN);
    expect_value(state.avg(), kNaN);
    state.add(kInf, -1);
    expect_value(state.sum_float4(), -kInf);
    state.add(kNaN, 1);
    expect_value(state.sum_float8(), kNaN);
    expect_value(state.stddev_pop(), kNaN);
    state.add(-kInf, -1);
    state.add(kNaN, -1);
    state.add(1e34, -1);
    state.add(1e17, -1);
    expect_value(state.sum_float8(), 0.1);
    EXPECT_EQ(bytes_of(state), before);
}

TEST(FloatState, NegativeZeros) {
    FloatState state = state_of({-0.0, -0.0});
    expect_value(state.sum_float8(), -0.0);
    expect_value(state.sum_float4(), -0.0);
    expect_value(state.avg(), 0.0);
    expect_value(state.var_pop(), 0.0);
    state.add(0.0, 1);
    expect_value(state.sum_float8(), 0.0);
    state.add(0.0, -1);
    expect_value(state.sum_float8(), -0.0);
    state.add(1.0, 1);
    state.add(-1.0, 1);
    expect_value(state.sum_float8(), 0.0);
}

TEST(FloatState, AChangeOfLooksOnlyIsNotZero) {
    FloatState change(true);
    change.add(-0.0, 1);
    change.add(0.0, -1);
    EXPECT_FALSE(change.is_zero());
    FloatState state = state_of({0.0});
    state.merge(change);
    expect_value(state.sum_float8(), -0.0);
    change.add(-0.0, -1);
    change.add(0.0, 1);
    EXPECT_TRUE(change.is_zero());
}

TEST(FloatState, Overflow) {
    FloatState state = state_of({1e308, 1e308});
    EXPECT_EQ(state.sum_float8().status, FloatStatus::overflow);
    EXPECT_EQ(state.avg().status, FloatStatus::overflow);
    EXPECT_EQ(state.var_pop().status, FloatStatus::overflow);
    EXPECT_EQ(state.stddev_samp().status, FloatStatus::overflow);
    state.add(kInf, 1);
    expect_value(state.sum_float8(), kInf);
    state.add(kInf, -1);
    state.add(1e308, -1);
    expect_value(state.sum_float8(), 1e308);
    expect_value(state.var_pop(), 0.0);
}

TEST(FloatState, OverflowOfDeviationsOnly) {
    // float8_accum raises it for avg as well; a state without squares cannot know and gives the average.
    const FloatState state = state_of({1e200, -1e200});
    expect_value(state.sum_float8(), 0.0);
    EXPECT_EQ(state.var_pop().status, FloatStatus::overflow);
    EXPECT_EQ(state.avg().status, FloatStatus::overflow);
    FloatState without(false);
    without.add(1e200, 1);
    without.add(-1e200, 1);
    expect_value(without.avg(), 0.0);
    // Squares beyond the range of double are no error where the deviations are small.
    const FloatState equal = state_of({1e200, 1e200, 1e200});
    expect_value(equal.var_pop(), 0.0);
    expect_value(equal.avg(), 1e200);
}

TEST(FloatState, Float4OverflowsEarlier) {
    const FloatState state = state_of({3e38f, 3e38f});
    EXPECT_EQ(state.sum_float4().status, FloatStatus::overflow);
    expect_value(state.sum_float8(), static_cast<double>(3e38f) * 2);
    expect_value(state.avg(), 3e38f);
    const FloatState tenths = state_of({0.1f, 0.2f});
    expect_value(tenths.sum_float4(), 0.1f + 0.2f);
}

TEST(FloatState, MergesChanges) {
    std::mt19937_64 random(11);
    const double values[] = {kNaN, kInf, -kInf, -0.0, 0.0, 0.1, -12345.678, 1e308, 5e-324, 1e17, 3.0};
    for (int round = 0; round < 500; round++) {
        const bool with_squares = random() % 2 == 0;
        FloatState direct(with_squares);
        FloatState merged(with_squares);
        for (int statement = 0; statement < 5; statement++) {
            FloatState change(with_squares);
            for (int i = 0; i < 10; i++) {
                const double x = values[random() % std::size(values)];
                const int64_t weight = random() % 2 == 0 ? 1 : -1;
                direct.add(x, weight);
                change.add(x, weight);
            }
            merged.merge(change);
        }
        ASSERT_EQ(bytes_of(merged), bytes_of(direct));
        ASSERT_EQ(merged.is_zero(), bytes_of(merged).size() == 1);
        FloatState copy(!with_squares);
        copy.assign(merged);
        ASSERT_EQ(bytes_of(copy), bytes_of(merged));
    }
}

TEST(FloatState, WithoutSquaresFitsASmallerAllocation) {
    EXPECT_LT(FloatState::allocated_size(false), FloatState::allocated_size(true) / 2);
    auto *state = static_cast<FloatState *>(std::malloc(FloatState::allocated_size(false)));
    state->clear(false);
    state->add(0.1, 3);
    FloatState change(false);
    change.add(0.1, -2);
    state->merge(change);
    change.assign(*state);
    expect_value(change.sum_float8(), 0.1);
    const auto bytes = bytes_of(*state);
    ASSERT_FALSE(FloatState::serialized_with_squares(bytes.data(), bytes.size()));
    EXPECT_TRUE(state->deserialize(bytes.data(), bytes.size()));
    expect_value(state->sum_float4(), static_cast<double>(0.1f));
    std::free(state);
}

TEST(FloatStateSerialized, RoundTrip) {
    EXPECT_EQ(bytes_of(FloatState(false)).size(), 1u);
    EXPECT_LE(bytes_of(state_of({0.1, 12345.678, 99.5})).size(), 40u);
    std::mt19937_64 random(12);
    for (int round = 0; round < 2000; round++) {
        FloatState state(random() % 2 == 0);
        const int count = static_cast<int>(random() % 5);
        for (int i = 0; i < count; i++) {
            const double x = std::bit_cast<double>(random());
            state.add(random() % 2 == 0 ? x : std::round(std::fmod(x, 1000)),
                      static_cast<int64_t>(random()) >> (3 + random() % 61));
        }
        const auto bytes = bytes_of(state);
        ASSERT_LE(bytes.size(), FloatState::kMaxSerializedSize);
        FloatState read(!state.with_squares);
        ASSERT_TRUE(read.deserialize(bytes.data(), bytes.size()));
        ASSERT_EQ(bytes_of(read), bytes);
        ASSERT_EQ(read.n, state.n);
        ASSERT_EQ(read.with_squares, state.with_squares);
        for (size_t size = 0; size < bytes.size(); size++) { // a part is another state or none, never out of bounds
            const std::vector<uint8_t> part(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
            if (read.deserialize(part.data(), part.size()))
                ASSERT_EQ(bytes_of(read), part);
            else
                ASSERT_TRUE(read.is_zero());
        }
    }
}

TEST(FloatStateSerialized, RejectsMalformedInput) {
    const auto accepts = [](std::vector<uint8_t> bytes) {
        FloatState state(true);
        return state.deserialize(bytes.data(), bytes.size());
    };
    EXPECT_TRUE(accepts({0}));
    EXPECT_TRUE(accepts({1}));
    EXPECT_TRUE(accepts({0x42, 2, 3, 0, 0, 1}));          // n = 1, sum = 1
    EXPECT_TRUE(accepts({0xc3, 2, 3, 0, 0, 1, 0, 0, 1})); // the same with squares
    EXPECT_FALSE(accepts({}));
    EXPECT_FALSE(accepts({0, 0}));             // bytes left over
    EXPECT_FALSE(accepts({0x02}));             // no count
    EXPECT_FALSE(accepts({0x02, 0}));          // a zero count is left out
    EXPECT_FALSE(accepts({0x02, 0x82, 0}));    // not the shortest varint
    EXPECT_FALSE(accepts({0x02, 0x80}));       // an unfinished varint
    EXPECT_FALSE(accepts({0x40, 3, 0, 0}));    // sum cut off
    EXPECT_FALSE(accepts({0x40, 3, 0, 0, 0})); // malformed sum
    EXPECT_FALSE(accepts({0x40, 0}));          // a zero sum is left out
    EXPECT_FALSE(accepts({0x80, 0, 0, 1}));    // squares in a state without squares
    EXPECT_FALSE(accepts({0x81}));             // no squares
    EXPECT_FALSE(accepts({0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02})); // beyond 64 bits
    EXPECT_TRUE(accepts({0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}));
}

} // namespace
} // namespace upkeep::delta
