// Access to the extension's own tables, below SQL: no right of the current user is asked for, no snapshot of the
// transaction limits what is seen, and it is legal inside any trigger.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::catalog {

enum class Table : uint8 {
    registration,
    registration_by_name,
    activity,
    source,
    state_table,
    fact,
    setting,
    log,
    frontier
};

// Column numbers. The view, or the relation whose log it is, comes first in every table but
// registration_by_name.
inline constexpr AttrNumber kView = 1;
struct RegistrationColumn {
    enum : AttrNumber { view = 1, mode, max_staleness, every, name, count = name };
};
struct ByNameColumn {
    enum : AttrNumber { name = 1, mode, max_staleness, every, count = every };
};
struct ActivityColumn {
    enum : AttrNumber {
        view = 1,
        state,
        why,
        strategy,
        layout,
        identity_index,
        identity_definition,
        last_rebuild,
        count = last_rebuild
    };
};
struct SourceColumn {
    enum : AttrNumber { view = 1, relation, used, count = used };
};
struct StateTableColumn {
    enum : AttrNumber { view = 1, node, relation, index, count = index };
};
struct FactColumn {
    enum : AttrNumber { view = 1, classid, objid, subid, kind, fingerprint, count = fingerprint };
};
struct SettingColumn {
    enum : AttrNumber { view = 1, name, value, count = value };
};
struct LogColumn {
    enum : AttrNumber { relation = 1, current, segment1, segment2, segment3, columns, count = columns };
};
struct FrontierColumn {
    enum : AttrNumber { view = 1, snapshot, reached, owed, count = owed };
};
inline constexpr int kMaxColumns = 8;

/// A stored row, or one to store. Values of a row that was read are detoasted and live as long as the context that was
/// current then.
struct Row {
    ItemPointerData tid;
    Datum values[kMaxColumns];
    bool nulls[kMaxColumns];

    bool is_null(AttrNumber column) const { return nulls[column - 1]; }
    Oid oid(AttrNumber column) const { return DatumGetObjectId(values[column - 1]); }
    int32 integer(AttrNumber column) const { return DatumGetInt32(values[column - 1]); }
    /// Palloc'd, or nullptr for NULL.
    char *get_text(AttrNumber column) const {
        return is_null(column) ? nullptr : TextDatumGetCString(values[column - 1]);
    }

    void set(AttrNumber column, Datum value) {
        values[column - 1] = value;
        nulls[column - 1] = false;
    }
    void copy(AttrNumber column, const Row &from, AttrNumber from_column) {
        values[column - 1] = from.values[from_column - 1];
        nulls[column - 1] = from.nulls[from_column - 1];
    }
    void set_null(AttrNumber column) { nulls[column - 1] = true; }
    void set_text(AttrNumber column, const char *value) {
        value ? set(column, CStringGetTextDatum(value)) : set_null(column);
    }
};

/// Every row whose `column` is `key` (all rows: column 0), as committed by now plus our own changes. Empty where the
/// extension does not exist in this database.
pg::Vector<Row> read_rows(Table table, AttrNumber column, Oid key);

/// Writing. Visible to the next read. change_row and remove_row follow a row to its newest version, waiting for a
/// concurrent writer, and return false if it is gone.
void add_row(Table table, const Row &row);
bool change_row(Table table, const Row &row);
bool remove_row(Table table, const Row &row);
/// Locks the newest version of a row against other writers, and returns it; nothing if it is gone. Who changes a part
/// of a row that others may have changed meanwhile begins with it. `wait` LockWaitSkip: nothing, too, if somebody else
/// has it locked.
std::optional<Row> lock_row(Table table, const Row &row, LockWaitPolicy wait = LockWaitBlock);
/// Removes every row of a view.
void remove_rows(Table table, Oid view);

/// OID of the extension, InvalidOid where it does not exist.
Oid find_extension();

} // namespace upkeep::catalog
