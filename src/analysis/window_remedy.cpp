#include "analysis/window_remedy.hpp"

#include "analysis/settle_internal.hpp"

namespace upkeep::analysis {
namespace {

struct Frame {
    int options;
    bool ordered;

    bool rows() const { return options & FRAMEOPTION_ROWS; }
    bool from_first() const {
        return (options & FRAMEOPTION_START_UNBOUNDED_PRECEDING) ||
               (!rows() && !ordered && (options & FRAMEOPTION_START_CURRENT_ROW));
    }
    bool to_last() const {
        return (options & FRAMEOPTION_END_UNBOUNDED_FOLLOWING) ||
               (!rows() && !ordered && (options & FRAMEOPTION_END_CURRENT_ROW));
    }
    bool from_peers() const { return !rows() && ordered && (options & FRAMEOPTION_START_CURRENT_ROW); }
    bool to_peers() const { return !rows() && ordered && (options & FRAMEOPTION_END_CURRENT_ROW); }
    bool to_peers_or_more() const {
        return to_peers() || to_last() || (options & FRAMEOPTION_END_OFFSET_FOLLOWING) != 0;
    }
    bool from_peers_or_more() const {
        return from_peers() || from_first() || (options & FRAMEOPTION_START_OFFSET_PRECEDING) != 0;
    }
};

bool is_numbering(Oid function) {
    switch (function) {
    case F_ROW_NUMBER:
    case F_NTILE:
    case F_LAG_ANYELEMENT:
    case F_LAG_ANYELEMENT_INT4:
    case F_LAG_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
    case F_LEAD_ANYELEMENT:
    case F_LEAD_ANYELEMENT_INT4:
    case F_LEAD_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
        return true;
    default:
        return false;
    }
}

Remedy remedy_of_rows(const Frame &frame, bool sensitive) {
    if (frame.options & (FRAMEOPTION_EXCLUDE_GROUP | FRAMEOPTION_EXCLUDE_TIES))
        return Remedy::none;
    return frame.from_first() && frame.to_last() && !sensitive ? Remedy::none : Remedy::order;
}

Remedy remedy_of_value(Oid function, const Frame &frame) {
    switch (function) {
    case F_FIRST_VALUE:
        if (frame.from_first() && frame.to_peers_or_more())
            return Remedy::whole;
        return frame.from_peers() && frame.to_peers_or_more() ? Remedy::peers : Remedy::none;
    case F_LAST_VALUE:
        if (frame.to_last() && frame.from_peers_or_more())
            return Remedy::whole;
        return frame.to_peers() && frame.from_peers_or_more() ? Remedy::peers : Remedy::none;
    case F_NTH_VALUE:
        if (frame.from_peers() && frame.to_peers())
            return Remedy::peers;
        return frame.from_first() && frame.to_peers() ? Remedy::nth : Remedy::none;
    default:
        if (frame.from_peers() && frame.to_peers())
            return Remedy::peers;
        return frame.from_first() && frame.to_peers() ? Remedy::running : Remedy::none;
    }
}

} // namespace

Remedy find_remedy(const WindowFunc *function, const WindowClause *window) {
    const Frame frame{window->frameOptions, window->orderClause != NIL};
    if (is_numbering(function->winfnoid))
        return Remedy::number;
    const bool is_value =
        function->winfnoid == F_FIRST_VALUE || function->winfnoid == F_LAST_VALUE || function->winfnoid == F_NTH_VALUE;
    if (!function->winagg && !is_value)
        return Remedy::none; // rank() and its like are determined; of others nothing is known
    const bool sensitive = is_value || is_order_sensitive(function->winfnoid, function->args);
    if (frame.rows())
        return remedy_of_rows(frame, sensitive);
    if (!sensitive || (frame.options & FRAMEOPTION_EXCLUSION) != 0)
        return Remedy::none;
    if (frame.from_first() && frame.to_last())
        return Remedy::whole;
    return remedy_of_value(function->winfnoid, frame);
}

} // namespace upkeep::analysis
