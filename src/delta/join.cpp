#include "delta/join.hpp"

namespace upkeep::delta {

bool has_phantoms(InputSet changed) {
    return algebra::size(changed) >= 2;
}

bool evaluates_in_term(const algebra::Qual &qual, InputSet changed) {
    return !has_phantoms(changed) || evaluates_in_every_term(qual);
}

bool evaluates_in_every_term(const algebra::Qual &qual) {
    return qual.infallible || qual.apart || algebra::size(qual.inputs) <= 1;
}

} // namespace upkeep::delta
