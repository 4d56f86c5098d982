// Which DDL is our own. The flag is the transaction nest level at which it began; callbacks clear it when an error
// ends that level, since no destructor runs then.
#include "catalog/registration.hpp"

namespace upkeep::catalog {

namespace {

int own_level = 0; // 0: none

void on_transaction_end(XactEvent event, void *) {
    if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE) {
        own_level = 0;
    }
}

void on_subtransaction_end(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB && GetCurrentTransactionNestLevel() <= own_level) {
        own_level = 0;
    }
}

} // namespace

OwnDdl::OwnDdl() : outer_level_(own_level) {
    static bool registered = false;
    if (!registered) {
        RegisterXactCallback(on_transaction_end, nullptr);
        RegisterSubXactCallback(on_subtransaction_end, nullptr);
        registered = true;
    }
    if (own_level == 0) {
        own_level = GetCurrentTransactionNestLevel();
    }
}

OwnDdl::~OwnDdl() {
    own_level = outer_level_;
}

bool in_own_ddl() {
    return own_level != 0;
}

} // namespace upkeep::catalog
