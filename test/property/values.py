"""Tiny domains: the values that columns hold, as literals and as COPY text."""
from contextlib import contextmanager

KINDS = [("int", 30), ("text", 14), ("numeric", 10), ("num82", 5), ("bigint", 7), ("smallint", 4),
         ("bool", 5), ("date", 5), ("timestamptz", 7), ("interval", 4), ("float8", 6), ("float4", 2),
         ("money", 3), ("mood", 4), ("timestamp", 4)]
NUMBERS = ["int", "bigint", "smallint", "numeric", "num82", "float8", "float4"]
TIMES = ["date", "timestamp", "timestamptz"]
SPARE_KINDS = ["json", "xml", "point", "bytea", "jsonb"]
TYPE_NAMES = {"num82": "numeric(8,2)"}

LONG_TEXT = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) i)"

DOMAIN = {
    "int": ["0", "1", "1", "2", "2", "3", "-1"],
    "bigint": ["0", "1", "1", "2", "3", "-2"],
    "smallint": ["0", "1", "2", "-1"],
    "numeric": ["0", "1", "1.0", "1.00", "2.50", "-1", "2.5", "0.00"],
    "num82": ["0.00", "1.10", "2.50", "-1.00", "1.00"],
    "text": ["", "a", "a", "b", "A", "ab", "b "],
    "bool": ["true", "false"],
    "date": ["2024-01-01", "2024-01-02", "2024-02-29", "2023-12-31"],
    "timestamptz": ["2024-01-01 00:00:00+00", "2024-01-01 12:30:00+00", "2024-03-31 01:30:00+00",
                    "2023-12-31 23:30:00+00", "2024-03-10 07:30:00+00"],
    "timestamp": ["2024-01-01 00:00", "2024-03-10 02:30", "2024-03-10 03:30", "2023-12-31 19:00"],   # 02:30 is in a gap
    "interval": ["1 mon", "30 days", "1 day", "24:00:00", "-1 day", "0"],
    "float8": ["0", "-0.0", "1", "0.5", "2", "-1.5"],
    "float4": ["0", "-0.0", "1", "0.5", "2.25"],
    "money": ["0.00", "1.50", "2.25", "-1.00"],
    "mood": ["sad", "ok", "happy"],
    "json": ['{"a":1}', '{"a": 1}', "[]"],
    "jsonb": ['{"a": 1}', "[]", '{"b": 1.0}'],
    "xml": ["<a/>", "<b>1</b>"],
    "point": ["(0,0)", "(1,2)"],
    "bytea": ["\\x00", "\\x0102"],
}
SPECIAL = {
    "numeric": ["NaN", "Infinity", "-Infinity"],
    "num82": ["NaN"],
    "float8": ["NaN", "Infinity", "-Infinity"],
    "float4": ["NaN", "Infinity"],
}
WIDE = {
    "int": ["2147483647", "-2147483648"],
    "bigint": ["9223372036854775807", "-9223372036854775808"],
    "smallint": ["32767", "-32768"],
    "numeric": ["1e20", "0.00000000000000000001", "99999999999999999999.9999"],
    "date": ["infinity", "-infinity"],
    "timestamptz": ["infinity"],
    "text": [LONG_TEXT],
}
ROUGH = ["0.1", "1e17", "1e34", "-1e34", "-1e17", "0.3"]


def type_name(kind):
    return TYPE_NAMES.get(kind, kind)


def pick(rng, kind, wide=False, rough=False):
    """Returns the text of a value of `kind`."""
    if wide and kind in WIDE and rng.random() < 0.15:
        return rng.choice(WIDE[kind])
    if rough and kind == "float8" and rng.random() < 0.5:
        return rng.choice(ROUGH)
    if kind in SPECIAL and rng.random() < 0.06:
        return rng.choice(SPECIAL[kind])
    return rng.choice(DOMAIN[kind])


def literal(rng, kind, wide=False, rough=False):
    """Returns a typed SQL literal."""
    text = pick(rng, kind, wide, rough)
    if kind == "bool" or text == LONG_TEXT:
        return text
    if kind == "int" and len(text) < 5:
        return f"({text})" if text.startswith("-") else text
    return f"'{text}'::{type_name(kind)}"


def copy_text(rng, kind, wide=False, rough=False):
    """Returns a value in COPY's text format."""
    text = pick(rng, kind, False, rough)
    return text.replace("\\", "\\\\")


@contextmanager
def beside(rng):
    """A stream of its own for what was added later, so that seeds stay what they were."""
    state = rng.getstate()
    rng.seed(repr(state[1][:8]) + repr(state[1][-1]))
    yield
    rng.setstate(state)


def eighths(sql):
    """A part of one, rounded: what a view above sums up depends on no order, as it does of the other floats here."""
    return f"(floor(8 * {sql}) / 8)"
