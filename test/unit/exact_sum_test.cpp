#include "delta/exact_sum.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace upkeep::delta {
namespace {

struct Vector {
    const char *name;
    std::vector<std::pair<double, int64_t>> values;
    int64_t n;
    double sum;
    float sum_float;
    double squared_deviations;
    double population_variance;
    double sample_variance;
};

const std::vector<Vector> kVectors = {
#include "exact_sum_vectors.inc"
};

template <typename Accumulator> std::vector<uint8_t> bytes_of(const Accumulator &sum) {
    std::vector<uint8_t> bytes(sum.serialized_size() + 1, 0xAB);
    EXPECT_EQ(sum.serialize(bytes.data()), bytes.size() - 1);
    EXPECT_EQ(bytes.back(), 0xAB);
    bytes.pop_back();
    return bytes;
}

/// Any finite double: every exponent is equally likely, so sums span the whole range.
double any_double(std::mt19937_64 &random) {
    while (true) {
        const double x = std::bit_cast<double>(random());
        if (std::isfinite(x))
            return x;
    }
}

/// Numbers such as applications have, and now and then any number at all.
double likely_double(std::mt19937_64 &random) {
    switch (random() % 4) {
    case 0:
        return any_double(random);
    case 1:
        return std::ldexp(static_cast<double>(static_cast<int64_t>(random()) >> 20),
                          static_cast<int>(random() % 80) - 60);
    default:
        return static_cast<double>(static_cast<int64_t>(random() % 20000001) - 10000000) / 100.0;
    }
}

int64_t likely_weight(std::mt19937_64 &random) {
    switch (random() % 8) {
    case 0:
        return static_cast<int64_t>(random());
    case 1:
        return static_cast<int64_t>(random() % 100) - 50;
    default:
        return random() % 2 == 0 ? 1 : -1;
    }
}

TEST(ExactSum, AgreesWithRationalArithmetic) {
    for (const Vector &vector : kVectors) {
        SCOPED_TRACE(vector.name);
        ExactSum sum;
        ExactSquareSum squares;
        for (const auto &[x, weight] : vector.values) {
            sum.add(x, weight);
            squares.add_square(x, weight);
        }
        EXPECT_EQ(sum.round(), vector.sum);
        EXPECT_EQ(sum.round_to_float(), vector.sum_float);
        if (vector.n > 0) {
            EXPECT_EQ(squared_deviations(sum, squares, vector.n), vector.squared_deviations);
            EXPECT_EQ(population_variance(sum, squares, vector.n), vector.population_variance);
        }
        if (vector.n > 1) {
            EXPECT_EQ(sample_variance(sum, squares, vector.n), vector.sample_variance);
        }
    }
}

TEST(ExactSum, SumsIntegersAsWideIntegersDo) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 2000; round++) {
        ExactSum sum;
        __int128 expected = 0;
        const int scale = static_cast<int>(random() % 1900) - 1000;
        for (int i = 0; i < 40; i++) {
            const int64_t integer = static_cast<int64_t>(random()) >> (11 + random() % 40);
            const int64_t weight = static_cast<int64_t>(random()) >> (10 + random() % 53);
            sum.add(std::ldexp(static_cast<double>(integer), scale), weight);
            expected += static_cast<__int128>(integer) * weight;
        }
        ASSERT_EQ(sum.is_zero(), expected == 0);
        ASSERT_EQ(sum.is_negative(), expected < 0);
        // The compiler's conversion rounds to nearest even; the scale keeps the result a normal number.
        ASSERT_EQ(sum.round(), std::ldexp(static_cast<double>(expected), scale));
        if (std::abs(scale) < 20) {
            ASSERT_EQ(sum.round_to_float(), std::ldexp(static_cast<float>(expected), scale));
        }
    }
}

TEST(ExactSum, RoundsOneNumberToItself) {
    std::mt19937_64 random(2);
    for (int i = 0; i < 20000; i++) {
        const double x = any_double(random);
        ExactSum sum;
        sum.add(x, 1);
        ASSERT_EQ(sum.round(), x);
        ASSERT_EQ(sum.round_to_float(), std::abs(x) > 0x1.fffffefffffffp127
                                            ? std::copysign(INFINITY, static_cast<float>(x))
                                            : static_cast<float>(x));
        ExactSum negative;
        negative.add(x, -1);
        ASSERT_EQ(negative.round(), -x);
    }
}

TEST(ExactSum, ZeroIsPositiveAndEmpty) {
    ExactSum sum;
    EXPECT_TRUE(sum.is_zero());
    EXPECT_FALSE(std::signbit(sum.round()));
    sum.add(-0.0, 1);
    sum.add(-1.5, 1);
    sum.add(7.0, 0);
    EXPECT_TRUE(sum.is_negative());
    sum.add(1.5, 1);
    EXPECT_TRUE(sum.is_zero());
    EXPECT_FALSE(sum.is_negative());
    EXPECT_FALSE(std::signbit(sum.round()));
    EXPECT_EQ(sum.serialized_size(), 0u);
}

/// Adds random values to `sum` and takes all of them out again, in another order and partly in other portions.
template <typename Accumulator, typename Add> void in_and_out(Accumulator &sum, std::mt19937_64 &random, Add add) {
    std::vector<std::pair<double, int64_t>> values;
    for (int i = 0; i < 60; i++) {
        const double x = likely_double(random);
        const int64_t weight = likely_weight(random);
        add(sum, x, weight);
        values.emplace_back(x, static_cast<int64_t>(-static_cast<uint64_t>(weight)));
        if (weight == std::numeric_limits<int64_t>::min()) { // its opposite is no int64
            values.back().second = std::numeric_limits<int64_t>::max();
            values.emplace_back(x, 1);
        }
    }
    std::shuffle(values.begin(), values.end(), random);
    for (const auto &[x, weight] : values)
        add(sum, x, weight);
}

TEST(ExactSum, InAndOutReturnsToTheSameBytes) {
    std::mt19937_64 random(3);
    for (int round = 0; round < 300; round++) {
        ExactSum sum;
        ExactSquareSum squares;
        for (int i = 0; i < 5; i++) {
            const double x = likely_double(random);
            sum.add(x, 1);
            squares.add_square(x, 1);
        }
        const auto sum_bytes = bytes_of(sum);
        const auto squares_bytes = bytes_of(squares);
        in_and_out(sum, random, [](ExactSum &s, double x, int64_t w) { s.add(x, w); });
        in_and_out(squares, random, [](ExactSquareSum &s, double x, int64_t w) { s.add_square(x, w); });
        ASSERT_EQ(bytes_of(sum), sum_bytes);
        ASSERT_EQ(bytes_of(squares), squares_bytes);
    }
}

TEST(ExactSum, OrderAndGroupingDoNotMatter) {
    std::mt19937_64 random(4);
    for (int round = 0; round < 200; round++) {
        std::vector<std::pair<double, int64_t>> values;
        for (int i = 0; i < 50; i++)
            values.emplace_back(likely_double(random), likely_weight(random));
        ExactSum whole;
        ExactSquareSum whole_squares;
        for (const auto &[x, weight] : values) {
            whole.add(x, weight);
            whole_squares.add_square(x, weight);
        }
        std::shuffle(values.begin(), values.end(), random);
        ExactSum parts[4];
        ExactSquareSum square_parts[4];
        for (const auto &[x, weight] : values) {
            const size_t part = random() % 4;
            parts[part].add(x, weight);
            square_parts[part].add_square(x, weight);
        }
        ExactSum merged;
        ExactSquareSum merged_squares;
        for (int i = 0; i < 4; i++) {
            merged.add(parts[i]);
            merged_squares.add(square_parts[i]);
        }
        ASSERT_EQ(bytes_of(merged), bytes_of(whole));
        ASSERT_EQ(bytes_of(merged_squares), bytes_of(whole_squares));
        ASSERT_EQ(merged.round(), whole.round());
    }
}

TEST(ExactSum, WeightIsRepetition) {
    std::mt19937_64 random(5);
    for (int round = 0; round < 200; round++) {
        const double x = any_double(random);
        const int count = static_cast<int>(random() % 100);
        ExactSum once;
        ExactSum repeated;
        ExactSquareSum squares_once;
        ExactSquareSum squares_repeated;
        once.add(x, -count);
        squares_once.add_square(x, count);
        for (int i = 0; i < count; i++) {
            repeated.add(x, -1);
            squares_repeated.add_square(-x, 1);
        }
        ASSERT_EQ(bytes_of(once), bytes_of(repeated));
        ASSERT_EQ(bytes_of(squares_once), bytes_of(squares_repeated));
    }
}

TEST(ExactSum, LargestWeightsHaveRoomToSpare) {
    const double largest = std::numeric_limits<double>::max();
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    ExactSum sum;
    ExactSquareSum squares;
    // 2^62 additions of the largest weight, by doubling.
    sum.add(largest, kMax);
    squares.add_square(largest, kMax);
    for (int i = 0; i < 62; i++) {
        sum.add(sum);
        squares.add(squares);
    }
    EXPECT_EQ(sum.round(), INFINITY);
    EXPECT_FALSE(sum.is_negative());
    EXPECT_FALSE(squares.is_negative());
    EXPECT_EQ(squares.round(), INFINITY);
    ExactSum negative;
    negative.add(largest, -kMax);
    for (int i = 0; i < 62; i++)
        negative.add(negative);
    EXPECT_EQ(negative.round(), -INFINITY);
    negative.add(sum);
    EXPECT_TRUE(negative.is_zero());
}

TEST(ExactSum, CopiesAndMergesWithItself) {
    ExactSum sum;
    sum.add(0.1, 3);
    sum.add(1e200, 1);
    ExactSum assigned;
    assigned.add(5e-324, 1);
    assigned.assign(sum);
    EXPECT_EQ(bytes_of(assigned), bytes_of(sum));
    sum.add(sum);
    assigned.add(0.1, 3);
    assigned.add(1e200, 1);
    EXPECT_EQ(bytes_of(assigned), bytes_of(sum));
    sum.clear();
    EXPECT_TRUE(sum.is_zero());
    assigned.assign(sum);
    EXPECT_TRUE(assigned.is_zero());
}

TEST(ExactSum, VarianceOfInconsistentSumsIsZero) {
    ExactSum sum;
    ExactSquareSum squares;
    sum.add(3.0, 1);
    EXPECT_EQ(population_variance(sum, squares, 1), 0.0);
    squares.add_square(2.0, 1);
    EXPECT_EQ(population_variance(sum, squares, 1), 0.0);
    squares.add_square(5.0, -1);
    EXPECT_EQ(sample_variance(sum, squares, 2), 0.0);
}

// ---- serialized form ----

TEST(ExactSumSerialized, RoundTripIsCanonicalAndWorksOn) {
    std::mt19937_64 random(6);
    for (int round = 0; round < 3000; round++) {
        ExactSum sum;
        ExactSquareSum squares;
        const int count = static_cast<int>(random() % 6);
        for (int i = 0; i < count; i++) {
            const double x = likely_double(random);
            const int64_t weight = likely_weight(random);
            sum.add(x, weight);
            squares.add_square(x, weight);
        }
        const auto bytes = bytes_of(sum);
        const auto square_bytes = bytes_of(squares);
        ASSERT_LE(bytes.size(), ExactSum::kMaxSerializedSize);
        ExactSum read;
        read.add(1e300, 1); // is overwritten
        ExactSquareSum squares_read;
        ASSERT_TRUE(read.deserialize(bytes.data(), bytes.size()));
        ASSERT_TRUE(squares_read.deserialize(square_bytes.data(), square_bytes.size()));
        ASSERT_EQ(bytes_of(read), bytes);
        ASSERT_EQ(bytes_of(squares_read), square_bytes);
        ASSERT_EQ(read.round(), sum.round());
        ASSERT_EQ(read.is_negative(), sum.is_negative() && !sum.is_zero());
        const double x = likely_double(random);
        sum.add(x, -1);
        read.add(x, -1);
        ASSERT_EQ(bytes_of(read), bytes_of(sum));
    }
}

TEST(ExactSumSerialized, EverydaySumsAreSmall) {
    std::mt19937_64 random(7);
    ExactSum sum;
    ExactSquareSum squares;
    for (int i = 0; i < 100000; i++) {
        const double x = static_cast<double>(random() % 100000000) / 1000.0;
        sum.add(x, 1);
        squares.add_square(x, 1);
    }
    EXPECT_LE(sum.serialized_size(), 20u);
    EXPECT_LE(squares.serialized_size(), 30u);
    ExactSum tenth;
    tenth.add(0.1, 1);
    EXPECT_LE(tenth.serialized_size(), 10u);
}

TEST(ExactSumSerialized, HasStableBytes) {
    const auto bytes_of_one = [](double x) {
        ExactSum sum;
        sum.add(x, 1);
        return bytes_of(sum);
    };
    using Bytes = std::vector<uint8_t>;
    EXPECT_EQ(bytes_of_one(1.0), (Bytes{0x00, 0x00, 0x01}));
    EXPECT_EQ(bytes_of_one(-1.0), (Bytes{0x00, 0x00, 0xff}));
    EXPECT_EQ(bytes_of_one(128.0), (Bytes{0x00, 0x00, 0x80, 0x00}));
    EXPECT_EQ(bytes_of_one(-128.0), (Bytes{0x00, 0x00, 0x80}));
    EXPECT_EQ(bytes_of_one(256.0), (Bytes{0x01, 0x00, 0x01}));
    EXPECT_EQ(bytes_of_one(-0.5), (Bytes{0xff, 0xff, 0x80}));
    EXPECT_EQ(bytes_of_one(0x1p63), (Bytes{0x07, 0x00, 0x80, 0x00}));
    EXPECT_EQ(bytes_of_one(5e-324), (Bytes{0x79, 0xff, 0x40}));
}

TEST(ExactSumSerialized, RejectsMalformedInput) {
    const auto accepts = [](std::vector<uint8_t> bytes) {
        ExactSum sum;
        const bool accepted = sum.deserialize(bytes.data(), bytes.size());
        EXPECT_TRUE(accepted || sum.is_zero());
        return accepted;
    };
    EXPECT_TRUE(accepts({}));
    EXPECT_TRUE(accepts({0, 0, 1}));
    EXPECT_FALSE(accepts({0}));
    EXPECT_FALSE(accepts({0, 0}));
    EXPECT_FALSE(accepts({0, 0, 0}));          // zero has no bytes
    EXPECT_FALSE(accepts({0, 0, 0, 1}));       // lowest byte is filling
    EXPECT_FALSE(accepts({0, 0, 1, 0}));       // highest byte is filling
    EXPECT_FALSE(accepts({0, 0, 0xfe, 0xff})); // the same of a negative number
    EXPECT_TRUE(accepts({0, 0, 0x80, 0}));
    EXPECT_TRUE(accepts({0, 0, 0x7f, 0xff}));
    EXPECT_TRUE(accepts({0x78, 0xff, 1}));  // byte −136 is the lowest of limb −17
    EXPECT_FALSE(accepts({0x77, 0xff, 1})); // below every double
    EXPECT_TRUE(accepts({143, 0, 1}));      // the highest byte of limb 17
    EXPECT_FALSE(accepts({143, 0, 1, 1}));
    EXPECT_FALSE(accepts({144, 0, 1}));
    EXPECT_FALSE(accepts({0xff, 0x7f, 1}));
    EXPECT_FALSE(accepts({0x00, 0x80, 1}));
    EXPECT_FALSE(accepts(std::vector<uint8_t>(ExactSum::kMaxSerializedSize + 1, 1)));
}

TEST(ExactSumSerialized, AcceptsOnlyWhatItWouldWrite) {
    std::mt19937_64 random(8);
    int accepted = 0;
    for (int round = 0; round < 100000; round++) {
        std::vector<uint8_t> bytes(random() % 24);
        for (uint8_t &byte : bytes)
            byte = random() % 3 == 0 ? (random() % 2 == 0 ? 0x00 : 0xff) : static_cast<uint8_t>(random());
        if (bytes.size() > 1 && random() % 4 != 0)
            bytes[1] = random() % 2 == 0 ? 0x00 : 0xff;
        ExactSum sum;
        if (sum.deserialize(bytes.data(), bytes.size())) {
            accepted++;
            ASSERT_EQ(bytes_of(sum), bytes);
            sum.add(-1.7976931348623157e308, 1);
            sum.add(5e-324, 1);
            sum.round();
        }
    }
    EXPECT_GT(accepted, 10000);
}

} // namespace
} // namespace upkeep::delta
