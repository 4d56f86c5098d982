// A backend that reads a log again and again, as a worker does, remembers of each block the newest transaction that wrote
// to it, and skips blocks whose transactions the frontier covers. The block's LSN tells whether it is still what it was:
// every row that comes, and every one that goes with a rolled back transaction, moves it. Rows of transactions that are
// under way are not known to have come, so a block with one is not remembered.
#include "capture/log_scan.hpp"

extern "C" {
#include "storage/bufmgr.h"
#include "utils/xid8.h"
}

namespace upkeep::capture {

namespace {

struct KnownBlock {
    XLogRecPtr lsn;    // invalid: nothing is known
    uint64 newest_xid; // 0: it holds no rows
};

struct KnownSegment {
    Oid relid; // key
    Oid file;  // another one after TRUNCATE
    KnownBlock *blocks;
    BlockNumber nblocks; // as many fit
};

constexpr long kMaxSegments = 1024; // then all is forgotten
HTAB *segments = nullptr;

void forget_all() {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, segments);
    while (const auto *known = static_cast<KnownSegment *>(hash_seq_search(&scan)))
        if (known->blocks != nullptr)
            pfree(known->blocks);
    hash_destroy(segments);
    segments = nullptr;
}

KnownSegment *known_segment(Relation segment, BlockNumber nblocks) {
    if (segments != nullptr && hash_get_num_entries(segments) >= kMaxSegments)
        forget_all();
    if (segments == nullptr) {
        HASHCTL control = {};
        control.keysize = sizeof(Oid);
        control.entrysize = sizeof(KnownSegment);
        control.hcxt = TopMemoryContext;
        segments = hash_create("upkeep log segments", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    const Oid relid = RelationGetRelid(segment);
    const Oid file = segment->rd_rel->relfilenode;
    bool found;
    auto *known = static_cast<KnownSegment *>(hash_search(segments, &relid, HASH_ENTER, &found));
    if (!found || known->file != file) {
        if (found && known->blocks != nullptr)
            pfree(known->blocks);
        known->file = file;
        known->blocks = nullptr;
        known->nblocks = 0;
    }
    if (known->nblocks < nblocks) {
        const BlockNumber room = std::max<BlockNumber>(2 * known->nblocks, std::max<BlockNumber>(nblocks, 64));
        auto *blocks = static_cast<KnownBlock *>(
            MemoryContextAllocExtended(TopMemoryContext, room * sizeof(KnownBlock), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
        if (known->blocks != nullptr) {
            memcpy(blocks, known->blocks, known->nblocks * sizeof(KnownBlock));
            pfree(known->blocks);
        }
        known->blocks = blocks;
        known->nblocks = room;
    }
    return known;
}

/// A segment that this transaction has made, or emptied, may be written without WAL.
bool is_remembered(Relation segment) {
    return segment->rd_createSubid == InvalidSubTransactionId &&
           segment->rd_firstRelfilelocatorSubid == InvalidSubTransactionId && RelationNeedsWAL(segment);
}

/// What the snapshot sees of one block.
struct VisibleRows {
    int n = 0;
    OffsetNumber offsets[MaxHeapTuplesPerPage];
    bool settled = true; // no row of a transaction that is under way, or has ended after the snapshot
};

void find_visible(Relation segment, Buffer buffer, Snapshot snapshot, VisibleRows *rows) {
    const Page page = BufferGetPage(buffer);
    const OffsetNumber last = PageIsNew(page) ? InvalidOffsetNumber : PageGetMaxOffsetNumber(page);
    for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset = OffsetNumberNext(offset)) {
        const ItemId item = PageGetItemId(page, offset);
        if (!ItemIdIsNormal(item))
            continue;
        HeapTupleData tuple;
        tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
        tuple.t_len = ItemIdGetLength(item);
        tuple.t_tableOid = RelationGetRelid(segment);
        ItemPointerSet(&tuple.t_self, BufferGetBlockNumber(buffer), offset);
        if (HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer))
            rows->offsets[rows->n++] = offset;
        else
            rows->settled &= HeapTupleHeaderXminInvalid(tuple.t_data);
    }
}

class SegmentScan {
  public:
    SegmentScan(Relation segment, const catalog::Frontier &frontier, Snapshot snapshot)
        : segment_(segment), frontier_(frontier), snapshot_(snapshot),
          slot_(MakeSingleTupleTableSlot(RelationGetDescr(segment), &TTSOpsBufferHeapTuple)) {}

    enum class From : uint8 { beginning, end };

    /// False: the visitor wants no more.
    bool run(From from, LogVisit visit, void *state) {
        const BlockNumber nblocks = RelationGetNumberOfBlocks(segment_);
        KnownSegment *known = nblocks > 0 && is_remembered(segment_) ? known_segment(segment_, nblocks) : nullptr;
        const BufferAccessStrategy strategy =
            nblocks > static_cast<BlockNumber>(NBuffers / 4) ? GetAccessStrategy(BAS_BULKREAD) : nullptr;
        bool more = true;
        for (BlockNumber i = 0; more && i < nblocks; i++) {
            CHECK_FOR_INTERRUPTS();
            const BlockNumber block = from == From::beginning ? i : nblocks - 1 - i;
            const Buffer buffer = ReadBufferExtended(segment_, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
            more = read_block(buffer, known != nullptr ? &known->blocks[block] : nullptr, visit, state);
            ReleaseBuffer(buffer);
        }
        ExecDropSingleTupleTableSlot(slot_);
        if (strategy != nullptr)
            FreeAccessStrategy(strategy);
        return more;
    }

  private:
    bool read_block(Buffer buffer, KnownBlock *known, LogVisit visit, void *state) {
        LockBuffer(buffer, BUFFER_LOCK_SHARE);
        const XLogRecPtr lsn = BufferGetLSNAtomic(buffer);
        if (known != nullptr && lsn != InvalidXLogRecPtr && lsn == known->lsn && known->newest_xid < frontier_.xmin) {
            LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
            return true;
        }
        VisibleRows rows;
        find_visible(segment_, buffer, snapshot_, &rows);
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK); // what is visible stays where it is while the block is pinned
        uint64 newest = 0;
        bool more = true;
        for (int i = 0; more && i < rows.n; i++) {
            const uint64 xid = load(buffer, rows.offsets[i]);
            newest = std::max(newest, xid);
            if (!frontier_.covers(xid))
                more = visit(state, slot_, int(DatumGetInt16(slot_->tts_values[catalog::kLogWeight - 1])));
        }
        ExecClearTuple(slot_);
        if (known != nullptr && more)
            *known = {rows.settled ? lsn : InvalidXLogRecPtr, newest};
        return more;
    }

    /// Puts a row into the slot; returns its transaction.
    uint64 load(Buffer buffer, OffsetNumber offset) {
        const Page page = BufferGetPage(buffer);
        const ItemId item = PageGetItemId(page, offset);
        tuple_.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
        tuple_.t_len = ItemIdGetLength(item);
        tuple_.t_tableOid = RelationGetRelid(segment_);
        ItemPointerSet(&tuple_.t_self, BufferGetBlockNumber(buffer), offset);
        ExecStoreBufferHeapTuple(&tuple_, slot_, buffer);
        slot_getsomeattrs(slot_, catalog::kLogFixedColumns);
        return U64FromFullTransactionId(DatumGetFullTransactionId(slot_->tts_values[catalog::kLogXid - 1]));
    }

    Relation segment_;
    const catalog::Frontier &frontier_;
    Snapshot snapshot_;
    TupleTableSlot *slot_;
    HeapTupleData tuple_;
};

} // namespace

void scan_log(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot, LogVisit visit,
              void *state) {
    bool more = true;
    for (const Oid relid : log.segments) {
        const Relation segment = table_open(relid, AccessShareLock);
        more = more && SegmentScan(segment, frontier, snapshot).run(SegmentScan::From::beginning, visit, state);
        table_close(segment, AccessShareLock);
    }
}

namespace {

/// What all of them cover.
catalog::Frontier intersect(const pg::Vector<catalog::Frontier> &frontiers) {
    catalog::Frontier common = frontiers[0];
    for (const catalog::Frontier &frontier : frontiers) {
        common.xmin = std::min(common.xmin, frontier.xmin);
        common.xmax = std::min(common.xmax, frontier.xmax);
        common.xip.insert(common.xip.end(), frontier.xip.begin(), frontier.xip.end());
    }
    std::sort(common.xip.begin(), common.xip.end());
    return common;
}

} // namespace

bool has_uncovered_rows(Oid relid, const pg::Vector<catalog::Frontier> &frontiers, Snapshot snapshot) {
    if (frontiers.empty())
        return false;
    const Relation segment = table_open(relid, AccessShareLock);
    const catalog::Frontier common = intersect(frontiers);
    // What is not covered stands at the end, as a rule.
    const bool none = SegmentScan(segment, common, snapshot)
                          .run(SegmentScan::From::end, [](void *, TupleTableSlot *, int) { return false; }, nullptr);
    table_close(segment, AccessShareLock);
    return !none;
}

} // namespace upkeep::capture
