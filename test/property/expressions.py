"""Random scalar expressions, predicates and aggregate calls, right by type."""
import re
from zlib import crc32

from model import Ref
from values import NUMBERS, SPARE_KINDS, TIMES, literal, type_name

# {kind} stands for any expression of that kind, {kind!} for a literal.
FORMS = {
    "int": ["({int} + {int!})", "({int} * 2)", "length({text})", "({int} % 3)", "({smallint} + {int})",
            "abs({int})", "({date} - {date})", "extract(dow from {timestamptz})::int", "({bool})::int",
            "cardinality(array[{int}, {int}])", "({int} - {int})", "strpos({text}, 'a')"],
    "bigint": ["({bigint} + {int})", "({int})::bigint", "({int} + {bigint})", "({bigint} % 2::bigint)"],
    "smallint": ["({smallint} % 2::smallint)", "(- {smallint})"],
    "numeric": ["({numeric} + {numeric!})", "({numeric} * {int})", "round({numeric}, 1)", "({int})::numeric",
                "({numeric} / nullif({numeric}, 0))", "trunc({numeric}, 1)", "(- {numeric})",
                "extract(epoch from {timestamptz})", "({num82} * 1.5)", "({numeric})::numeric(10,3)"],
    "num82": [],
    "text": ["({text} || {text})", "upper({text})", "lower({text})", "left({text}, 1)", "substr({text}, 2)",
             "to_char({timestamptz}, 'YYYY-MM-DD HH24')", "({int})::text", "({mood})::text", "({date})::text",
             "replace({text}, 'a', 'b')", "to_char({int}, '990')", "trim({text})",
             "(row({int}, {text}))::text", "(array[{int}, {int}])::text", "({interval})::text",
             "({numeric})::text", "({money})::text", "({float8})::text", "({timestamptz})::text",
             "concat({text}, {int})", "({text} || {int})", "({bool})::text"],
    "date": ["({date} + {int!})", "({timestamptz})::date", "date_trunc('month', {date})::date",
             "({date})"],
    "timestamptz": ["date_trunc('day', {timestamptz})", "date_trunc('hour', {timestamptz})",
                    "({timestamptz} + {interval!})", "({date})::timestamptz",
                    "date_trunc('day', {timestamptz}, 'Europe/Berlin')"],
    "timestamp": ["({timestamptz} at time zone 'UTC')", "({date} + {interval!})",
                  "date_trunc('day', {timestamptz} at time zone 'Asia/Tokyo')"],
    "interval": ["({interval} + {interval!})", "({timestamptz} - {timestamptz})", "justify_hours({interval})",
                 "(- {interval})", "({interval} * 2)"],
    "float8": ["({float8} + {float8})", "({float8} * 2)", "(- {float8})", "({int})::float8", "abs({float8})",
               "({float4})::float8"],
    "float4": ["({float4} + {float4})", "(- {float4})"],
    "money": ["({money} + {money})", "({money} * 2)", "({int})::money"],
    "mood": [],
    "int[]": ["array[{int}, {int}]", "array[{int}, null, 2]", "({int} || array[{int}])"],
}
GENERIC = ["CASE WHEN {bool} THEN {same} ELSE {same} END", "coalesce({same}, {same!})", "nullif({same}, {same})",
           "CASE WHEN {bool} THEN {same} END", "greatest({same}, {same!})", "least({same}, {same})",
           "coalesce({same}, {same})"]
BOOLEAN = ["({bool} AND {bool})", "({bool} OR {bool})", "(NOT {bool})", "({bool} IS TRUE)",
           "({bool} IS NOT TRUE)", "({text} LIKE 'a%')", "({text} ~ '^a')", "({int} IN (1, 2))",
           "({int} NOT IN (0, 3))", "({int} = ANY (array[1, 2, {int}]))", "({text} IN ('a', 'b', {text}))",
           "(row({int}, {text}) = row({int}, {text}))", "(({int}, {int}) < ({int}, {int}))",
           "({int} BETWEEN {int} AND {int!})", "({text} NOT LIKE '%b')", "({mood} > 'sad')"]
OPERATORS = ["=", "=", "<>", "<>", "<", "<=", ">", ">=", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
PRODUCED = [k for k in FORMS if k not in ("num82", "mood")]
AMBIGUOUS = {"numeric", "float8", "float4", "interval"}   # equal values with different images
HOLE = re.compile(r"\{([a-z0-9\[\]]+)(!?)\}")


class Expressions:
    """Grows expressions over a list of Refs. `rough`: floats whose sums depend on the order."""

    def __init__(self, rng, rough=False):
        self.rng = rng
        self.rough = rough

    def of(self, refs, kind, depth=2):
        """Returns an expression of exactly `kind`."""
        rng = self.rng
        if kind == "bool":
            return self.predicate(refs, depth)
        if depth <= 0 or rng.random() < 0.4:
            return self.leaf(refs, kind)
        forms = FORMS.get(kind, [])
        if kind == "float8" and not self.rough:
            forms = [f for f in forms if "int" in f or "float" in f]
        form = rng.choice(GENERIC) if not forms or rng.random() < 0.3 else rng.choice(forms)
        return self.fill(form, refs, kind, depth - 1)

    def fill(self, form, refs, same, depth):
        def put(match):
            kind = same if match[1] == "same" else match[1]
            if match[2]:
                return self.literal(kind)
            return self.of(refs, kind, depth)
        return HOLE.sub(put, form)

    def leaf(self, refs, kind):
        found = [r for r in refs if r.kind == kind or (kind == "numeric" and r.kind == "num82")]
        if found and self.rng.random() < 0.9:
            return self.rng.choice(found).sql
        return self.literal(kind)

    def literal(self, kind):
        if kind == "int[]":
            return self.rng.choice(["'{1,2}'::int[]", "array[0, 1]"])
        return literal(self.rng, kind, rough=self.rough)

    def predicate(self, refs, depth=2):
        rng = self.rng
        refs = [r for r in refs if r.kind not in SPARE_KINDS]
        roll = rng.random()
        if depth > 0 and roll < 0.3:
            return self.fill(rng.choice(BOOLEAN), refs, "bool", depth - 1)
        if refs and roll < 0.42:
            return f"({rng.choice(refs).sql} IS {rng.choice(['', 'NOT '])}NULL)"
        flags = [r for r in refs if r.kind == "bool"]
        if flags and roll < 0.5:
            return rng.choice(flags).sql
        return self.compare(refs, depth)

    def compare(self, refs, depth):
        rng = self.rng
        usable = [r for r in refs if r.kind not in ("bool",)]
        if not usable:
            return rng.choice(["(1 = 1)", "(1 = 1)", "(NULL = 1)"])
        ref = rng.choice(usable)
        kind = "numeric" if ref.kind == "num82" else ref.kind
        if rng.random() < 0.5:
            other = self.literal(kind)
        else:
            same = [r.sql for r in usable if r.sql != ref.sql and comparable(r.kind, ref.kind)]
            other = rng.choice(same) if same else self.of(refs, kind, depth - 1)
        return f"({ref.sql} {rng.choice(OPERATORS)} {other})"

    def kinds(self, refs):
        """Kinds that make a sensible expression over `refs`."""
        present = {r.kind for r in refs} - set(SPARE_KINDS)
        return sorted(present | {"int", "text"} | ({"timestamp"} if "timestamptz" in present else set())
                      | ({"int[]"} if "int" in present else set()))


def comparable(a, b):
    if a in SPARE_KINDS or b in SPARE_KINDS:
        return False
    return a == b or (a in NUMBERS and b in NUMBERS) or (a in TIMES and b in TIMES)


SUMMABLE = {"smallint": "bigint", "int": "bigint", "bigint": "numeric", "numeric": "numeric", "num82": "numeric",
            "float8": "float8", "float4": "float4", "interval": "interval", "money": "money"}
AVERAGE = {"smallint": "numeric", "int": "numeric", "bigint": "numeric", "numeric": "numeric", "num82": "numeric",
           "float8": "float8", "float4": "float8", "interval": "interval"}
SPREAD = ["var_pop", "var_samp", "variance", "stddev", "stddev_pop", "stddev_samp"]
FLOATS = {"float8", "float4"}


class Aggregate:
    """An aggregate call: its text, result kind, and how far its result is determined."""

    def __init__(self, sql, kind, inexact=False, ambiguous=False):
        self.sql, self.kind, self.inexact, self.ambiguous = sql, kind, inexact, ambiguous


# Of which equal values have one form, so that it is determined what is added up.
DISTINCT = {"smallint", "int", "bigint", "num82", "money"}
COUNTED = DISTINCT | {"text", "date", "timestamptz", "mood", "bool", "numeric", "float8", "float4", "interval"}


def distinct(sql, kind, kinds=DISTINCT):
    """DISTINCT for every fifth argument, without a draw: what other seeds stand for stays."""
    return "DISTINCT " if kind in kinds and crc32(sql.encode()) % 5 == 0 else ""


class Aggregates:
    def __init__(self, rng, expressions):
        self.rng = rng
        self.expressions = expressions

    def any(self, refs):
        """Returns a random Aggregate over `refs`."""
        rng = self.rng
        family = rng.choices(["star", "count", "sum", "avg", "minmax", "bool", "spread", "whole"],
                             [16, 14, 24, 14, 18, 6, 8, 4])[0]
        call = getattr(self, family)(refs)
        if rng.random() < 0.2 and call.kind != "array":
            call.sql += f" FILTER (WHERE {self.expressions.predicate(refs, 1)})"
        return call

    def argument(self, refs, kinds):
        """Returns (expression, kind) for an argument of one of `kinds`."""
        rng = self.rng
        found = [r for r in refs if r.kind in kinds]
        if found and rng.random() < 0.75:
            ref = rng.choice(found)
            return ref.sql, ref.kind
        present = [r.kind for r in found] or ["int"]
        kind = rng.choice(present)
        kind = "numeric" if kind == "num82" else kind
        return self.expressions.of(refs, kind, 2), kind

    def star(self, refs):
        return Aggregate("count(*)", "bigint")

    def count(self, refs):
        usable = [r for r in refs if r.kind not in SPARE_KINDS]
        if usable and self.rng.random() < 0.8:
            ref = self.rng.choice(usable)
            return Aggregate(f"count({distinct(ref.sql, ref.kind, COUNTED)}{ref.sql})", "bigint")
        return Aggregate(f"count({self.expressions.of(refs, 'int', 2)})", "bigint")

    def sum(self, refs):
        sql, kind = self.argument(refs, SUMMABLE)
        return Aggregate(f"sum({distinct(sql, kind)}{sql})", SUMMABLE[kind], inexact=kind in FLOATS and self.expressions.rough)

    def avg(self, refs):
        sql, kind = self.argument(refs, AVERAGE)
        return Aggregate(f"avg({distinct(sql, kind)}{sql})", AVERAGE[kind], inexact=kind in FLOATS and self.expressions.rough)

    def minmax(self, refs):
        kinds = set(SUMMABLE) | {"text", "date", "timestamptz", "mood"}
        sql, kind = self.argument(refs, kinds)
        result = "numeric" if kind == "num82" else kind
        return Aggregate(f"{self.rng.choice(['min', 'max'])}({sql})", result, ambiguous=kind in AMBIGUOUS)

    def bool(self, refs):
        name = self.rng.choice(["bool_and", "bool_or", "every"])
        return Aggregate(f"{name}({self.expressions.predicate(refs, 1)})", "bool")

    def whole(self, refs):
        """Aggregates that have no inverse: their groups are read again."""
        usable = [r for r in refs if r.kind in ("int", "bigint", "text", "date", "num82", "mood")]
        texts = [r.sql for r in usable if r.kind == "text"]
        if texts and self.rng.random() < 0.4:
            return Aggregate(f"string_agg({texts[0]}, ',' ORDER BY {texts[0]})", "text")
        sql = self.rng.choice(usable).sql if usable else "1"
        form = self.rng.choice(["count(DISTINCT {0})", "array_agg({0} ORDER BY {0})::text", "count(DISTINCT {0})"])
        if form.startswith("array"):
            return Aggregate(f"(array_agg({sql} ORDER BY {sql}))", "array")
        return Aggregate(form.format(sql), "bigint")

    def spread(self, refs):
        sql, kind = self.argument(refs, [k for k in NUMBERS])
        result = "float8" if kind in FLOATS else "numeric"
        return Aggregate(f"{self.rng.choice(SPREAD)}({distinct(sql, kind)}{sql})", result, inexact=kind in FLOATS)


def cast_null(kind):
    return f"NULL::{type_name(kind)}"


def refs_of(columns, prefix, quote):
    return [Ref(f"{prefix}.{quote(c.name)}", c.kind, c.wide) for c in columns]
