#include "maintain/groups.hpp"

#include "pg/memory.hpp"

namespace upkeep::maintain {

GroupTable::GroupTable(const NodeProgram &node, MemoryContext memory) : node_(node), memory_(memory) {}

void GroupTable::grow() {
    pg::InContext in(memory_);
    const int64 room = room_ == 0 ? 8 : room_ * 2;
    Group **groups = pg::create_array<Group *>(static_cast<size_t>(room));
    if (count_ > 0) {
        memcpy(groups, groups_, sizeof(Group *) * static_cast<size_t>(count_));
        pfree(groups_);
        pfree(table_);
    }
    groups_ = groups;
    room_ = room;
    table_ = pg::create_array<Group *>(static_cast<size_t>(room) * 2);
    const uint64 mask = static_cast<uint64>(room) * 2 - 1;
    for (int64 i = 0; i < count_; i++) {
        uint64 at = (groups_[i]->hash ^ (groups_[i]->hash >> 32)) & mask;
        while (table_[at] != nullptr)
            at = (at + 1) & mask;
        table_[at] = groups_[i];
    }
}

uint64 GroupTable::hash(const Datum *values, const bool *nulls) const {
    uint64 h = node_.key_ops.size();
    for (size_t k = 0; k < node_.key_ops.size(); k++)
        h = pg::combine_hash(h, pg::key_hash(node_.key_ops[k], values[k], nulls[k]));
    return h;
}

/// Where the group is, or would be, in the table.
Group **GroupTable::place_of(uint64 hash, const Datum *values, const bool *nulls) {
    const uint64 mask = static_cast<uint64>(room_) * 2 - 1;
    uint64 at = (hash ^ (hash >> 32)) & mask;
    for (; table_[at] != nullptr; at = (at + 1) & mask) {
        const Group *group = table_[at];
        bool same = group->hash == hash;
        for (size_t k = 0; same && k < node_.key_ops.size(); k++)
            same = pg::key_equal(node_.key_ops[k], group->keys[k], group->nulls[k], values[k], nulls[k]);
        if (same)
            break;
    }
    return &table_[at];
}

Group *GroupTable::find(const Datum *values, const bool *nulls) {
    return count_ == 0 ? nullptr : *place_of(hash(values, nulls), values, nulls);
}

Group *GroupTable::find_or_add(const Datum *values, const bool *nulls) {
    const size_t nkeys = node_.key_ops.size();
    if (count_ == room_)
        grow();
    const uint64 hash = this->hash(values, nulls);
    Group **place = place_of(hash, values, nulls);
    if (*place != nullptr)
        return *place;
    pg::InContext in(memory_);
    const size_t header = MAXALIGN(sizeof(Group));
    const size_t keys = MAXALIGN(nkeys * (sizeof(Datum) + sizeof(bool)));
    auto *memory = static_cast<char *>(palloc0(header + keys + node_.delta_size));
    auto *group = reinterpret_cast<Group *>(memory);
    group->hash = hash;
    group->keys = reinterpret_cast<Datum *>(memory + header);
    group->nulls = reinterpret_cast<bool *>(group->keys + nkeys);
    group->deltas = memory + header + keys;
    for (size_t k = 0; k < nkeys; k++) {
        group->nulls[k] = nulls[k];
        group->keys[k] = nulls[k] ? Datum{0} : datumCopy(values[k], node_.key_ops[k].byval, node_.key_ops[k].len);
    }
    for (int a = 0; a < node_.naggs; a++)
        init_delta(node_.specs[a], group->delta(node_, a));
    if (node_.ambiguous_keys)
        group->images = new (palloc(sizeof(ZSet))) ZSet(node_.key_ops, memory_);
    *place = group;
    groups_[count_++] = group;
    return group;
}

void GroupTable::add(const Datum *values, const bool *nulls, int64 weight) {
    Group *group = find_or_add(values, nulls);
    group->rows += weight;
    if (group->images != nullptr)
        group->images->add(values, nulls, weight);
    if (node_.naggs == 0)
        return;
    pg::InContext in(memory_);
    for (int a = 0; a < node_.naggs; a++) {
        const analysis::AggCall &call = node_.node->aggs[a];
        if (call.tally >= 0)
            continue;
        if (call.filter >= 0 && (nulls[call.filter] || !DatumGetBool(values[call.filter])))
            continue;
        const int arg = call.args.empty() ? -1 : call.args[0];
        fold(node_.specs[a], group->delta(node_, a), arg < 0 ? Datum{0} : values[arg], arg >= 0 && nulls[arg], weight);
    }
}

void GroupTable::add_distinct(int tally, ZSet &change) {
    const size_t nkeys = node_.key_ops.size();
    for (const ZSet::Row *row : change.rows()) {
        if (row->weight == 0)
            continue;
        Group *group = find_or_add(row->values, row->nulls);
        pg::InContext in(memory_);
        for (int a = 0; a < node_.naggs; a++)
            if (node_.node->aggs[a].tally == tally)
                fold(node_.specs[a], group->delta(node_, a), row->values[nkeys], false, row->weight);
    }
}

namespace {

/// Different keys can have one hash (that of numerics leaves the sign out); they come in the order of their types.
bool is_before(const NodeProgram &node, const Group *a, const Group *b) {
    if (a->hash != b->hash)
        return a->hash < b->hash;
    for (size_t k = 0; k < node.key_ops.size(); k++) {
        const pg::ColumnOps &ops = node.key_ops[k];
        if (a->nulls[k] != b->nulls[k])
            return a->nulls[k];
        TypeCacheEntry *type = lookup_type_cache(ops.type, TYPECACHE_CMP_PROC_FINFO);
        if (a->nulls[k] || !OidIsValid(type->cmp_proc_finfo.fn_oid))
            continue;
        const int32 order =
            DatumGetInt32(FunctionCall2Coll(&type->cmp_proc_finfo, ops.collation, a->keys[k], b->keys[k]));
        if (order != 0)
            return order < 0;
    }
    return false;
}

} // namespace

std::span<Group *> GroupTable::in_lock_order() {
    std::sort(groups_, groups_ + count_, [&](const Group *a, const Group *b) { return is_before(node_, a, b); });
    return {groups_, static_cast<size_t>(count_)};
}

} // namespace upkeep::maintain
