#include "pg/row_fetch.hpp"

extern "C" {
#include "access/relscan.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
}

namespace upkeep::pg {

namespace {

// A pass looks at every row of the page. It is worth that if it makes room for this part of as many versions.
constexpr int kUsefulPart = 16;

// The last pass of this session made too little room.
bool last_was_useless = false;

// What a version of the row in `slot` needs, with some room for numbers to grow.
Size version_size(TupleTableSlot *slot) {
    bool copied;
    return MAXALIGN(ExecFetchSlotHeapTuple(slot, false, &copied)->t_len) + 2 * MAXIMUM_ALIGNOF;
}

// Whether an update would have to put the new version elsewhere. Looks without a lock, as the server's own test does: a
// wrong answer costs time only.
bool is_crowded(Page page, Size version) {
    return PageIsFull(page) || PageGetHeapFreeSpace(page) < version;
}

bool has_useful_room(Page page, Size version) {
    int rows = 0, unused = MaxHeapTuplesPerPage - static_cast<int>(PageGetMaxOffsetNumber(page));
    for (OffsetNumber i = FirstOffsetNumber; i <= PageGetMaxOffsetNumber(page); i++) {
        ItemId item = PageGetItemId(page, i);
        rows += ItemIdIsNormal(item);
        unused += !ItemIdIsUsed(item);
    }
    return std::min(unused, static_cast<int>(PageGetHeapFreeSpace(page) / version)) * kUsefulPart >= rows;
}

// Makes room on a crowded page. A page that is full of live rows would need a pass for every update of its rows for
// ever: after a pass that was of little use the next crowded page is left as it is, so that the next version of a row
// of it goes to another page, and it has more room from then on.
void make_room(Relation relation, Buffer buffer, Size version) {
    if (!std::exchange(last_was_useless, false)) {
        heap_page_prune_opt(relation, buffer);
        last_was_useless = !has_useful_room(BufferGetPage(buffer), version);
    }
}

} // namespace

bool next_row_to_update(IndexScanDesc scan, TupleTableSlot *slot) {
    Relation relation = scan->heapRelation;
    if (relation->rd_tableam != GetHeapamTableAmRoutine()) {
        return index_getnext_slot(scan, ForwardScanDirection, slot);
    }
    auto *fetch = reinterpret_cast<IndexFetchHeapData *>(scan->xs_heapfetch);
    while (const ItemPointerData *entry = index_getnext_tid(scan, ForwardScanDirection)) {
        const ItemPointerData root = *entry;
        // A page that the scan has at hand already is not pruned by index_fetch_heap.
        fetch->xs_cbuf = ReleaseAndReadBuffer(fetch->xs_cbuf, relation, ItemPointerGetBlockNumber(&root));
        if (!index_fetch_heap(scan, slot)) {
            continue;
        }
        const Size version = version_size(slot);
        if (!is_crowded(BufferGetPage(fetch->xs_cbuf), version)) {
            return true;
        }
        ExecClearTuple(slot); // a second pin on the page would keep it from being pruned
        make_room(relation, fetch->xs_cbuf, version);
        scan->xs_heaptid = root; // index_fetch_heap has left the row's own place there
        if (index_fetch_heap(scan, slot)) {
            return true;
        }
    }
    return false;
}

} // namespace upkeep::pg
