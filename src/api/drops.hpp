// What follows a DROP.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::api {

/// To be called in a sql_drop event trigger. Forgets the registered views among the dropped objects, and raises
/// dependent_objects_still_exist for an index or a capture trigger that the maintenance of another view needs.
void follow_drop(const Node *command);

} // namespace upkeep::api
