#include "delta/float_state.hpp"

#include <cmath>
#include <initializer_list>
#include <limits>

#ifdef POSTGRES_H
#error "src/delta must not depend on the server's headers"
#endif

namespace upkeep::delta {

namespace {

constexpr FloatResult kNull{FloatStatus::null, 0.0};
constexpr FloatResult kOverflow{FloatStatus::overflow, 0.0};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

FloatResult finite_or_overflow(double value) {
    return std::isinf(value) ? kOverflow : FloatResult{FloatStatus::value, value};
}

FloatResult square_root(FloatResult variance) {
    if (variance.status == FloatStatus::value)
        variance.value = std::sqrt(variance.value);
    return variance;
}

} // namespace

size_t FloatState::allocated_size(bool with_squares) {
    return with_squares ? sizeof(FloatState) : offsetof(FloatState, squares);
}

void FloatState::clear(bool keeps_squares) {
    n = nan = pinf = ninf = negzero = 0;
    with_squares = keeps_squares;
    sum.clear();
    if (with_squares)
        squares.clear();
}

void FloatState::assign(const FloatState &other) {
    n = other.n;
    nan = other.nan;
    pinf = other.pinf;
    ninf = other.ninf;
    negzero = other.negzero;
    with_squares = other.with_squares;
    sum.assign(other.sum);
    if (with_squares)
        squares.assign(other.squares);
}

void FloatState::add(double x, int64_t weight) {
    n += weight;
    if (std::isnan(x)) {
        nan += weight;
    } else if (std::isinf(x)) {
        (x > 0 ? pinf : ninf) += weight;
    } else if (x == 0) {
        if (std::signbit(x))
            negzero += weight;
    } else {
        sum.add(x, weight);
        if (with_squares)
            squares.add_square(x, weight);
    }
}

void FloatState::merge(const FloatState &other) {
    n += other.n;
    nan += other.nan;
    pinf += other.pinf;
    ninf += other.ninf;
    negzero += other.negzero;
    sum.add(other.sum);
    if (with_squares && other.with_squares)
        squares.add(other.squares);
}

bool FloatState::is_zero() const {
    return n == 0 && !has_specials() && negzero == 0 && sum.is_zero() && (!with_squares || squares.is_zero());
}

/// The sum of values among which there is a NaN or an infinity.
double FloatState::special_sum() const {
    if (nan != 0)
        return kNaN;
    if (pinf != 0 && ninf != 0) {
        // Added at run time as the server adds them: the sign bit of the NaN is then that of this machine.
        const volatile double positive = kInfinity;
        const volatile double negative = -kInfinity;
        return positive + negative;
    }
    return pinf != 0 ? kInfinity : -kInfinity;
}

FloatResult FloatState::sum_float8() const {
    if (n <= 0)
        return kNull;
    if (has_specials())
        return {FloatStatus::value, special_sum()};
    if (negzero == n)
        return {FloatStatus::value, -0.0};
    return finite_or_overflow(sum.round());
}

FloatResult FloatState::sum_float4() const {
    if (n <= 0)
        return kNull;
    if (has_specials())
        return {FloatStatus::value, special_sum()};
    if (negzero == n)
        return {FloatStatus::value, -0.0};
    return finite_or_overflow(static_cast<double>(sum.round_to_float()));
}

FloatResult FloatState::avg() const {
    if (n <= 0)
        return kNull;
    if (has_specials())
        return {FloatStatus::value, special_sum()};
    if (is_overflow())
        return kOverflow;
    // The rounded sum divided, as float8_avg does it, rather than the exact quotient rounded: wherever PostgreSQL's own
    // sum is the nearest one, its average is this one. Its sum starts from a positive zero, so negative zeros do not
    // show.
    return {FloatStatus::value, sum.round() / static_cast<double>(n)};
}

/// Whether float8_accum raises an error for these finite values: it accumulates the sum and the sum of squared
/// deviations.
bool FloatState::is_overflow() const {
    if (std::isinf(sum.round()))
        return true;
    // Σ(x − mean)² ≤ Σx², so nearly always the second need not be computed.
    return with_squares && std::isinf(squares.round()) && std::isinf(squared_deviations(sum, squares, n));
}

FloatResult FloatState::var_pop() const {
    if (n <= 0)
        return kNull;
    if (has_specials())
        return {FloatStatus::value, kNaN};
    if (is_overflow())
        return kOverflow;
    return {FloatStatus::value, population_variance(sum, squares, n)};
}

FloatResult FloatState::var_samp() const {
    if (n <= 1)
        return kNull;
    if (has_specials())
        return {FloatStatus::value, kNaN};
    if (is_overflow())
        return kOverflow;
    return {FloatStatus::value, sample_variance(sum, squares, n)};
}

FloatResult FloatState::stddev_pop() const {
    return square_root(var_pop());
}

FloatResult FloatState::stddev_samp() const {
    return square_root(var_samp());
}

// ---- serialized form ----

namespace {

constexpr uint8_t kHasSquares = 1; // bit 0; bits 1 … 5: the counts that are not zero
constexpr uint8_t kSumFollows = 1 << 6;
constexpr uint8_t kSquaresFollow = 1 << 7;

uint64_t zigzag(int64_t value) {
    return static_cast<uint64_t>(value) << 1 ^ (value < 0 ? ~uint64_t{0} : 0);
}

int64_t unzigzag(uint64_t value) {
    return static_cast<int64_t>(value >> 1 ^ ((value & 1) != 0 ? ~uint64_t{0} : 0));
}

size_t varint_size(uint64_t value) {
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

uint8_t *write_varint(uint8_t *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *out++ = static_cast<uint8_t>(value | 0x80);
    *out++ = static_cast<uint8_t>(value);
    return out;
}

/// Bytes not yet read; `failed` once they did not hold what was asked for.
struct Reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed = false;

    size_t left() const { return static_cast<size_t>(end - next); }

    /// A varint in its shortest form that is not zero, else zero and `failed`.
    uint64_t nonzero_varint() {
        uint64_t value = 0;
        for (int shift = 0; shift < 64 && next < end; shift += 7) {
            const uint8_t byte = *next++;
            if (shift == 63 && byte > 1)
                break;
            value |= static_cast<uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) {
                if (byte == 0)
                    break;
                return value;
            }
        }
        failed = true;
        return 0;
    }
};

} // namespace

size_t FloatState::serialized_size() const {
    size_t size = 1;
    for (const int64_t count : {n, nan, pinf, ninf, negzero})
        if (count != 0)
            size += varint_size(zigzag(count));
    const size_t sum_size = sum.serialized_size();
    if (sum_size != 0)
        size += varint_size(sum_size) + sum_size;
    return with_squares ? size + squares.serialized_size() : size;
}

size_t FloatState::serialize(uint8_t *out) const {
    uint8_t *next = out + 1;
    uint8_t content = with_squares ? kHasSquares : 0;
    int bit = 1;
    for (const int64_t count : {n, nan, pinf, ninf, negzero}) {
        if (count != 0) {
            content |= static_cast<uint8_t>(1 << bit);
            next = write_varint(next, zigzag(count));
        }
        bit++;
    }
    const size_t sum_size = sum.serialized_size();
    if (sum_size != 0) {
        content |= kSumFollows;
        next = write_varint(next, sum_size);
        next += sum.serialize(next);
    }
    if (with_squares) {
        const size_t squares_size = squares.serialize(next);
        if (squares_size != 0)
            content |= kSquaresFollow;
        next += squares_size;
    }
    out[0] = content;
    return static_cast<size_t>(next - out);
}

bool FloatState::deserialize(const uint8_t *in, size_t size) {
    const bool has_squares = serialized_with_squares(in, size);
    clear(has_squares);
    if (size == 0 || ((in[0] & kSquaresFollow) != 0 && !has_squares))
        return false;
    Reader reader{in + 1, in + size};
    int bit = 1;
    for (int64_t *count : {&n, &nan, &pinf, &ninf, &negzero}) {
        if ((in[0] & 1 << bit) != 0)
            *count = unzigzag(reader.nonzero_varint());
        bit++;
    }
    if ((in[0] & kSumFollows) != 0) {
        const uint64_t sum_size = reader.nonzero_varint();
        if (!reader.failed && (sum_size > reader.left() || !sum.deserialize(reader.next, sum_size)))
            reader.failed = true;
        if (!reader.failed)
            reader.next += sum_size;
    }
    if (!reader.failed && (in[0] & kSquaresFollow) != 0) {
        if (reader.left() == 0 || !squares.deserialize(reader.next, reader.left()))
            reader.failed = true;
        reader.next = reader.end;
    }
    if (reader.failed || reader.left() != 0) {
        clear(has_squares);
        return false;
    }
    return true;
}

} // namespace upkeep::delta
