"""Plain data that the generator makes and the runner consumes."""
import re
from dataclasses import dataclass, field
from typing import Optional

RESERVED = {"select", "table", "order", "group", "user", "from", "where", "end"}


def quote(name):
    """Returns `name` as an SQL identifier, quoted only where it must be."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Column:
    """A column of a base table or of a derived one. `wide` columns may hold extreme values."""
    name: str
    kind: str
    wide: bool = False
    not_null: bool = False
    generated: bool = False


@dataclass
class Table:
    name: str
    columns: list
    spare: list                              # columns of types that no view can compare
    key: list = field(default_factory=list)  # names of the primary key's columns
    parent: Optional[tuple] = None           # (column name, referenced table)
    tree: Optional[object] = None            # see trees.py
    generated: str = "1"                     # the expression of its generated column

    def sql(self):
        return quote(self.name)

    def writable(self):
        return [c for c in self.columns + self.spare if not c.generated]


@dataclass
class Ref:
    """A column as an expression can write it."""
    sql: str
    kind: str
    wide: bool = False


@dataclass
class Item:
    """One output column of a select. `bare` marks a group key or an aggregate by itself."""
    sql: str
    kind: str
    name: str
    wide: bool = False
    bare: bool = True
    inexact: bool = False     # a float result that depends on the order of the input
    aggregate: bool = False

    def render(self):
        return f"{self.sql} AS {quote(self.name)}"


def with_clause(ctes):
    word = "WITH RECURSIVE" if any(c.startswith("recursive") for c in ctes) else "WITH"
    return f"{word} " + ",\n  ".join(ctes)


@dataclass
class Select:
    items: list
    source: str
    ctes: list = field(default_factory=list)
    distinct: bool = False
    where: list = field(default_factory=list)
    group: list = field(default_factory=list)
    having: list = field(default_factory=list)
    order: str = ""
    distinct_on: str = ""
    limit: str = ""

    def render(self):
        parts = []
        if self.ctes:
            parts.append(with_clause(self.ctes))
        head = "SELECT DISTINCT " if self.distinct else "SELECT "
        head += f"DISTINCT ON ({self.distinct_on}) " if self.distinct_on else ""
        parts.append(head + ", ".join(i.render() for i in self.items))
        parts.append("FROM " + self.source)
        if self.where:
            parts.append("WHERE " + " AND ".join(self.where))
        if self.group:
            parts.append("GROUP BY " + ", ".join(self.group))
        if self.having:
            parts.append("HAVING " + " AND ".join(self.having))
        if self.order:
            parts.append("ORDER BY " + self.order)
        if self.limit:
            parts.append(self.limit)
        return "\n".join(parts)


@dataclass
class Union:
    """Set operations on selects with as many columns each; UNION ALL unless `operators` says otherwise."""
    arms: list
    order: str = ""
    operators: list = field(default_factory=list)
    limit: str = ""
    ctes: list = field(default_factory=list)

    @property
    def items(self):
        return self.arms[0].items

    def render(self):
        text = "(" + self.arms[0].render() + ")"
        for arm, operator in zip(self.arms[1:], self.operators + ["UNION ALL"] * len(self.arms)):
            text += f"\n{operator}\n({arm.render()})"
        if self.ctes:
            text = with_clause(self.ctes) + "\n" + text
        return text + ("\nORDER BY " + self.order if self.order else "") + ("\n" + self.limit if self.limit else "")


@dataclass
class View:
    name: str
    query: object
    helpers: list                # CREATE VIEW statements that it stands on
    shape: str                   # for the breakdown in the report
    compare: str = "text"        # how the independent oracle may compare: text, equal, none
    tables: set = field(default_factory=set)     # names of the base tables that it reads
    fallible: bool = False       # its own expressions may fail on legal data
    indexes: list = field(default_factory=list)
    features: list = field(default_factory=list)     # kinds of operators.py

    def create(self):
        return (f"CREATE MATERIALIZED VIEW {self.name} AS\n{self.query.render()}")


@dataclass
class Step:
    """One statement. `kind`: dml, begin, end, savepoint, back, release, set."""
    sql: str
    kind: str = "dml"
    data: Optional[str] = None   # for COPY FROM stdin

    def script(self):
        text = self.sql + ";"
        return text if self.data is None else f"{text}\n{self.data}\\."


@dataclass
class Case:
    """Everything that one seed stands for, as SQL text."""
    seed: int
    setup: list = field(default_factory=list)      # DDL that must stay
    optional: list = field(default_factory=list)   # rows, indexes, triggers: may be dropped when shrinking
    views: list = field(default_factory=list)
    transactions: list = field(default_factory=list)
    fallible: bool = False
    tables: list = field(default_factory=list)
