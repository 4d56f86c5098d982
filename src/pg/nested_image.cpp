#include "pg/nested_image.hpp"
#include "pg/memory.hpp"

namespace upkeep::pg {

namespace {

Datum plain_field(Oid type, int16 length, Datum value) {
    if (length != -1) {
        return value;
    }
    return holds_rows(type) ? plain_rows(type, value) : PointerGetDatum(PG_DETOAST_DATUM(value));
}

Datum plain_row(Datum value) {
    HeapTupleHeader row = DatumGetHeapTupleHeader(value);
    TupleDesc desc = lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
    HeapTupleData tuple{};
    tuple.t_len = HeapTupleHeaderGetDatumLength(row);
    tuple.t_data = row;
    auto *values = create_array<Datum>(static_cast<std::size_t>(desc->natts));
    auto *nulls = create_array<bool>(static_cast<std::size_t>(desc->natts));
    heap_deform_tuple(&tuple, desc, values, nulls);
    for (int i = 0; i < desc->natts; i++) {
        if (!nulls[i]) {
            Form_pg_attribute attribute = TupleDescAttr(desc, i);
            values[i] = plain_field(attribute->atttypid, attribute->attlen, values[i]);
        }
    }
    return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

Datum plain_array(Oid element, Datum value) {
    ArrayType *array = DatumGetArrayTypeP(value);
    int16 length;
    bool byval;
    char align;
    get_typlenbyvalalign(element, &length, &byval, &align);
    Datum *values;
    bool *nulls;
    int count;
    deconstruct_array(array, element, length, byval, align, &values, &nulls, &count);
    for (int i = 0; i < count; i++) {
        if (!nulls[i]) {
            values[i] = plain_rows(element, values[i]);
        }
    }
    return PointerGetDatum(construct_md_array(values, nulls, ARR_NDIM(array), ARR_DIMS(array), ARR_LBOUND(array),
                                              element, length, byval, align));
}

} // namespace

bool holds_rows(Oid type) {
    const Oid base = getBaseType(type);
    if (type_is_rowtype(base)) {
        return true;
    }
    const Oid element = get_base_element_type(base);
    return OidIsValid(element) && holds_rows(element);
}

Datum plain_rows(Oid type, Datum value) {
    check_stack_depth();
    const Oid base = getBaseType(type);
    return type_is_rowtype(base) ? plain_row(value) : plain_array(get_base_element_type(base), value);
}

} // namespace upkeep::pg
