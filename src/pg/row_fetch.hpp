// Reading rows that are about to be replaced.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// index_getnext_slot, forward and under an MVCC snapshot, for a scan whose rows will be updated. It finds the same
/// rows, but it prunes a heap page only when the row's next version would not fit on it.
///
/// The server prunes whenever a page that is read has less than a tenth of it free. A page of rows that are updated all
/// the time stays just below that, because each pass frees the one version that the last update left, and so every
/// update pays for a pass over the whole page: half of all that the maintenance of one row costs. Here the room is used
/// up first, so that a pass frees many versions.
bool next_row_to_update(IndexScanDesc scan, TupleTableSlot *slot);

} // namespace upkeep::pg
