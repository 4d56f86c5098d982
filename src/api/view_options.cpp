// CREATE MATERIALIZED VIEW … WITH (upkeep.mode = …), ALTER MATERIALIZED VIEW … SET (upkeep.mode = …) and RESET.
//
// The server refuses storage parameters of a namespace that it does not know. They are taken out of a copy of the
// statement; the server runs that, and the view is registered when it is done.
#include "api/view_options.hpp"

#include "api/registering.hpp"
#include "catalog/tables.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "access/transam.h"
#include "commands/defrem.h"
#include "parser/parse_func.h"
#include "tcop/utility.h"
}

namespace upkeep::api {

namespace {

constexpr const char *kNamespace = "upkeep";

ProcessUtility_hook_type next_utility = nullptr;

enum class Option : uint8 { mode, max_staleness, every };
constexpr const char *kOptions[] = {"mode", "max_staleness", "every"};

/// An option as it was written. RESET gives no value.
struct Given {
    Option option;
    catalog::Mode mode;
    const char *interval;
};

/// The options of a WITH, SET or RESET list.
struct Part {
    bool reset = false;
    pg::Vector<Given> given{};
};

enum class Command : uint8 { none, create, alter, explain };

/// What is to be done when the server is done.
struct Wanted {
    Command command = Command::none;
    PlannedStmt *statement = nullptr; // without our options
    pg::Vector<Part> parts{};
    const RangeVar *relation = nullptr;
    Oid schema = InvalidOid;
};

bool is_ours(const DefElem *option) {
    return option->defnamespace != nullptr && strcmp(option->defnamespace, kNamespace) == 0;
}

bool has_ours(const List *options) {
    ListCell *cell;
    foreach (cell, options)
        if (is_ours(lfirst_node(DefElem, cell)))
            return true;
    return false;
}

/// Adds a HINT to the error of an interval that cannot be read.
class IntervalHint {
  public:
    IntervalHint() {
        callback_.previous = error_context_stack;
        callback_.callback = [](void *) { errhint("An interval is written like '10 s' or '1 min'."); };
        callback_.arg = nullptr;
        error_context_stack = &callback_;
    }
    ~IntervalHint() { error_context_stack = callback_.previous; }
    IntervalHint(const IntervalHint &) = delete;
    IntervalHint &operator=(const IntervalHint &) = delete;

  private:
    ErrorContextCallback callback_;
};

const char *parse_interval(const char *name, const char *value) {
    const IntervalHint hint;
    return interval_text(name, DirectFunctionCall3(interval_in, CStringGetDatum(value), ObjectIdGetDatum(InvalidOid),
                                                   Int32GetDatum(-1)));
}

Option parse_name(const char *name) {
    for (size_t i = 0; i < std::size(kOptions); i++)
        if (strcmp(kOptions[i], name) == 0)
            return Option(i);
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unrecognized parameter \"upkeep.%s\"", name),
                    errhint("Valid parameters are \"upkeep.mode\", \"upkeep.max_staleness\" and \"upkeep.every\".")));
    pg_unreachable();
}

Given parse(DefElem *option, bool reset) {
    Given given{parse_name(option->defname), catalog::Mode::immediate, nullptr};
    if (reset) {
        if (option->arg != nullptr)
            ereport(ERROR,
                    (errcode(ERRCODE_SYNTAX_ERROR), errmsg("RESET must not include values for parameters")));
        return given;
    }
    if (option->arg == nullptr)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("parameter \"upkeep.%s\" needs a value", option->defname)));
    const char *value = defGetString(option);
    if (given.option == Option::mode)
        given.mode = parse_mode(value);
    else
        given.interval = parse_interval(option->defname, value);
    return given;
}

/// Takes our options out of a list.
Part take(List **options, bool reset) {
    Part part{reset};
    List *rest = NIL;
    ListCell *cell;
    foreach (cell, *options) {
        auto *option = lfirst_node(DefElem, cell);
        if (!is_ours(option)) {
            rest = lappend(rest, option);
            continue;
        }
        const Given given = parse(option, reset);
        for (const Given &other : part.given)
            if (other.option == given.option && !reset)
                ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                                errmsg("parameter \"upkeep.%s\" specified more than once", option->defname)));
        part.given.push_back(given);
    }
    *options = rest;
    return part;
}

bool resets_mode(const Part &part) {
    for (const Given &given : part.given)
        if (part.reset && given.option == Option::mode)
            return true;
    return false;
}

/// The options after the part, given those before.
ViewOptions apply(ViewOptions options, const Part &part) {
    for (const Given &given : part.given)
        if (given.option == Option::mode) {
            options.mode = given.mode;
            if (given.mode != catalog::Mode::deferred)
                options.max_staleness = options.every = nullptr; // those it had; what is given is told to be wrong
        }
    for (const Given &given : part.given)
        if (given.option == Option::max_staleness)
            options.max_staleness = given.interval;
        else if (given.option == Option::every)
            options.every = given.interval;
    require_options_of_mode(options);
    return options;
}

/// An option is one more way to call a function: with its right.
void require_right(const char *name, std::initializer_list<Oid> arguments) {
    if (!OidIsValid(catalog::find_extension()))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("parameters of \"upkeep\" need the extension \"upkeep\" in this database"),
                        errhint("Create it with CREATE EXTENSION upkeep.")));
    List *qualified = list_make2(makeString(pstrdup(kNamespace)), makeString(pstrdup(name)));
    const Oid function = LookupFuncName(qualified, int(arguments.size()), arguments.begin(), false);
    if (!pg::may_execute(function, GetUserId()))
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, name);
}

void require_right(const Part &part) {
    if (resets_mode(part))
        require_right("unregister", {REGCLASSOID});
    else
        require_right("register", {REGCLASSOID, TEXTOID, INTERVALOID, INTERVALOID});
}

// --- CREATE MATERIALIZED VIEW, and EXPLAIN of it ---

/// The CREATE MATERIALIZED VIEW that a command is, or that it explains; nullptr for any other.
CreateTableAsStmt *find_creation(Node *command) {
    if (IsA(command, ExplainStmt)) {
        auto *query = reinterpret_cast<Query *>(castNode(ExplainStmt, command)->query);
        if (!IsA(query, Query) || query->commandType != CMD_UTILITY)
            return nullptr;
        command = query->utilityStmt;
    }
    if (!IsA(command, CreateTableAsStmt))
        return nullptr;
    auto *creation = castNode(CreateTableAsStmt, command);
    return creation->objtype == OBJECT_MATVIEW ? creation : nullptr;
}

bool is_executed(const Node *command) {
    if (!IsA(command, ExplainStmt))
        return true;
    bool analyze = false;
    ListCell *cell;
    foreach (cell, castNode(ExplainStmt, command)->options) {
        auto *option = lfirst_node(DefElem, cell);
        if (strcmp(option->defname, "analyze") == 0)
            analyze = defGetBoolean(option);
    }
    return analyze;
}

void take_from_creation(Wanted *wanted, PlannedStmt *statement) {
    auto *copy = static_cast<PlannedStmt *>(copyObjectImpl(statement));
    CreateTableAsStmt *creation = find_creation(copy->utilityStmt);
    Part part = take(&creation->into->options, false);
    apply({}, part);
    require_right(part);
    wanted->statement = copy;
    wanted->command = Command::explain;
    if (!is_executed(copy->utilityStmt))
        return;
    // As the server does: what is there is not created, whatever it is.
    wanted->relation = creation->into->rel;
    wanted->schema = RangeVarGetCreationNamespace(wanted->relation);
    if (OidIsValid(get_relname_relid(wanted->relation->relname, wanted->schema)))
        return;
    wanted->command = Command::create;
    wanted->parts.push_back(part);
}

/// Not if another transaction has created one of that name just before us, and IF NOT EXISTS was said.
bool is_created_here(Oid relid) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple))
        return false;
    const bool here = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
    ReleaseSysCache(tuple);
    return here;
}

void finish_creation(const Wanted &wanted) {
    const Oid view = get_relname_relid(wanted.relation->relname, wanted.schema);
    if (OidIsValid(view) && is_created_here(view))
        register_view(view, apply({}, wanted.parts[0]));
}

// --- ALTER MATERIALIZED VIEW ---

bool sets_options(const AlterTableCmd *part) {
    return part->subtype == AT_SetRelOptions || part->subtype == AT_ResetRelOptions;
}

/// ALTER TABLE alters materialized views too.
AlterTableStmt *find_alteration(Node *command) {
    if (!IsA(command, AlterTableStmt))
        return nullptr;
    auto *alteration = castNode(AlterTableStmt, command);
    if (alteration->objtype != OBJECT_MATVIEW && alteration->objtype != OBJECT_TABLE)
        return nullptr;
    ListCell *cell;
    foreach (cell, alteration->cmds) {
        const auto *part = lfirst_node(AlterTableCmd, cell);
        if (sets_options(part) && has_ours(castNode(List, part->def)))
            return alteration->objtype == OBJECT_MATVIEW ||
                           get_rel_relkind(RangeVarGetRelid(alteration->relation, NoLock, true)) == RELKIND_MATVIEW
                       ? alteration
                       : nullptr;
    }
    return nullptr;
}

/// What is left to the server when none of its own options is there: an empty list would lock out readers. No TOAST
/// table has a fillfactor, so that resetting it changes nothing, under the lock that register() takes.
List *harmless_reset() {
    return list_make1(makeDefElemExtended(pstrdup("toast"), pstrdup("fillfactor"), nullptr, DEFELEM_UNSPEC, -1));
}

void take_from_alteration(Wanted *wanted, PlannedStmt *statement) {
    wanted->command = Command::alter;
    wanted->statement = static_cast<PlannedStmt *>(copyObjectImpl(statement));
    auto *alteration = castNode(AlterTableStmt, wanted->statement->utilityStmt);
    wanted->relation = alteration->relation;
    ListCell *cell;
    foreach (cell, alteration->cmds) {
        auto *command = lfirst_node(AlterTableCmd, cell);
        if (!sets_options(command) || !has_ours(castNode(List, command->def)))
            continue;
        auto *options = castNode(List, command->def);
        Part part = take(&options, command->subtype == AT_ResetRelOptions);
        require_right(part);
        wanted->parts.push_back(part);
        if (options == NIL) {
            command->subtype = AT_ResetRelOptions;
            options = harmless_reset();
        }
        command->def = reinterpret_cast<Node *>(options);
    }
}

void finish_part(Oid view, const Part &part) {
    catalog::Registration registration{};
    const bool known = catalog::find_registration(view, &registration);
    if (part.reset && !known)
        return;
    if (resets_mode(part))
        return unregister_view(view);
    ViewOptions options;
    if (known) {
        const catalog::Intervals intervals = catalog::intervals(view);
        options = {registration.mode, intervals.max_staleness, intervals.every};
    }
    options = apply(options, part);
    const bool in_force = known && registration.active && options.mode == registration.mode &&
                          (registration.state == catalog::State::active || registration.state == catalog::State::building);
    in_force ? change_intervals(view, options) : register_view(view, options);
}

void finish_alteration(const Wanted &wanted) {
    const Oid view = RangeVarGetRelid(wanted.relation, NoLock, true); // IF EXISTS
    if (OidIsValid(view))
        for (const Part &part : wanted.parts) {
            finish_part(view, part);
            CommandCounterIncrement();
        }
}

/// Costs a look at the kind of the command, and at the options of those that have some.
Wanted find_wanted(PlannedStmt *statement) {
    Wanted wanted;
    Node *command = statement->utilityStmt;
    if (const CreateTableAsStmt *creation = find_creation(command)) {
        if (has_ours(creation->into->options))
            take_from_creation(&wanted, statement);
    } else if (find_alteration(command) != nullptr) {
        take_from_alteration(&wanted, statement);
    }
    return wanted;
}

void finish(const Wanted &wanted) {
    if (wanted.command == Command::explain)
        return;
    CommandCounterIncrement();
    wanted.command == Command::create ? finish_creation(wanted) : finish_alteration(wanted);
}

void on_utility(PlannedStmt *statement, const char *text, bool read_only_tree, ProcessUtilityContext context,
                ParamListInfo parameters, QueryEnvironment *environment, DestReceiver *destination,
                QueryCompletion *completion) {
    const Wanted wanted = pg::guard([=] { return find_wanted(statement); });
    const ProcessUtility_hook_type run = next_utility != nullptr ? next_utility : standard_ProcessUtility;
    if (wanted.command == Command::none) {
        run(statement, text, read_only_tree, context, parameters, environment, destination, completion);
        return;
    }
    run(wanted.statement, text, false, context, parameters, environment, destination, completion);
    pg::guard([&] { finish(wanted); });
}

} // namespace

void install_view_options() {
    next_utility = std::exchange(ProcessUtility_hook, on_utility);
}

} // namespace upkeep::api
