// One maintenance run of one view: the pieces that the stages share.
#pragma once

#include "capture/capture.hpp"
#include "maintain/groups.hpp"
#include "pg/run_as.hpp"

namespace upkeep::maintain {

/// The change of one base table as this run uses it.
struct TableDelta {
    Oid relid = InvalidOid;
    pg::Vector<capture::Batch> batches;    // as captured
    ZSet *consolidated = nullptr;          // by image of the used columns, where old and new rows can cancel
    const TableProgram *program = nullptr; // its `used` are the columns of `consolidated`
    TupleDesc desc = nullptr;              // of the base table's rows
    Tuplestorestate *relation = nullptr;   // for SQL, with the weight; built on demand
    int64 rows = 0;
    bool is_empty() const { return rows == 0; }
};

struct OldChanges;

struct Run {
    Program *program;
    MemoryContext memory;                      // of this run
    Snapshot at = nullptr;                     // of a deferred view: all that is read is read as of this snapshot
    pg::Vector<TableDelta> tables;             // by table number of the query
    pg::Vector<ZSet *> node_deltas;            // by node number, nullptr until applied
    pg::Vector<Tuplestorestate *> passed;      // rows captured in other tables, as rows of their source
    pg::Vector<Tuplestorestate *> node_stores; // by node number, of the nodes whose deltas SQL knows already; or empty
    CommandId old_command = InvalidCommandId;  // shows the base tables as they were, where a block needs that
    pg::Vector<lower::OldRelation> relations;  // else: what old states are made of, once a block needs them
    OldChanges *old_changes = nullptr;         // and what has changed in them; see old_state.hpp
    pg::Vector<Tuplestorestate *> old_stores;  // by source: the old rows of the images that have changed
    bool spi = false;                          // connected, deltas registered
    bool cached = false;                       // a CachedPages lives
    bool broken = false;                       // a row that should be there is not: the view is stale
    const char *broken_why = nullptr;
    int64 rows_in = 0;
    int64 rows_changed = 0;
    bool waited = false;
    WrittenRows *written = nullptr; // where views above are to learn from what happens to the view's rows; or nullptr
};

/// Pushes the snapshot that what comes next reads with: the latest, or run.at with what this run has written.
void push_snapshot(const Run &run);

/// Computes state and view anew, at the snapshot or the latest, and writes what differs. Returns the rows written.
int64 rebuild_with(Program *program, WrittenRows *written, Snapshot at = nullptr);

/// Makes the view what its query returns at the snapshot, and leaves its states behind: they are owed from then on (see
/// catalog::owed_states), and no change can be followed before a rebuild. Returns the rows written.
int64 rebuild_contents(const Program &program, WrittenRows *written, Snapshot at);

/// Writes what differs between a view and its settled query at the snapshot, or the latest. The view is locked against
/// other writers. Returns the rows written.
int64 replace_contents(Oid view, const Identity &identity, Snapshot at, WrittenRows *written);

/// A view's query, rewritten, without free choices of rows.
Query *settled_query(Relation rel);

/// Locks tables and their change logs for reading; to be done before the snapshot of a refresh is taken.
void lock_logs(const pg::Vector<Oid> &sources);

/// While one lives, statements are planned as if the pages that they visit were in memory, as far as the settings do not
/// say so anyway: rows that join with a fresh change are mostly fresh, and lie beside each other. What the planner
/// thinks of single lookups (four times a page of a scan) makes it read whole tables for some thousand rows.
class CachedPages {
  public:
    explicit CachedPages(Run &run);
    ~CachedPages() { run_.cached = false; }
    CachedPages(const CachedPages &) = delete;
    CachedPages &operator=(const CachedPages &) = delete;

  private:
    Run &run_;
    pg::RunAs as_;
};

/// Builds a deferred view at a snapshot of its own and sets its frontier. Where this transaction has logged changes of
/// its tables, which no frontier could tell from later ones, the view is left to be built.
int64 build_deferred(Program *program, WrittenRows *written);

/// Reads the captured changes of the program's tables. False: nothing relevant changed.
bool load_deltas(Run &run, const pg::Vector<capture::TableChange> &changes);

/// ΔR by image of the used columns: what one statement (or a nest of statements) took out and put back is gone.
void consolidate(Run &run, int table, TableDelta &delta);

/// The part of a captured batch that is rows of the source, where the source's columns that are used are at their
/// places; `rows` is nullptr where none can be. finish_passages ends what was made for it.
capture::Batch pass_rows(Run &run, const analysis::TableSource &source, const capture::TableChange &change,
                         const capture::Batch &batch);
void finish_passages(Run &run);

/// All rows of a member, or former member, as a batch of the source's columns; the caller ends `rows`.
capture::Batch read_member(const analysis::TableSource &source, Oid member, int weight);

/// Calls visit(slot, weight) for each changed row of a table; the slot has the table's own columns.
template <typename Visit> void for_each_row(Run &run, int table, Visit visit);

/// The delta of a flow goes into the sink: row by row for direct blocks, by SQL terms for the others.
void flow_delta(Run &run, pg::Vector<BlockProgram> &blocks, std::span<pg::ColumnOps> ops, RowSink &sink);

/// The same for one block, under the active snapshot.
void block_delta(Run &run, BlockProgram &block, RowSink &sink);

/// One term of a block, under the active snapshot: rows that passed the evaluator go into the sink, or wide rows where
/// there is none. Their weight is the product of the weights of the changed rows and the sign.
void run_term(Run &run, BlockProgram &block, const delta::Term &term, algebra::InputSet all_changed,
              Evaluator *evaluator, RowSink &sink);

/// All rows of a Z-set through an evaluator.
void evaluate_rows(ZSet &rows, TupleDesc desc, Evaluator &evaluator, RowSink &sink);

/// REPEATABLE READ and SERIALIZABLE: raises 40001 where what was read under the latest snapshot and under the
/// transaction's own (which is used up) differs.
void require_same(ZSet &latest, ZSet &own);

/// The whole flow over the new state goes into the sink, each row with weight 1 (for rebuilds); rows of nodes come from
/// run.node_deltas.
void flow_contents(Run &run, pg::Vector<BlockProgram> &blocks, RowSink &sink);

/// Whether any input of a flow has changed.
bool flow_changed(const Run &run, const pg::Vector<BlockProgram> &blocks);

/// Which statement of a block is wanted.
struct TermWanted {
    algebra::InputSet changed;               // read from their deltas
    algebra::InputSet all_changed;           // in this run
    algebra::InputSet beside = 0;            // of the probe of the one changed input: the inputs joined with it
    algebra::InputSet old = 0;               // read from their old states
    const delta::ScopeTerm *scope = nullptr; // of a block with a subquery
    std::uint64_t was = 0;                   // of the summand over the old states: sources to be read as they were
    bool by_rows = false;                    // of the contents, to see what it costs: subqueries are asked row by row
};

/// The kept plan of a statement for a change of this size. SPI is connected.
SPIPlanPtr term_plan(Run &run, BlockProgram &block, const TermWanted &wanted);

/// Takes the lock tags of every join pair of these blocks that this change touches, in order.
void lock_joins(Run &run, pg::Vector<BlockProgram> &blocks);

/// The delta of a flow under a snapshot that is newer than the locks it takes first, and than what was applied below.
void read_flow(Run &run, pg::Vector<BlockProgram> &blocks, std::span<pg::ColumnOps> ops, RowSink &sink);

/// The stage of a partition node: the partitions that the flow's change touches are computed again, and the difference
/// to their stored rows is written and becomes the node's delta. False: broken.
bool run_partition_stage(Run &run, NodeProgram &node);

/// Computes all partitions again, makes the state hold them, and leaves them as the node's rows.
void build_partitions(Run &run, NodeProgram &node);

/// Merges the groups into the node's state and records the node's own delta. False: broken.
bool apply_groups(Run &run, NodeProgram &node, GroupTable &groups);

/// Locks the rows of the groups, and the keys of those that are not there, without writing anything.
void lock_groups(Run &run, NodeProgram &node, GroupTable &groups);

/// Follows a recursive query by rounds, or runs it whole, and records its delta. False: broken.
bool run_fixpoint_stage(Run &run, NodeProgram &node);

/// Whether the input of a node, of whichever kind, has changed.
bool node_changed(const Run &run, const NodeProgram &node);

/// Whether a table has changed that the node reads beside its flow.
bool tables_changed(const Run &run, const NodeProgram &node);

/// Stores all rows of a recursive query, under the active snapshot, and leaves them as the node's delta.
void build_fixpoint(Run &run, NodeProgram &node);

/// Applies a consolidated delta of view rows to the view. False: broken.
bool apply_to_view(Run &run, ZSet &delta);

/// Reads one group again: values of the wanted aggregates, keys first if asked. False: the group has no rows. The
/// snapshot is the latest where none is given.
bool read_group(Run &run, NodeProgram &node, const Datum *keys, const bool *nulls, std::uint64_t wanted, Datum *values,
                bool *value_nulls, Snapshot snapshot = nullptr);

/// Reads many groups again and leaves what they hold in them (none of their rows: no values): the listed ones, or all
/// there are where `listed` is empty. Groups with a NULL key are read one by one.
void read_groups(Run &run, NodeProgram &node, GroupTable &groups, std::span<Group *> listed, std::uint64_t wanted,
                 Snapshot snapshot = nullptr);

/// The keys of the listed groups as upkeep_keys, until forget_keys. SPI is connected.
Tuplestorestate *register_keys(const NodeProgram &node, std::span<Group *> listed);
void forget_keys(Tuplestorestate *keys);
bool has_null_key(const NodeProgram &node, const Group *group);

/// The node's row (keys, aggregate results) of a state.
void node_row(const NodeProgram &node, const Datum *keys, const bool *key_nulls, const Datum *state,
              const bool *state_nulls, Datum *row, bool *row_nulls);

/// The class of a number of rows: a statement has a plan for each.
int size_class(int64 rows);

/// Makes rows known to SQL under a name. SPI is connected; memory: the current context.
void register_relation(const char *name, TupleDesc desc, Tuplestorestate *rows, int64 count);

/// Connects to SPI once per run and makes the deltas known to it.
void connect_spi(Run &run);
void finish_spi(Run &run);

/// Makes the delta of a node known to SQL, once it is applied.
void register_node_delta(Run &run, int node);

/// Takes it back, to make another one known.
void forget_node_delta(Run &run, int node);

/// How many changed rows of a table, or of those given of a node, have a weight above and below zero.
std::pair<int64, int64> count_signs(Run &run, const algebra::Input &input, ZSet *rows);

/// Those of them whose weight has this sign, as a relation for SQL.
Tuplestorestate *signed_delta(Run &run, const algebra::Input &input, ZSet *rows, int sign);

/// Lets SQL see these rows as the change of an input's source; nullptr: the whole change again.
void show_delta(Run &run, const algebra::Input &input, Tuplestorestate *rows, int64 count);

/// Number of changed rows of an input's source.
int64 changed_rows(const Run &run, const algebra::Input &input);

/// Makes `target` hold exactly the rows of `wanted`, writing only what differs.
void apply_difference(Run &run, Target *target, ZSet &wanted);

/// Applies a change (negative weights: rows to delete, found by a scan of the whole target).
void apply_scanning(Run &run, Target *target, ZSet &change);

inline constexpr std::uint64_t kWantKeys = std::uint64_t{1} << 63;

} // namespace upkeep::maintain
