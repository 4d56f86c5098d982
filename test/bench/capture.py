"""What deferred capture leaves of the throughput, beside what PostgreSQL leaves of it with any trigger that sees the rows."""

import statistics

from measure import Samples
from report import factor, milliseconds, rate, table
from schemas import script
from statements import OPERATIONS, bulk_statements, prepare, single_row

# "empty" has triggers on the same events with the same transition tables; their function, in C, returns at once.
SCHEMAS = ["int_none", "int_empty", "int_deferred"]
# Runs of each variant in a round; the variants take turns, each in each place.
TURNS = 4


def quotient(samples, cell, schema):
    """The median over the turns, each of which compares runs that followed each other."""
    return statistics.median(kept / none for kept, none in zip(samples.values[*cell, schema], samples.values[*cell, "int_none"]))


def turns():
    for turn in range(TURNS):
        first = turn % len(SCHEMAS)
        yield SCHEMAS[first:] + SCHEMAS[:first]


def sample(server, options):
    samples = Samples()
    for number in range(options.rounds):
        prepare(server, options, SCHEMAS)
        for clients in (1, 4):
            for operation in OPERATIONS:
                for schemas in turns():
                    for schema in schemas:
                        samples.add(operation, clients, schema, single_row(server, options, schema, operation, clients))
        for turn, schemas in enumerate(turns()):
            prepare(server, options, SCHEMAS)
            for operation, statement in bulk_statements("int", options, 100 + number * TURNS + turn):
                for schema in schemas:
                    samples.add(operation, 0, schema, server.timed(schema, statement))
    return samples


def capture(server, options):
    """The same statements below a deferred view, beside a table whose triggers do nothing: they see the same transition tables, and
    their function, in C, returns at once. So *empty* is what PostgreSQL asks for any trigger that could record the rows, and what lies between it and *deferred* is the recording. Single statements: transactions per second as
    a part of those without a trigger; bulk statements: times their time. Medians of pairs of runs that follow each other."""
    server.run(script("int", "empty", options.rows, options.facts))
    samples = sample(server, options)
    rows = []
    for clients in (1, 4):
        for operation in OPERATIONS:
            cell = (operation, clients)
            empty, deferred = (quotient(samples, cell, schema) for schema in SCHEMAS[1:])
            rows.append([operation, clients, rate(samples.median(*cell, "int_none")) + " per second", factor(empty), factor(deferred),
                         factor(deferred / empty)])
    for operation in OPERATIONS:
        cell = (operation, 0)
        empty, deferred = (quotient(samples, cell, schema) for schema in SCHEMAS[1:])
        rows.append([f"{operation}, {options.bulk:,} rows", 1, milliseconds(samples.median(*cell, "int_none")) + " ms", factor(empty),
                     factor(deferred), factor(deferred / empty)])
    return table(["statement", "clients", "no trigger", "empty", "deferred", "deferred / empty"], rows)
