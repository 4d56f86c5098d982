// x op ANY (SELECT y …) and x op ALL (SELECT y …) as expressions of EXISTS, which can look up what they test.
//
//   x op ANY S  =  true where some y gives true, else NULL where some y gives NULL, else false
//   x op ALL S  =  false where some y gives false, else NULL where some y gives NULL, else true
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"

namespace upkeep::analysis {

namespace {

/// Whether rows come and go with the rows of FROM that satisfy WHERE.
bool is_plain(const Query *q) {
    return !q->hasAggs && !q->hasWindowFuncs && !q->hasTargetSRFs && q->groupClause == NIL && q->groupingSets == NIL &&
           q->havingQual == nullptr && q->distinctClause == NIL && q->setOperations == nullptr &&
           q->limitCount == nullptr && q->limitOffset == nullptr;
}

Node *one() {
    return reinterpret_cast<Node *>(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true));
}

Node *exists(Query *q) {
    SubLink *link = makeNode(SubLink);
    link->subLinkType = EXISTS_SUBLINK;
    link->subselect = reinterpret_cast<Node *>(q);
    link->location = -1;
    return reinterpret_cast<Node *>(link);
}

/// S one level below a query of our own, so that a condition can be put on its rows.
Query *wrap(Query *s) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_SUBQUERY;
    rte->subquery = s;
    IncrementVarSublevelsUp(reinterpret_cast<Node *>(s), 1, 1);
    rte->alias = makeAlias("s", NIL);
    rte->eref = makeAlias("s", NIL);
    rte->inFromCl = true;
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->rtable = list_make1(rte);
    RangeTblRef *ref = makeNode(RangeTblRef);
    ref->rtindex = 1;
    q->jointree = makeFromExpr(list_make1(ref), nullptr);
    ListCell *lc;
    foreach (lc, s->targetList) {
        auto *tle = lfirst_node(TargetEntry, lc);
        if (tle->resjunk)
            continue;
        auto *e = reinterpret_cast<Node *>(tle->expr);
        rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(tle->resname)));
        Var *var = makeVar(1, tle->resno, exprType(e), exprTypmod(e), exprCollation(e), 0);
        q->targetList = lappend(
            q->targetList, makeTargetEntry(reinterpret_cast<Expr *>(var), tle->resno, pstrdup(tle->resname), false));
    }
    return q;
}

Node *fill_params(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Param) && castNode(Param, node)->paramkind == PARAM_SUBLINK)
        return static_cast<Node *>(
            copyObjectImpl(list_nth(static_cast<List *>(context), castNode(Param, node)->paramid - 1)));
    return pg::mutate_tree(node, fill_params, context);
}

/// The test of the link over the columns of a row of S, as it reads inside S.
Node *test_inside(const SubLink *link, List *outputs) {
    auto *test = static_cast<Node *>(copyObjectImpl(link->testexpr));
    IncrementVarSublevelsUp(test, 1, 0);
    return fill_params(test, outputs);
}

Node *is_null(Node *e) {
    NullTest *test = makeNode(NullTest);
    test->arg = reinterpret_cast<Expr *>(e);
    test->nulltesttype = IS_NULL;
    test->location = -1;
    return reinterpret_cast<Node *>(test);
}

Node *negated(Node *test) {
    if (IsA(test, OpExpr)) {
        auto *op = static_cast<OpExpr *>(copyObjectImpl(test));
        const Oid negator = get_negator(op->opno);
        if (OidIsValid(negator)) {
            op->opno = negator;
            op->opfuncid = get_opcode(negator);
            return reinterpret_cast<Node *>(op);
        }
    }
    return reinterpret_cast<Node *>(make_notclause(reinterpret_cast<Expr *>(copyObjectImpl(test))));
}

Query *with_condition(const Query *base, Node *condition) {
    auto *q = static_cast<Query *>(copyObjectImpl(base));
    q->targetList = list_make1(makeTargetEntry(reinterpret_cast<Expr *>(one()), 1, pstrdup("c1"), false));
    if (condition != nullptr) // a copy: levels are shifted in place
        q->jointree->quals = make_and_qual(q->jointree->quals, static_cast<Node *>(copyObjectImpl(condition)));
    return q;
}

bool has_outer_join(Node *item) {
    if (IsA(item, RangeTblRef))
        return false;
    auto *join = castNode(JoinExpr, item);
    return join->jointype != JOIN_INNER || has_outer_join(join->larg) || has_outer_join(join->rarg);
}

CaseExpr *choose(Node *condition, Node *then, Node *otherwise) {
    CaseWhen *when = makeNode(CaseWhen);
    when->expr = reinterpret_cast<Expr *>(condition);
    when->result = reinterpret_cast<Expr *>(then);
    when->location = -1;
    CaseExpr *choice = makeNode(CaseExpr);
    choice->casetype = BOOLOID;
    choice->args = list_make1(when);
    choice->defresult = reinterpret_cast<Expr *>(otherwise);
    choice->location = -1;
    return choice;
}

} // namespace

/// Whether an expression is a NOT NULL column: of an input of the arm, or of the query's own FROM.
bool Analyser::is_never_null(Node *expression, const Query *query, const Arm *arm) {
    while (IsA(expression, RelabelType))
        expression = reinterpret_cast<Node *>(castNode(RelabelType, expression)->arg);
    if (IsA(expression, Const))
        return !castNode(Const, expression)->constisnull;
    if (!IsA(expression, Var))
        return false;
    auto *var = castNode(Var, expression);
    Oid relid = InvalidOid;
    if (arm != nullptr && var->varno >= kInputBase &&
        arm->inputs[var->varno - kInputBase].kind == algebra::InputKind::table) {
        relid = arm->rtes[var->varno - kInputBase]->relid;
    } else if (query != nullptr && var->varlevelsup == 0 && var->varno < kWatched) {
        ListCell *lc;
        foreach (lc, query->jointree->fromlist)
            if (has_outer_join(static_cast<Node *>(lfirst(lc))))
                return false;
        const RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
        relid = rte->rtekind == RTE_RELATION ? rte->relid : InvalidOid;
    }
    if (!OidIsValid(relid) || var->varattno <= 0)
        return false;
    HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(var->varattno));
    const bool never = HeapTupleIsValid(tuple) && reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnotnull;
    if (HeapTupleIsValid(tuple))
        ReleaseSysCache(tuple);
    if (never)
        view_->facts.push_back({RelationRelationId, relid, var->varattno, "not-null"});
    return never;
}

/// The value of a subquery in an expression; ANY and ALL by EXISTS.
Node *Analyser::expand_any(SubLink *link, const Arm &arm) {
    auto *s = static_cast<Query *>(copyObjectImpl(link->subselect));
    if (link->subLinkType == EXISTS_SUBLINK)
        return exists(is_plain(s) ? with_condition(s, nullptr) : s);
    if (link->subLinkType != ANY_SUBLINK && link->subLinkType != ALL_SUBLINK)
        return static_cast<Node *>(copyObjectImpl(link));
    const bool any = link->subLinkType == ANY_SUBLINK;
    if (!is_plain(s))
        s = wrap(s);
    List *outputs = visible_targets(s->targetList);
    Node *test = test_inside(link, outputs);
    List *null_tests = NIL;
    auto *op = IsA(test, OpExpr) ? castNode(OpExpr, test) : nullptr;
    if (op != nullptr && list_length(op->args) == 2 && op_strict(op->opno)) {
        ListCell *lc;
        foreach (lc, op->args) {
            auto *side = static_cast<Node *>(lfirst(lc));
            if (!is_never_null(side, s, &arm))
                null_tests = lappend(null_tests, is_null(side));
        }
    } else {
        null_tests = list_make1(is_null(test));
    }
    List *nulls = NIL;
    ListCell *lc;
    foreach (lc, null_tests)
        nulls = lappend(nulls, exists(with_condition(s, static_cast<Node *>(lfirst(lc)))));
    Node *value = exists(with_condition(s, any ? test : negated(test)));
    if (!any)
        value = reinterpret_cast<Node *>(make_notclause(reinterpret_cast<Expr *>(value)));
    if (nulls == NIL)
        return value;
    Node *unknown =
        list_length(nulls) == 1 ? static_cast<Node *>(linitial(nulls)) : reinterpret_cast<Node *>(make_orclause(nulls));
    Node *otherwise = reinterpret_cast<Node *>(choose(unknown, makeBoolConst(false, true), makeBoolConst(!any, false)));
    Node *decided = any ? value : reinterpret_cast<Node *>(get_notclausearg(reinterpret_cast<Expr *>(value)));
    return reinterpret_cast<Node *>(choose(decided, makeBoolConst(any, false), otherwise));
}

} // namespace upkeep::analysis
