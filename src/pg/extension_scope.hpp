// Creating and dropping members of an extension after its script has ended.
#pragma once
#include "pg/entry.hpp"

namespace upkeep::pg {

/// Calls body() as an extension script would be: what it creates becomes a member of `extension`, with its privileges
/// recorded as initial ones, and what it drops may be a member.
template <typename Body> void in_extension_scope(Oid extension, Body &&body) {
    const bool saved_creating = creating_extension;
    const Oid saved_extension = CurrentExtensionObject;
    creating_extension = true;
    CurrentExtensionObject = extension;
    PG_TRY();
    { guard(body); }
    PG_FINALLY();
    {
        creating_extension = saved_creating;
        CurrentExtensionObject = saved_extension;
    }
    PG_END_TRY();
}

} // namespace upkeep::pg
