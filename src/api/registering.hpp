// What register() and unregister() do, for the SQL functions and for the options of DDL commands.
#pragma once
#include "catalog/registration.hpp"

namespace upkeep::api {

/// As the arguments of register(): intervals as text, nullptr for NULL.
struct ViewOptions {
    catalog::Mode mode = catalog::Mode::immediate;
    const char *max_staleness = nullptr;
    const char *every = nullptr;
};

/// Raises invalid_parameter_value for what is no mode.
catalog::Mode parse_mode(const char *mode);

/// The text of an interval option. Raises invalid_parameter_value if it is negative.
const char *interval_text(const char *name, Datum interval);

/// Raises invalid_parameter_value for an option that the mode does not have.
void require_options_of_mode(const ViewOptions &options);

/// Registers a view, or changes the options of a registered one, and builds it. Raises what register() raises.
void register_view(Oid view, const ViewOptions &options);

/// Changes the intervals of a registered view and nothing else.
void change_intervals(Oid view, const ViewOptions &options);

/// Raises what unregister() raises.
void unregister_view(Oid view);

} // namespace upkeep::api
