#include "delta/exact_sum.hpp"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <limits>

#ifdef POSTGRES_H
#error "src/delta must not depend on the server's headers"
#endif

namespace upkeep::delta {

namespace {

using uint128 = unsigned __int128;

/// |x| = significand · 2^exponent, of a finite double.
struct Decomposed {
    uint64_t significand;
    int exponent;
    bool negative;
};

Decomposed decompose(double x) {
    const uint64_t bits = std::bit_cast<uint64_t>(x);
    const int biased = static_cast<int>(bits >> 52 & 0x7ff);
    const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
    if (biased == 0)
        return {fraction, -1074, (bits >> 63) != 0};
    return {fraction | uint64_t{1} << 52, biased - 1075, (bits >> 63) != 0};
}

uint64_t absolute(int64_t weight) {
    return weight < 0 ? uint64_t{0} - static_cast<uint64_t>(weight) : static_cast<uint64_t>(weight);
}

uint64_t sign_limb(uint64_t limb) {
    return (limb >> 63) != 0 ? ~uint64_t{0} : 0;
}

void negate(uint64_t *limbs, int size) {
    uint64_t carry = 1;
    for (int i = 0; i < size; i++) {
        limbs[i] = ~limbs[i] + carry;
        carry = carry & static_cast<uint64_t>(limbs[i] == 0);
    }
}

/// Shifts upward by less than 64 bits; what leaves the top limb must be zero.
void shift_up(uint64_t *limbs, int size, int shift) {
    if (shift == 0)
        return;
    for (int i = size - 1; i > 0; i--)
        limbs[i] = limbs[i] << shift | limbs[i - 1] >> (64 - shift);
    limbs[0] <<= shift;
}

} // namespace

/// Takes the limbs [first, end) into use, keeping the value.
template <int kFirstLimb, int kEndLimb> void ExactAccumulator<kFirstLimb, kEndLimb>::cover(int first, int end) {
    if (first_ == end_) {
        first_ = static_cast<int16_t>(first);
        end_ = static_cast<int16_t>(end);
        std::fill(&limb(first), &limb(first) + (end - first), 0);
        return;
    }
    while (first_ > first)
        limb(--first_) = 0;
    if (end_ < end) {
        const uint64_t fill = sign_limb(limb(end_ - 1));
        while (end_ < end)
            limb(end_++) = fill;
    }
}

/// Adds a two's complement number of size > 0 limbs whose lowest limb is at the given position.
template <int kFirstLimb, int kEndLimb>
void ExactAccumulator<kFirstLimb, kEndLimb>::add_limbs(int position, const uint64_t *addend, int size) {
    const int addend_end = position + size;
    cover(position, addend_end);
    const uint64_t old_top = limb(end_ - 1);
    const uint64_t extension = sign_limb(addend[size - 1]);

    uint64_t carry = 0;
    for (int i = 0; i < size; i++) {
        uint64_t &target = limb(position + i);
        const uint128 sum = static_cast<uint128>(target) + addend[i] + carry;
        target = static_cast<uint64_t>(sum);
        carry = static_cast<uint64_t>(sum >> 64);
    }
    // Above the addend its sign extension is added; a positive one without carry, or a negative one with carry, adds
    // zero.
    for (int i = addend_end; i < end_ && carry != (extension & 1); i++) {
        uint64_t &target = limb(i);
        const uint128 sum = static_cast<uint128>(target) + extension + carry;
        target = static_cast<uint64_t>(sum);
        carry = static_cast<uint64_t>(sum >> 64);
    }
    // Two numbers of one sign whose sum has the other sign: the true sign needs one more limb. Cannot happen in the
    // last limb, which has room for 2^63 additions of the largest value; the bound keeps memory safe all the same.
    if (sign_limb(old_top) == extension && sign_limb(limb(end_ - 1)) != extension && end_ < kEndLimb)
        limb(end_++) = extension;
}

template <int kFirstLimb, int kEndLimb> void ExactAccumulator<kFirstLimb, kEndLimb>::add(double x, int64_t weight) {
    const Decomposed d = decompose(x);
    if (d.significand == 0 || weight == 0)
        return;
    const int position = d.exponent >> 6;
    const int shift = d.exponent & 63;
    const bool negative = d.negative != (weight < 0);

    if (weight == 1 || weight == -1) { // 53 bits shifted by at most 63: two limbs hold them and the sign
        uint128 value = static_cast<uint128>(d.significand) << shift;
        if (negative)
            value = -value;
        const uint64_t addend[2] = {static_cast<uint64_t>(value), static_cast<uint64_t>(value >> 64)};
        add_limbs(position, addend, 2);
        return;
    }
    const uint128 product = static_cast<uint128>(d.significand) * absolute(weight);
    uint64_t addend[3] = {static_cast<uint64_t>(product), static_cast<uint64_t>(product >> 64), 0};
    shift_up(addend, 3, shift);
    if (negative)
        negate(addend, 3);
    add_limbs(position, addend, 3);
}

template <int kFirstLimb, int kEndLimb>
void ExactAccumulator<kFirstLimb, kEndLimb>::add_square(double x,
                                                        int64_t weight) requires(kFirstLimb <= -34 && kEndLimb >= 34) {
    const Decomposed d = decompose(x);
    if (d.significand == 0 || weight == 0)
        return;
    const int exponent = 2 * d.exponent;
    const uint64_t factor = absolute(weight);
    const uint128 square = static_cast<uint128>(d.significand) * d.significand;
    const uint128 low = static_cast<uint128>(static_cast<uint64_t>(square)) * factor;
    const uint128 high =
        static_cast<uint128>(static_cast<uint64_t>(square >> 64)) * factor + static_cast<uint64_t>(low >> 64);
    uint64_t addend[4] = {static_cast<uint64_t>(low), static_cast<uint64_t>(high), static_cast<uint64_t>(high >> 64),
                          0};
    const int size = factor == 1 ? 3 : 4; // 106 bits, or 170 with a weight, shifted by at most 63
    shift_up(addend, size, exponent & 63);
    if (weight < 0)
        negate(addend, size);
    add_limbs(exponent >> 6, addend, size);
}

template <int kFirstLimb, int kEndLimb>
void ExactAccumulator<kFirstLimb, kEndLimb>::add(const ExactAccumulator &other) {
    if (&other == this) {
        const ExactAccumulator copy = other;
        add(copy);
        return;
    }
    int first;
    int end;
    other.trim(first, end);
    if (first < end)
        add_limbs(first, other.limbs_ + (first - kFirstLimb), end - first);
}

template <int kFirstLimb, int kEndLimb>
void ExactAccumulator<kFirstLimb, kEndLimb>::assign(const ExactAccumulator &other) {
    first_ = other.first_;
    end_ = other.end_;
    if (first_ < end_)
        std::copy_n(other.limbs_ + (first_ - kFirstLimb), end_ - first_, limbs_ + (first_ - kFirstLimb));
}

/// The limbs without filling: the lowest is not zero, and the top one is more than the sign of the one below.
template <int kFirstLimb, int kEndLimb> void ExactAccumulator<kFirstLimb, kEndLimb>::trim(int &first, int &end) const {
    first = first_;
    end = end_;
    while (first < end && limb(first) == 0)
        first++;
    while (end - first > 1 && limb(end - 1) == sign_limb(limb(end - 2)))
        end--;
}

template <int kFirstLimb, int kEndLimb> bool ExactAccumulator<kFirstLimb, kEndLimb>::is_zero() const {
    for (int i = first_; i < end_; i++)
        if (limb(i) != 0)
            return false;
    return true;
}

template <int kFirstLimb, int kEndLimb> Magnitude ExactAccumulator<kFirstLimb, kEndLimb>::magnitude() const {
    static_assert(kEndLimb - kFirstLimb <= Magnitude::kCapacity);
    Magnitude result;
    int first;
    int end;
    trim(first, end);
    result.first = first;
    result.size = end - first;
    if (first < end) {
        std::copy_n(limbs_ + (first - kFirstLimb), end - first, result.limbs);
        if (is_negative())
            negate(result.limbs, result.size);
        result.trim();
    }
    return result;
}

template <int kFirstLimb, int kEndLimb> double ExactAccumulator<kFirstLimb, kEndLimb>::round() const {
    const double value = round_magnitude(magnitude(), false, kDoubleFormat);
    return is_negative() ? -value : value;
}

template <int kFirstLimb, int kEndLimb> float ExactAccumulator<kFirstLimb, kEndLimb>::round_to_float() const {
    const double value = round_magnitude(magnitude(), false, kFloatFormat);
    const float rounded =
        value > static_cast<double>(FLT_MAX) ? std::numeric_limits<float>::infinity() : static_cast<float>(value);
    return is_negative() ? -rounded : rounded;
}

namespace {

/// Bytes of a top limb that are more than repetitions of its sign; at least one.
int significant_bytes(uint64_t top) {
    return (64 - __builtin_clrsbll(static_cast<long long>(top)) + 7) / 8;
}

} // namespace

template <int kFirstLimb, int kEndLimb> size_t ExactAccumulator<kFirstLimb, kEndLimb>::serialized_size() const {
    int first;
    int end;
    trim(first, end);
    if (first == end)
        return 0;
    const int skipped = std::countr_zero(limb(first)) / 8;
    return static_cast<size_t>(2 + 8 * (end - 1 - first) - skipped + significant_bytes(limb(end - 1)));
}

template <int kFirstLimb, int kEndLimb> size_t ExactAccumulator<kFirstLimb, kEndLimb>::serialize(uint8_t *out) const {
    int first;
    int end;
    trim(first, end);
    if (first == end)
        return 0;
    const int lowest = 8 * first + std::countr_zero(limb(first)) / 8;
    const int highest = 8 * (end - 1) + significant_bytes(limb(end - 1));
    const auto exponent = static_cast<uint16_t>(static_cast<int16_t>(lowest));
    *out++ = static_cast<uint8_t>(exponent & 0xff);
    *out++ = static_cast<uint8_t>(exponent >> 8);
    for (int i = lowest; i < highest; i++) // i >> 3 and i & 7 round downward, also below zero
        *out++ = static_cast<uint8_t>(limb(i >> 3) >> (8 * (i & 7)));
    return static_cast<size_t>(2 + highest - lowest);
}

template <int kFirstLimb, int kEndLimb>
bool ExactAccumulator<kFirstLimb, kEndLimb>::deserialize(const uint8_t *in, size_t size) {
    clear();
    if (size == 0)
        return true;
    if (size < 3 || size > kMaxSerializedSize)
        return false;
    const int lowest = static_cast<int16_t>(static_cast<uint16_t>(in[0] | in[1] << 8));
    const uint8_t *bytes = in + 2;
    const int count = static_cast<int>(size) - 2;
    if (lowest < 8 * kFirstLimb || lowest + count > 8 * kEndLimb)
        return false;
    const bool negative = (bytes[count - 1] & 0x80) != 0;
    const int filling = negative ? 0xff : 0x00;
    if (bytes[0] == 0)
        return false;
    if (count > 1 && bytes[count - 1] == filling && ((bytes[count - 2] & 0x80) != 0) == negative)
        return false;

    cover(lowest >> 3, (lowest + count + 7) >> 3);
    for (int i = 0; i < count; i++)
        limb((lowest + i) >> 3) |= static_cast<uint64_t>(bytes[i]) << (8 * ((lowest + i) & 7));
    const int used = (lowest + count) & 7;
    if (negative && used != 0)
        limb(end_ - 1) |= ~uint64_t{0} << (8 * used);
    return true;
}

template class ExactAccumulator<-17, 18>;
template class ExactAccumulator<-34, 34>;

namespace {

/// (n · Σx² − (Σx)²) / (divisor · other_divisor), rounded once.
double divided_spread(const ExactSum &sum, const ExactSquareSum &squares, int64_t n, int64_t divisor,
                      int64_t other_divisor) {
    if (squares.is_negative())
        return 0.0;
    Magnitude spread =
        subtract_or_zero(multiply(squares.magnitude(), static_cast<uint64_t>(n)), square(sum.magnitude()));
    if (spread.is_zero())
        return 0.0;
    // 193 bits or more, divided by at most 2^126: 64 remain, enough for one rounding.
    extend_below(spread, 3);
    bool has_fraction = divide_floor(spread, static_cast<uint64_t>(divisor));
    if (other_divisor != 1)
        has_fraction |= divide_floor(spread, static_cast<uint64_t>(other_divisor));
    return round_magnitude(spread, has_fraction, kDoubleFormat);
}

} // namespace

double squared_deviations(const ExactSum &sum, const ExactSquareSum &squares, int64_t n) {
    return divided_spread(sum, squares, n, n, 1);
}

double population_variance(const ExactSum &sum, const ExactSquareSum &squares, int64_t n) {
    return divided_spread(sum, squares, n, n, n);
}

double sample_variance(const ExactSum &sum, const ExactSquareSum &squares, int64_t n) {
    return divided_spread(sum, squares, n, n, n - 1);
}

} // namespace upkeep::delta
