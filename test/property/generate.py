"""Turns a seed into a Case, asking the server which views it accepts."""
import copy
import random

import psycopg2

from expressions import PRODUCED
from model import Case, Column, Table
from schema import Schema, program
from script import transactions
from statements import Statements
from views import Views

ATTEMPTS = 40
CHAINED = 0.25     # share of cases whose later views read the earlier ones


class NoView(Exception):
    """No acceptable view was found for a seed."""


def make(seed, server, prepared=False):
    """Builds the case of `seed` inside the server's current, fresh schema. The tables exist afterwards, the views do
    not. Returns (case, number of views that PostgreSQL itself rejected)."""
    rng = random.Random(seed)
    schema = Schema(rng)
    statements = Statements(rng, schema)
    case = Case(seed, tables=schema.tables)
    case.setup = schema.definitions()
    case.optional = schema.rows()
    fixed, optional = program(schema, statements)
    case.setup += fixed
    case.optional += optional
    prepare(server, case)
    rejected = 0
    names = ["v", "v2"] if rng.random() < 0.08 else ["v"]
    chance = random.Random(f"chain {seed}")     # a stream of its own: other cases stay what they were
    chained = chance.random() < CHAINED
    if chained:
        names = ["v", "v2", "v3"] if chance.random() < 0.35 else ["v", "v2"]
    for name in names:
        seen = with_views(schema, case.views) if chained else schema
        view, failed = grow(rng, seen, server, name, case.views)
        rejected += failed
        for below in case.views:
            if below.name in view.tables:
                view.tables |= below.tables
                below.features = sorted({*below.features, "view of views"})
        case.views.append(view)
        statements.focus += [t for t in schema.tables if t.name in view.tables]
    case.fallible = any(v.fallible for v in case.views)
    case.transactions = transactions(rng, statements, prepared)
    return case, rejected


def prepare(server, case):
    """Runs a case's setup. Rows that break a constraint are left out of the case."""
    server.execute("SELECT 1;\n" + ";\n".join(case.setup))
    kept = []
    for statement in case.optional:
        try:
            server.execute(statement)
            kept.append(statement)
        except psycopg2.Error as error:
            if server.lost:
                raise error
    case.optional = kept


def with_views(schema, views):
    """The schema as a view above `views` sees it: they are tables, taken more often than others."""
    seen = copy.copy(schema)
    kinds = {*PRODUCED, "bool", "num82", "mood"}
    made = [Table(v.name, [Column(i.name, i.kind, i.wide) for i in v.query.items if i.kind in kinds], [])
            for v in views]
    made = [t for t in made if t.columns]
    seen.tables = made * (1 + len(schema.tables)) + schema.tables
    return seen


def grow(rng, schema, server, name, below):
    """Returns (view, rejections): a view that PostgreSQL can create and evaluate on the present rows, where the views
    `below` exist."""
    rejected = 0
    for _ in range(ATTEMPTS):
        view = Views(rng, schema).grow(name)
        if below:
            view = rename_helpers(view, len(below))
        server.execute("BEGIN")
        try:
            for statement in [s for v in below for s in v.helpers + [v.create()]]:
                server.execute(statement)
            for statement in view.helpers + [view.create()] + view.indexes:
                server.execute(statement)
            if rng.random() < 0.75 and not server.rows(f"SELECT 1 FROM {view.name} LIMIT 1"):
                continue                      # an empty view shows little: most of them are thrown away
            return view, rejected
        except psycopg2.Error as error:
            rejected += 1
            if server.lost:
                raise error
        finally:
            if not server.lost:
                server.execute("ROLLBACK")
    raise NoView(f"seed: no view accepted in {ATTEMPTS} attempts")


def rename_helpers(view, taken):
    """Keeps the ordinary views of a second materialized view apart from the first one's."""
    text = view.create()
    if "ordinary" in text:
        raise_name = f"ordinary{taken}0"
        view.helpers = [h.replace("ordinary", raise_name) for h in view.helpers]
        query = view.query
        for arm in getattr(query, "arms", [query]):
            arm.source = arm.source.replace("ordinary", raise_name)
            arm.ctes = [c.replace("ordinary", raise_name) for c in arm.ctes]
            arm.where = [w.replace("ordinary", raise_name) for w in arm.where]
            arm.having = [h.replace("ordinary", raise_name) for h in arm.having]
            arm.group = [g.replace("ordinary", raise_name) for g in arm.group]
            for item in arm.items:
                item.sql = item.sql.replace("ordinary", raise_name)
    return view
