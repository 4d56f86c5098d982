#pragma once

#include <cstddef>
#include <cstdint>

#include "delta/exact_sum.hpp"

namespace upkeep::delta {

enum class FloatStatus : uint8_t {
    value,
    null,
    /// PostgreSQL raises 22003 "value out of range: overflow".
    overflow,
};

/// A result as PostgreSQL would show it; `value` is meaningful only with FloatStatus::value.
struct FloatResult {
    FloatStatus status;
    double value;
};

/// The state of sum, avg, variance and stddev over float4 or float8 values, maintained exactly: what was added and
/// taken out again leaves no trace, and the order of changes does not matter.
///
/// NaN, infinities and negative zeros are counted apart, so they can leave as well. A state may also be a change to a
/// state (all counts may be negative) that is merged later.
///
/// Results follow PostgreSQL's float.c. Where that depends on the order of the values (rounding; overflow of a partial
/// sum; whether an infinity came before an overflow) the result is the one of the exact sum: rounded once, an overflow
/// only if the whole sum or the whole sum of squared deviations is out of range, no overflow if a NaN or an infinity is
/// present.
struct FloatState {
    /// non-null values, with NaN, infinities and zeros
    int64_t n;
    int64_t nan;
    int64_t pinf;
    int64_t ninf;
    int64_t negzero;
    /// Squares are kept, as variance and stddev need them. Without them those results must not be asked for.
    bool with_squares;
    ExactSum sum;
    /// The last member: not touched unless with_squares, see allocated_size.
    ExactSquareSum squares;

    explicit FloatState(bool keeps_squares) { clear(keeps_squares); }

    /// Bytes of memory that a state needs: one without squares may live in a smaller allocation (initialized by clear),
    /// and then must be copied with assign only.
    static size_t allocated_size(bool with_squares);

    /// Becomes the state of no values.
    void clear(bool keeps_squares);

    /// Becomes the other state.
    void assign(const FloatState &other);

    /// Adds the value x (a float4 is given as the double that it is) with a weight: +1 for a row in, −1 for a row out.
    void add(double x, int64_t weight);

    /// Adds another state, or a change. Both must agree in with_squares.
    void merge(const FloatState &other);

    /// The state of no values: every count and every sum is zero.
    bool is_zero() const;

    /// sum(float8)
    FloatResult sum_float8() const;
    /// sum(float4): the value is that of a float.
    FloatResult sum_float4() const;
    /// avg(float4), avg(float8). PostgreSQL's also overflows where the variance does; here only if squares are kept.
    FloatResult avg() const;
    FloatResult var_pop() const;
    FloatResult var_samp() const;
    FloatResult stddev_pop() const;
    FloatResult stddev_samp() const;

    /// The longest serialized form, in bytes.
    static constexpr size_t kMaxSerializedSize =
        1 + 5 * 10 + 2 + ExactSum::kMaxSerializedSize + ExactSquareSum::kMaxSerializedSize;

    /// The serialized form is canonical and independent of the machine: a byte that says what follows, the counts that
    /// are not zero as zigzag varints, then the sums that are not zero.
    size_t serialized_size() const;

    /// Writes serialized_size() bytes and returns that number.
    size_t serialize(uint8_t *out) const;

    /// Reads a serialized form of exactly `size` bytes. False, leaving a state of no values, if serialize writes no
    /// such bytes. with_squares is part of the form; a state in an allocation without room for squares must not read
    /// one that has them (see serialized_with_squares).
    bool deserialize(const uint8_t *in, size_t size);

    /// Whether a serialized form is of a state with squares.
    static bool serialized_with_squares(const uint8_t *in, size_t size) { return size > 0 && (in[0] & 1) != 0; }

  private:
    bool has_specials() const { return nan != 0 || pinf != 0 || ninf != 0; }
    double special_sum() const;
    bool is_overflow() const;
};

} // namespace upkeep::delta
