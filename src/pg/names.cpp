#include "pg/names.hpp"

namespace upkeep::pg {

const char *qualified_name(Oid relid) {
    const char *name = get_rel_name(relid);
    if (name == nullptr)
        return psprintf("%u", relid);
    const char *schema = get_namespace_name(get_rel_namespace(relid));
    return quote_qualified_identifier(schema, name);
}

const char *type_name(Oid type, int32 typmod) {
    return format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

} // namespace upkeep::pg
