// Commands that the workers have to know of: they leave a database that is dropped, renamed, moved or copied, and hear of
// extensions and databases that come and of prepared transactions that commit.
#include "api/database_commands.hpp"

#include "pg/entry.hpp"
#include "scheduler/scheduler.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "tcop/utility.h"
}

namespace upkeep::api {

namespace {

ProcessUtility_hook_type next_process_utility = nullptr;

const char *template_of(const CreatedbStmt *statement) {
    ListCell *cell;
    foreach (cell, statement->options) {
        auto *option = lfirst_node(DefElem, cell);
        if (strcmp(option->defname, "template") == 0 && option->arg != nullptr)
            return defGetString(option);
    }
    return "template1";
}

/// The database that the command wants to be alone with; nullptr for other commands.
const char *wanted_database(const Node *command) {
    switch (nodeTag(command)) {
    case T_CreatedbStmt:
        return template_of(reinterpret_cast<const CreatedbStmt *>(command));
    case T_DropdbStmt:
        return reinterpret_cast<const DropdbStmt *>(command)->dbname;
    case T_RenameStmt: {
        const auto *rename = reinterpret_cast<const RenameStmt *>(command);
        return rename->renameType == OBJECT_DATABASE ? rename->subname : nullptr;
    }
    case T_AlterDatabaseStmt: // SET TABLESPACE, among others
        return reinterpret_cast<const AlterDatabaseStmt *>(command)->dbname;
    default:
        return nullptr;
    }
}

/// A command that the server is going to refuse disturbs nobody.
bool is_entitled(Oid database) {
    if (superuser())
        return true;
    bool entitled = false;
    if (HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database))) {
        entitled = has_privs_of_role(GetUserId(), reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datdba);
        ReleaseSysCache(tuple);
    }
    if (HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()))) {
        entitled |= reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolcreatedb;
        ReleaseSysCache(tuple);
    }
    return entitled;
}

/// CREATE and DROP EXTENSION.
bool is_about_extensions(const Node *command) {
    return IsA(command, CreateExtensionStmt) ||
           (IsA(command, DropStmt) && castNode(DropStmt, command)->removeType == OBJECT_EXTENSION);
}

bool is_commit_prepared(const Node *command) {
    return IsA(command, TransactionStmt) && castNode(TransactionStmt, command)->kind == TRANS_STMT_COMMIT_PREPARED;
}

void before_command(const Node *command) {
    if (const char *name = wanted_database(command)) {
        const Oid database = get_database_oid(name, true);
        if (OidIsValid(database) && is_entitled(database))
            scheduler::bar(database);
    }
    if (is_about_extensions(command))
        scheduler::wake_at_commit();
}

void on_utility(PlannedStmt *planned, const char *text, bool read_only, ProcessUtilityContext context,
                ParamListInfo parameters, QueryEnvironment *environment, DestReceiver *receiver,
                QueryCompletion *completion) {
    const Node *command = planned->utilityStmt;
    const bool commits_prepared = is_commit_prepared(command);
    pg::guard([=] { before_command(command); });
    const auto next = next_process_utility != nullptr ? next_process_utility : standard_ProcessUtility;
    next(planned, text, read_only, context, parameters, environment, receiver, completion);
    // No callback of the transaction that wrote runs then.
    if (commits_prepared)
        scheduler::wake_for_anything();
}

} // namespace

void follow_database_commands() {
    if (process_shared_preload_libraries_in_progress)
        next_process_utility = std::exchange(ProcessUtility_hook, on_utility);
}

} // namespace upkeep::api
