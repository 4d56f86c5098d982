// Subquery inputs, and functions and VALUES over columns of several tables, get a node of their own, together with the
// inputs that they read:
//
//   σ_q (A × B × s(A))  =  σ_q' (node × B)        node = σ_p (A × s(A)), p: the conjuncts over A alone
//
// A node with a subquery has at most one other input (several are joined in a derived node below), so that each of its
// rows comes from one row, and phantom rows of a join never meet what is inside the subquery. Subqueries over the same
// inputs that read the same tables share a node: a change touches the rows of all of them at once. What is asked of
// their values is asked above, so that they are evaluated last, for rows that are wanted.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"
#include "analysis/row_source.hpp"

namespace upkeep::analysis {

using algebra::InputKind;
using algebra::InputSet;
using algebra::Role;

namespace {

/// Moves inputs of one arm to a new place, column by column where needed.
struct Move {
    InputSet from = 0; // the inputs that move
    pg::Vector<Var *> columns;

    int find(const Var *var) const {
        for (size_t i = 0; i < columns.size(); i++)
            if (columns[i]->varno == var->varno && columns[i]->varattno == var->varattno)
                return static_cast<int>(i);
        return -1;
    }
    bool moves(const Var *var, int depth) const {
        return static_cast<int>(var->varlevelsup) == depth && var->varno >= kInputBase &&
               algebra::has(from, var->varno - kInputBase);
    }
    /// Notes the columns of moving inputs that the tree reads.
    void note(Node *tree) {
        for_each_var(tree, [&](const Var *var, int depth) {
            if (!moves(var, depth) || find(var) >= 0)
                return;
            auto *copy = static_cast<Var *>(copyObjectImpl(var));
            copy->varlevelsup = 0;
            columns.push_back(copy);
        });
    }
    List *outputs() const {
        List *result = NIL;
        for (Var *var : columns)
            result = lappend(result, copyObjectImpl(var));
        if (result == NIL) // rows without columns still have to be counted
            result = list_make1(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true));
        return result;
    }
};

template <typename Place> Node *renumber_inputs(Node *tree, Place place) {
    return replace_vars(tree, [&](const Var *var, int depth) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        if (static_cast<int>(var->varlevelsup) == depth && var->varno >= kInputBase)
            place(copy);
        return reinterpret_cast<Node *>(copy);
    });
}

/// New numbers for the inputs of `set`, in order, from `first` on.
pg::Vector<int> numbers(InputSet set, size_t count, int first) {
    pg::Vector<int> result;
    for (size_t i = 0; i < count; i++)
        result.push_back(algebra::has(set, static_cast<int>(i)) ? first++ : -1);
    return result;
}

template <typename Map> void take_input(const Arm &from, int input, Map map, Arm *to) {
    to->inputs.push_back(from.inputs[input]);
    RangeTblEntry *rte = from.rtes[input];
    to->rtes.push_back(rte == nullptr || rte->rtekind == RTE_RELATION ? rte : map_row_expressions(rte, map));
}

/// The inputs that the subquery reads, what they read, and so on.
InputSet all_read(const Arm &arm, int subquery) {
    InputSet set = inputs_read(row_expressions(arm.rtes[subquery])).set;
    for (const Watch &watch : arm.watches)
        if (watch.input == subquery)
            set |= inputs_read(reinterpret_cast<Node *>(watch.quals)).set;
    for (InputSet before = 0; before != set;) {
        before = set;
        for (size_t i = 0; i < arm.inputs.size(); i++)
            if (algebra::has(before, static_cast<int>(i)) && arm.rtes[i] != nullptr &&
                arm.rtes[i]->rtekind != RTE_RELATION)
                set |= inputs_read(row_expressions(arm.rtes[i])).set;
    }
    return set;
}

int stored_inputs(const Arm &arm) {
    int n = 0;
    for (const algebra::Input &input : arm.inputs)
        n += input.source >= 0 && input.role != Role::watched ? 1 : 0;
    return n;
}

/// The inputs of the set, and where no conditions over them alone connect them, those by which they are: a derived node
/// is no product of tables that the query joins through others.
InputSet connected(const Arm &arm, InputSet set, InputSet subqueries) {
    pg::Vector<InputSet> reads;
    ListCell *lc;
    foreach (lc, arm.quals)
        reads.push_back(inputs_read(static_cast<Node *>(lfirst(lc))).set);
    for (size_t i = 0; i < arm.inputs.size(); i++) // a function belongs to what it reads
        if (InputSet own = inputs_read(row_expressions(arm.rtes[i])).set; own != 0)
            reads.push_back(own | algebra::only(static_cast<int>(i)));
    InputSet joined = 0;
    for (size_t i = 0; i < arm.inputs.size(); i++)
        if (arm.inputs[i].source >= 0 && arm.inputs[i].role == Role::inner)
            joined |= algebra::only(static_cast<int>(i));
    auto reach = [&](InputSet within) {
        InputSet found = set & (~set + 1);
        for (InputSet before = 0; before != found;) {
            before = found;
            for (InputSet read : reads)
                if ((read & (subqueries | ~within)) == 0 && (read & found) != 0)
                    found |= read;
        }
        return found;
    };
    if (set == 0 || (set & ~reach(set)) == 0)
        return set;
    return set | (reach(set | joined) & joined);
}

/// Whether rows come from a function or VALUES list over columns of several tables: on phantom pairs of their rows it
/// might fail.
bool reads_several(const Arm &arm, int input) {
    if (arm.inputs[input].kind != InputKind::function && arm.inputs[input].kind != InputKind::values)
        return false;
    const InputSet read = all_read(arm, input);
    int stored = 0;
    for (int i = 0; i < static_cast<int>(arm.inputs.size()); i++)
        stored += algebra::has(read, i) && arm.inputs[i].source >= 0 ? 1 : 0;
    return stored > 1;
}

/// The conjuncts of the arm over these inputs alone.
bool is_within(Node *qual, InputSet set) {
    const InputSet read = inputs_read(qual).set;
    return read != 0 && (read & ~set) == 0;
}

Node *as_node(List *list) {
    return reinterpret_cast<Node *>(list);
}

bool watches(const Arm &arm, int subquery, const algebra::Input &watched) {
    return std::any_of(arm.watches.begin(), arm.watches.end(), [&](const Watch &watch) {
        return watch.input == subquery && watch.watched.source == watched.source;
    });
}

/// Whether the tables that subquery `a` reads are read by `b` as well.
bool watches_all_of(const Arm &arm, int a, int b) {
    return std::all_of(arm.watches.begin(), arm.watches.end(), [&](const Watch &watch) {
        return watch.input != a || watches(arm, b, watch.watched);
    });
}

bool is_member(const List *quals, Node *qual) {
    ListCell *lc;
    foreach (lc, const_cast<List *>(quals))
        if (equal(lfirst(lc), qual))
            return true;
    return false;
}

/// Whether each row that a change touches by this watch is touched by another one of these subqueries as well, which
/// asks no more than this one; the first of several that ask the same.
bool is_implied(const Arm &arm, const Watch &watch, InputSet subqueries) {
    for (const Watch &other : arm.watches) {
        if (&other == &watch || !algebra::has(subqueries, other.input) || other.watched.source != watch.watched.source)
            continue;
        bool fewer = true;
        ListCell *lc;
        foreach (lc, other.quals)
            fewer &= is_member(watch.quals, static_cast<Node *>(lfirst(lc)));
        if (fewer && (&other < &watch || list_length(other.quals) < list_length(watch.quals)))
            return true;
    }
    return false;
}

/// The subquery and those that share its node.
InputSet alike(const Arm &arm, int subquery) {
    InputSet set = algebra::only(subquery);
    for (int i = 0; i < static_cast<int>(arm.inputs.size()); i++)
        if (arm.inputs[i].kind == InputKind::subquery && arm.inputs[subquery].kind == InputKind::subquery &&
            all_read(arm, i) == all_read(arm, subquery) && watches_all_of(arm, i, subquery) &&
            watches_all_of(arm, subquery, i))
            set |= algebra::only(i);
    return set;
}

/// Subqueries of an arm that read the same inputs, on their way into a node of their own.
class Enclosure {
  public:
    Enclosure(const Arm &arm, InputSet subqueries)
        : arm_(arm), subqueries_(subqueries),
          read_(connected(arm, all_read(arm, std::countr_zero(subqueries)), subqueries)),
          place_(numbers(read_, arm.inputs.size(), 0)) {
        ListCell *lc;
        foreach (lc, arm.quals) {
            auto *qual = static_cast<Node *>(lfirst(lc));
            List *&side = is_within(qual, read_) ? within_ : rest_;
            side = lappend(side, qual);
        }
        below_.from = read_;
        for_each_subquery([&](int i) { below_.note(row_expressions(arm.rtes[i])); });
        note_rest(&below_, arm.watches);
        for (const Watch &watch : arm.watches)
            if (!algebra::has(subqueries, watch.input))
                watches_.push_back(watch);
        above_.from = read_ | subqueries;
        note_rest(&above_, watches_);
    }

    /// What the subqueries read, joined; its columns that the subqueries or the rest need.
    Arm joined() const {
        auto to_joined = [&](Node *e) {
            return renumber_inputs(e, [&](Var *var) { var->varno = kInputBase + place_[var->varno - kInputBase]; });
        };
        Arm joined;
        for (size_t i = 0; i < arm_.inputs.size(); i++)
            if (algebra::has(read_, static_cast<int>(i)))
                take_input(arm_, static_cast<int>(i), to_joined, &joined);
        joined.quals = reinterpret_cast<List *>(to_joined(as_node(within_)));
        joined.outputs = reinterpret_cast<List *>(to_joined(as_node(below_.outputs())));
        return joined;
    }

    /// The node: `base`, which is that or a node of its rows (`by_column`), or nothing; and the subqueries with what
    /// they watch.
    Arm own(const Arm &base, bool by_column) const {
        Arm own = base;
        const pg::Vector<int> self = numbers(subqueries_, arm_.inputs.size(), static_cast<int>(own.inputs.size()));
        auto to_own = [&](Node *e) {
            return renumber_inputs(e, [&](Var *var) {
                const int input = var->varno - kInputBase;
                if (algebra::has(subqueries_, input)) {
                    var->varno = kInputBase + self[input];
                } else if (by_column) {
                    var->varattno = static_cast<AttrNumber>(below_.find(var) + 1);
                    var->varno = kInputBase;
                } else {
                    var->varno = kInputBase + place_[input];
                }
            });
        };
        for_each_subquery([&](int i) { take_input(arm_, i, to_own, &own); });
        for (const Watch &watch : arm_.watches)
            if (algebra::has(subqueries_, watch.input) && !is_implied(arm_, watch, subqueries_))
                take_watched(watch, reinterpret_cast<List *>(to_own(as_node(watch.quals))), &own);
        own.outputs = reinterpret_cast<List *>(to_own(as_node(above_.outputs())));
        return own;
    }

    /// The arm that reads the node in place of all these.
    Arm above(int node) const {
        const size_t count = arm_.inputs.size();
        const pg::Vector<int> left = numbers(~above_.from, count, 1);
        auto to_above = [&](Node *e) {
            return renumber_inputs(e, [&](Var *var) {
                const int input = var->varno - kInputBase;
                if (algebra::has(above_.from, input)) {
                    var->varattno = static_cast<AttrNumber>(above_.find(var) + 1);
                    var->varno = kInputBase;
                } else {
                    var->varno = kInputBase + left[input];
                }
            });
        };
        Arm above;
        above.inputs.push_back({InputKind::node, node});
        above.rtes.push_back(nullptr);
        for (size_t i = 0; i < count; i++)
            if (!algebra::has(above_.from, static_cast<int>(i)))
                take_input(arm_, static_cast<int>(i), to_above, &above);
        above.quals = reinterpret_cast<List *>(to_above(as_node(rest_)));
        above.outputs = reinterpret_cast<List *>(to_above(as_node(arm_.outputs)));
        for (Watch watch : watches_) {
            watch.input = left[watch.input];
            watch.quals = reinterpret_cast<List *>(to_above(as_node(watch.quals)));
            above.watches.push_back(watch);
        }
        return above;
    }

  private:
    template <typename Visit> void for_each_subquery(Visit visit) const {
        for (int i = 0; i < static_cast<int>(arm_.inputs.size()); i++)
            if (algebra::has(subqueries_, i))
                visit(i);
    }

    /// What all that stays outside of the move reads of it.
    void note_rest(Move *move, const pg::Vector<Watch> &watches) const {
        move->note(as_node(rest_));
        move->note(as_node(arm_.outputs));
        for (const Watch &watch : watches)
            move->note(as_node(watch.quals));
        for (size_t i = 0; i < arm_.inputs.size(); i++)
            if (!algebra::has(move->from, static_cast<int>(i)) && arm_.rtes[i] != nullptr &&
                arm_.rtes[i]->rtekind != RTE_RELATION)
                map_row_expressions(arm_.rtes[i], [&](Node *e) {
                    move->note(e);
                    return e;
                });
    }

    static void take_watched(const Watch &watch, List *quals, Arm *own) {
        const int input = static_cast<int>(own->inputs.size());
        own->inputs.push_back(watch.watched);
        own->rtes.push_back(watch.rte);
        ListCell *lc;
        foreach (lc, quals)
            own->touches.push_back({input, replace_vars(static_cast<Node *>(lfirst(lc)), [&](const Var *var, int) {
                                        auto *copy = static_cast<Var *>(copyObjectImpl(var));
                                        if (var->varlevelsup == 0 && var->varno == kWatched)
                                            copy->varno = kInputBase + input;
                                        return reinterpret_cast<Node *>(copy);
                                    })});
    }

    const Arm &arm_;
    InputSet subqueries_;
    InputSet read_;                    // by them
    pg::Vector<int> place_;            // of these inputs, when joined
    List *within_ = NIL, *rest_ = NIL; // the arm's conjuncts: over these alone, and the others
    Move below_, above_;               // these; these and the subqueries
    pg::Vector<Watch> watches_;        // of other subqueries
};

} // namespace

/// A node that is the flow of this arm; returns its number, or -1.
int Analyser::add_derived(const Arm &arm) {
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    node->kind = NodeKind::derived;
    auto *block = new (palloc(sizeof(Block))) Block();
    if (!finish_block(arm, block))
        return -1;
    node->input.blocks.push_back(block);
    ListCell *lc;
    foreach (lc, arm.outputs) {
        auto *e = static_cast<Node *>(lfirst(lc));
        node->input.columns.push_back({exprType(e), exprTypmod(e), exprCollation(e)});
    }
    node->columns = node->input.columns;
    view_->nodes.push_back(node);
    return static_cast<int>(view_->nodes.size()) - 1;
}

/// All of these read the same inputs.
bool Analyser::enclose_subqueries(Arm *arm, InputSet subqueries) {
    for (int i = 0; i < static_cast<int>(arm->inputs.size()); i++)
        if (algebra::has(subqueries, i) && inputs_read(row_expressions(arm->rtes[i])).unresolved)
            return no_rule("a correlated LATERAL subquery with aggregates or DISTINCT");
    const Enclosure enclosure(*arm, subqueries);
    Arm base = enclosure.joined();
    const bool by_column = !base.inputs.empty() && (base.inputs.size() > 1 || stored_inputs(base) != 1);
    if (by_column) {
        const int joined = add_derived(base);
        if (joined < 0)
            return false;
        base = Arm();
        base.inputs.push_back({InputKind::node, joined});
        base.rtes.push_back(nullptr);
    }
    if (base.inputs.empty())
        base = Arm();
    const int number = add_derived(enclosure.own(base, by_column));
    if (number < 0)
        return false;
    *arm = enclosure.above(number);
    return true;
}

bool is_enclosed(const Arm &arm, int input) {
    return arm.inputs[input].kind == InputKind::subquery || reads_several(arm, input);
}

bool Analyser::enclose(Arm *arm) {
    while (true) {
        int found = -1;
        for (size_t i = 0; found < 0 && i < arm->inputs.size(); i++) {
            if (!is_enclosed(*arm, static_cast<int>(i)))
                continue;
            const InputSet read = all_read(*arm, static_cast<int>(i));
            bool first = true; // it reads no other subquery
            for (size_t j = 0; j < arm->inputs.size(); j++)
                first &= !algebra::has(read, static_cast<int>(j)) || !is_enclosed(*arm, static_cast<int>(j));
            if (first)
                found = static_cast<int>(i);
        }
        if (found < 0)
            return true;
        if (!enclose_subqueries(arm, alike(*arm, found)))
            return false;
    }
}

} // namespace upkeep::analysis
