#pragma once

#include <cstddef>
#include <cstdint>

#include "delta/magnitude.hpp"

namespace upkeep::delta {

/// An exact sum of weighted doubles, or of weighted squares of doubles: one big two's complement number wide enough for
/// every finite input, so nothing is ever rounded before the end. Hence the result does not depend on the order of the
/// additions, and what was added and taken out again leaves no trace. (Compensated summation does not have this
/// property.)
///
/// The number has limbs of 64 bits at the positions kFirstLimb … kEndLimb − 1, limb i weighing 2^(64·i); only the limbs
/// between the lowest and the highest ever touched are initialized, read or written, so an empty one costs nothing to
/// make. The top limb in use carries the sign. Trivially copyable; holds no pointer.
template <int kFirstLimb, int kEndLimb> class ExactAccumulator {
  public:
    /// The longest serialized form, in bytes.
    static constexpr size_t kMaxSerializedSize = 2 + 8 * (kEndLimb - kFirstLimb);

    ExactAccumulator() : first_(0), end_(0) {}

    void clear() { first_ = end_ = 0; }

    /// Adds weight · x exactly; x must be finite. The capacity suffices for 2^63 additions of any weight.
    void add(double x, int64_t weight);

    /// Adds weight · x² exactly; x must be finite.
    void add_square(double x, int64_t weight) requires(kFirstLimb <= -34 && kEndLimb >= 34);

    /// Adds the other sum exactly.
    void add(const ExactAccumulator &other);

    /// Becomes the other sum; copies only what is in use.
    void assign(const ExactAccumulator &other);

    bool is_zero() const;
    bool is_negative() const { return first_ < end_ && (limb(end_ - 1) >> 63) != 0; }

    /// The sum rounded once to the nearest double, ties to even; ±infinity beyond its range; zero is positive.
    double round() const;

    /// The sum rounded once to the nearest float (not by way of double); ±infinity beyond its range.
    float round_to_float() const;

    /// The absolute value.
    Magnitude magnitude() const;

    /// The serialized form is canonical (equal sums have equal bytes) and independent of the machine: zero is no byte
    /// at all; else the exponent in bytes of the lowest byte (16 bits), then the two's complement bytes without leading
    /// or trailing filling, both little-endian. Sums of everyday numbers take about a dozen bytes.
    size_t serialized_size() const;

    /// Writes serialized_size() bytes and returns that number.
    size_t serialize(uint8_t *out) const;

    /// Reads a serialized form of exactly `size` bytes. False, leaving the sum zero, if it is not one that serialize
    /// writes.
    bool deserialize(const uint8_t *in, size_t size);

  private:
    uint64_t &limb(int position) { return limbs_[position - kFirstLimb]; }
    uint64_t limb(int position) const { return limbs_[position - kFirstLimb]; }

    void cover(int first, int end);
    void add_limbs(int position, const uint64_t *addend, int size);
    void trim(int &first, int &end) const;

    int16_t first_; // the limbs in use: [first_, end_); empty means zero
    int16_t end_;
    uint64_t limbs_[kEndLimb - kFirstLimb];
};

/// A sum of doubles. Range 2^-1074 … 2^1024, times 2^126 for weights and their number, and a sign: limbs −17 … 17.
using ExactSum = ExactAccumulator<-17, 18>;
/// A sum of squares of doubles. Range 2^-2148 … 2^2048, times 2^126, and a sign: limbs −34 … 33.
using ExactSquareSum = ExactAccumulator<-34, 34>;

extern template class ExactAccumulator<-17, 18>;
extern template class ExactAccumulator<-34, 34>;

/// Σ(x − mean)² = (n · Σx² − (Σx)²) / n of n > 0 values, computed exactly and rounded once to double; infinite beyond
/// its range; zero where the sums do not belong together and the difference is negative.
double squared_deviations(const ExactSum &sum, const ExactSquareSum &squares, int64_t n);

/// Population variance, (n · Σx² − (Σx)²) / n² of n > 0 values, rounded once.
double population_variance(const ExactSum &sum, const ExactSquareSum &squares, int64_t n);

/// Sample variance, (n · Σx² − (Σx)²) / (n · (n − 1)) of n > 1 values, rounded once.
double sample_variance(const ExactSum &sum, const ExactSquareSum &squares, int64_t n);

} // namespace upkeep::delta
