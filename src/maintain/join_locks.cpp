// The lock tags of a join: which keys of which pairs of occurrences a change touches.
#include "maintain/delta_reader.hpp"
#include "maintain/locks.hpp"

namespace upkeep::maintain {

using algebra::InputKind;
using algebra::InputSet;

namespace {

/// The side's column of a tying equality, and the hash function that both sides share.
struct TieSide {
    AttrNumber column;
    FmgrInfo hash;
    Oid collation;
};

TieSide tie_side(const analysis::Block &block, int qual, int input) {
    auto *op = castNode(OpExpr, list_nth(block.quals, qual));
    RegProcedure left, right;
    if (!get_op_hash_functions(op->opno, &left, &right))
        elog(ERROR, "operator %u has no hash function", op->opno);
    for (int side = 0; side < 2; side++) {
        auto *arg = static_cast<Node *>(list_nth(op->args, side));
        while (IsA(arg, RelabelType))
            arg = reinterpret_cast<Node *>(castNode(RelabelType, arg)->arg);
        const Var *var = castNode(Var, arg);
        if (var->varno - 1 != input)
            continue;
        TieSide result{var->varattno, {}, op->inputcollid};
        fmgr_info(side == 0 ? left : right, &result.hash);
        return result;
    }
    elog(ERROR, "equality does not read input %d", input);
}

/// Join key hashes of the changed rows of one side, NULL keys left out.
void collect_hashes(Run &run, const BlockProgram &block, int qual, int input, pg::Vector<uint64> *hashes) {
    if (qual < 0) {
        hashes->push_back(0);
        return;
    }
    TieSide side = tie_side(*block.block, qual, input);
    auto add = [&](Datum value, bool isnull) {
        if (!isnull)
            hashes->push_back(DatumGetUInt32(FunctionCall1Coll(&side.hash, side.collation, value)));
    };
    const algebra::Input &source = block.block->inputs[input];
    if (source.kind == InputKind::node) {
        for (const ZSet::Row *row : run.node_deltas[source.source]->rows())
            if (row->weight != 0)
                add(row->values[side.column - 1], row->nulls[side.column - 1]);
        return;
    }
    for (DeltaReader reader(run, block.block->inputs[input].source); reader.next();) {
        bool isnull;
        const Datum value = slot_getattr(reader.slot(), side.column, &isnull);
        add(value, isnull);
    }
}

bool changed(const Run &run, const BlockProgram &block, int input) {
    return changed_rows(run, block.block->inputs[input]) > 0;
}

/// The input and the unchanged ones that an equality ties to it, and that it is joined with.
algebra::InputSet tied_inputs(const Run &run, const BlockProgram &block, int input) {
    const auto &inputs = block.block->inputs;
    algebra::InputSet result = algebra::only(input);
    for (const algebra::Qual &qual : block.block->qual_shapes) {
        if (qual.left != input && qual.right != input)
            continue;
        const int other = qual.left == input ? qual.right : qual.left;
        if (other >= 0 && inputs[other].source >= 0 && inputs[other].role == algebra::Role::inner &&
            !changed(run, block, other))
            result |= algebra::only(other);
    }
    return result;
}

/// Whether the change of `input`, joined with what is tied to it, is not empty. If it is, no row of it arises or goes,
/// whatever the inputs hold that nothing ties to it: whoever changes a tied one waits for us by the key's tag. An input
/// that is not tied tells nothing, since its writer and we may not wait for each other; nor does one that changed here
/// too, since what matched may have gone with it.
bool reaches(Run &run, BlockProgram &block, int input) {
    connect_spi(run);
    SPIPlanPtr plan =
        term_plan(run, block, {algebra::only(input), algebra::only(input), tied_inputs(run, block, input)});
    PushActiveSnapshot(GetLatestSnapshot());
    const int outcome = SPI_execute_plan(plan, nullptr, nullptr, true, 1);
    PopActiveSnapshot();
    if (outcome != SPI_OK_SELECT)
        elog(ERROR, "could not probe a join: %s", SPI_result_code_string(outcome));
    return SPI_processed > 0;
}

/// What the probes of one block said, by input. Asked when the tied pairs are locked, and not again: until the end of
/// the transaction nobody else changes what is tied.
using Reached = pg::Vector<std::optional<bool>>;

bool reaches_once(Run &run, BlockProgram &block, int input, Reached *reached) {
    std::optional<bool> &known = (*reached)[static_cast<size_t>(input)];
    if (!known)
        known = reaches(run, block, input);
    return *known;
}

uint32 pair_number(const BlockProgram &block, int left, int right) {
    return 4096 * block.number + static_cast<uint32>(left) * 64 + static_cast<uint32>(right);
}

void lock_pair(Run &run, BlockProgram &block, uint32 number, const delta::Pair &pair, Reached *reached) {
    const bool left = changed(run, block, pair.left);
    const bool right = changed(run, block, pair.right);
    if (!left && !right)
        return;
    const auto &inputs = block.block->inputs;
    const bool self =
        inputs[pair.left].source == inputs[pair.right].source && inputs[pair.left].kind == inputs[pair.right].kind;
    if (pair.qual < 0 && left != right && !reaches_once(run, block, left ? pair.left : pair.right, reached))
        return;
    pg::Vector<uint64> l, r;
    if (left)
        collect_hashes(run, block, pair.qual, pair.left, &l);
    if (self) {
        if (pair.qual >= 0)
            collect_hashes(run, block, pair.qual, pair.right, &l);
        run.waited |= lock_self_pair(run.program->view, number, {l.data(), l.size()});
        return;
    }
    if (right)
        collect_hashes(run, block, pair.qual, pair.right, &r);
    run.waited |= lock_join_pair(run.program->view, number, {l.data(), l.size()}, {r.data(), r.size()});
}

/// The tie between a watched input and the input that is joined, or -1.
int tie_of(const analysis::Block &block, int watched) {
    for (size_t q = 0; q < block.qual_shapes.size(); q++)
        if (block.qual_shapes[q].watched == watched && block.qual_shapes[q].left >= 0)
            return static_cast<int>(q);
    return -1;
}

/// Whether two watched inputs are tied to the same column of the joined one, by hashes that agree.
bool same_tie(const analysis::Block &block, int main, int a, int b) {
    if (a < 0 || b < 0)
        return false;
    const TieSide first = tie_side(block, a, main), second = tie_side(block, b, main);
    return first.column == second.column && first.hash.fn_oid == second.hash.fn_oid &&
           first.collation == second.collation;
}

void lock_sides(Run &run, BlockProgram &block, int left, int left_tie, int right, int right_tie) {
    pg::Vector<uint64> l, r;
    if (changed(run, block, left))
        collect_hashes(run, block, left_tie, left, &l);
    if (left != right && changed(run, block, right))
        collect_hashes(run, block, right_tie, right, &r);
    const auto &inputs = block.block->inputs;
    const uint32 number = pair_number(block, left, right);
    if (inputs[left].source == inputs[right].source && inputs[left].kind == inputs[right].kind) {
        l.insert(l.end(), r.begin(), r.end());
        run.waited |= lock_self_pair(run.program->view, number, {l.data(), l.size()});
    } else {
        run.waited |= lock_join_pair(run.program->view, number, {l.data(), l.size()}, {r.data(), r.size()});
    }
}

/// A block with a subquery: whoever changes what the subquery reads evaluates the rows that are tied to it, so that two
/// such writers must not meet at a row, nor one and a writer of the row itself.
void lock_watched(Run &run, BlockProgram &block, InputSet watched) {
    const int n = static_cast<int>(block.block->inputs.size());
    int main = -1;
    for (int i = 0; i < n; i++)
        if (block.block->inputs[i].source >= 0 && !algebra::has(watched, i))
            main = i;
    for (int w = 0; w < n; w++) {
        if (!algebra::has(watched, w))
            continue;
        const int tie = tie_of(*block.block, w);
        if (changed(run, block, w))
            lock_sides(run, block, w, tie, w, tie);
        if (main >= 0 && (changed(run, block, main) || changed(run, block, w)))
            lock_sides(run, block, main, tie, w, tie);
        for (int v = w + 1; v < n; v++) {
            if (!algebra::has(watched, v) || (!changed(run, block, w) && !changed(run, block, v)))
                continue;
            const int other = tie_of(*block.block, v);
            const bool same = main >= 0 && same_tie(*block.block, main, tie, other);
            lock_sides(run, block, w, same ? tie : -1, v, same ? other : -1);
        }
    }
}

} // namespace

void lock_joins(Run &run, pg::Vector<BlockProgram> &blocks) {
    if (run.at != nullptr)
        return; // what one snapshot shows belongs together
    pg::InContext in(run.memory);
    for (BlockProgram &block : blocks) {
        if (const InputSet watched = algebra::watched_inputs(block.block->shape()); watched != 0) {
            lock_watched(run, block, watched);
        } else if (!block.direct) {
            Reached reached(block.block->inputs.size());
            delta::join_pairs(block.block->shape(), [&](const delta::Pair &pair) {
                lock_pair(run, block, pair_number(block, pair.left, pair.right), pair, &reached);
            });
        }
    }
}

} // namespace upkeep::maintain
