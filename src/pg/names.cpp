#include "pg/names.hpp"

extern "C" {
#include "catalog/pg_collation.h"
}

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

const char *collation_name(Oid collation) {
    HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for collation %u", collation);
    auto *form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(tuple));
    const char *name = quote_qualified_identifier(get_namespace_name(form->collnamespace), NameStr(form->collname));
    ReleaseSysCache(tuple);
    return name;
}

} // namespace upkeep::pg
