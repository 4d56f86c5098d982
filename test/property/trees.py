"""Tables that are partitioned, or have children by inheritance."""
from dataclasses import dataclass, field

from model import Step, Table, quote
from values import type_name

SHARE = 0.3


@dataclass
class Tree:
    """What makes a table the root of a tree."""
    method: str                                     # list, range, hash or inherit
    definitions: list = field(default_factory=list)  # after the root's own
    members: list = field(default_factory=list)     # Tables below the root
    moves: list = field(default_factory=list)       # (statement that takes a member out, that puts it back, member)
    suffix: str = ""


def plant(rng, table):
    """Makes `table` a root, if it can be one."""
    if rng.random() < 0.35:
        table.tree = inherited(rng, table)
        return
    keys = [c for c in table.columns if not c.generated and not c.wide and (not table.key or c.name == table.key[0])
            and c.kind in ("int", "bigint", "smallint", "text", "numeric")]
    if not keys:
        return
    key = rng.choice(keys)
    number = key.kind in ("int", "bigint", "smallint")
    table.tree = partitioned(rng, table, key, rng.choice(["list", "range", "hash"]) if number else "hash")


def column_text(column, key, expression):
    text = f"{quote(column.name)} {type_name(column.kind)}"
    if column.generated:
        return f"{text} GENERATED ALWAYS AS ({expression}) STORED"
    return text + (" NOT NULL" if column.not_null or column.name in key else "")


def apart(rng, table, name):
    """CREATE TABLE of a table that can become a member: columns in another order, and a dropped one."""
    columns = list(table.columns + table.spare)
    rng.shuffle(columns)
    parts = [column_text(c, table.key, table.generated) for c in columns]
    parts.insert(rng.randint(0, len(parts)), "dropped int")
    return [f"CREATE TABLE {quote(name)} ({', '.join(parts)})", f"ALTER TABLE {quote(name)} DROP COLUMN dropped"]


def member(table, name, key):
    return Table(name, table.columns, table.spare, key)


def partitioned(rng, table, key, method):
    tree = Tree(method, suffix=f" PARTITION BY {method.upper()} ({quote(key.name)})")
    bounds = {"list": ["IN (1, 2)", "IN (0, 3)", "DEFAULT"],
              "range": ["FROM (0) TO (2)", "FROM (2) TO (4)", "DEFAULT"],
              "hash": [f"WITH (MODULUS 3, REMAINDER {i})" for i in range(3)]}[method]
    for index, bound in enumerate(bounds):
        name = f"{table.name}_p{index}"
        clause = bound if bound == "DEFAULT" else f"FOR VALUES {bound}"
        attach = f"ALTER TABLE {table.sql()} ATTACH PARTITION {quote(name)} {clause}"
        if index > 0 and rng.random() < 0.4:
            tree.definitions += apart(rng, table, name) + [attach]
        elif rng.random() < 0.25:
            tree.definitions.append(f"CREATE TABLE {quote(name)} PARTITION OF {table.sql()} {clause} "
                                    f"PARTITION BY HASH ({quote(key.name)})")
            for leaf in range(2):
                low = f"{name}_{leaf}"
                tree.definitions.append(f"CREATE TABLE {quote(low)} PARTITION OF {quote(name)} "
                                        f"FOR VALUES WITH (MODULUS 2, REMAINDER {leaf})")
                tree.members.append(member(table, low, table.key))
        else:
            tree.definitions.append(f"CREATE TABLE {quote(name)} PARTITION OF {table.sql()} {clause}")
        tree.members.append(member(table, name, table.key))
        tree.moves.append((f"ALTER TABLE {table.sql()} DETACH PARTITION {quote(name)}", attach, tree.members[-1]))
    return tree


def inherited(rng, table):
    tree = Tree("inherit")
    first, second = f"{table.name}_c0", f"{table.name}_c1"
    tree.definitions.append(f"CREATE TABLE {quote(first)} (heirs_own text) INHERITS ({table.sql()})")
    tree.definitions += apart(rng, table, second)
    tree.definitions.append(f"ALTER TABLE {quote(second)} INHERIT {table.sql()}")
    names = [first, second]
    if rng.random() < 0.4:
        names.append(f"{table.name}_c2")
        tree.definitions.append(f"CREATE TABLE {quote(names[2])} () INHERITS ({quote(first)})")
    for name in names:
        tree.members.append(member(table, name, []))
    for below in tree.members[:2]:
        tree.moves.append((f"ALTER TABLE {below.sql()} NO INHERIT {table.sql()}",
                           f"ALTER TABLE {below.sql()} INHERIT {table.sql()}", below))
    return tree


def change(rng, statements, table):
    """Steps that change the tree: a member leaves, is written to, and mostly comes back."""
    out, back, below = rng.choice(table.tree.moves)
    steps = [Step(out)]
    if rng.random() < 0.6:
        steps.append(Step(statements.plain(rng.choice([below, table]))))
    if rng.random() < 0.8:
        steps.append(Step(back))
    return steps
