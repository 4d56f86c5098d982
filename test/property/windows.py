"""Window functions, DISTINCT ON and LIMIT, with orders that are total and with orders that leave ties."""
from zlib import crc32

from expressions import AMBIGUOUS, SUMMABLE
from model import Item, Select, quote
from values import SPARE_KINDS, eighths

RANKS = {"rank()": "bigint", "dense_rank()": "bigint", "percent_rank()": "float8", "cume_dist()": "float8"}
FRAMES = ["ROWS UNBOUNDED PRECEDING", "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
          "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW",
          "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"]
PEER_FRAMES = ["", "", "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW", "RANGE UNBOUNDED PRECEDING",
               "GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING EXCLUDE GROUP",
               "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"]
TURNS = ["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]


class Windows:
    """What Sources can lay over the items of a select. The items are all that its windows read, so that an order by all
    of them leaves only copies tied."""

    def sorted(self, sqls):
        return ", ".join(f"{s}{self.rng.choice(TURNS)}" for s in sqls)

    def some(self, items, least, most):
        most = min(most, len(items))
        return [i.sql for i in self.rng.sample(items, self.rng.randint(min(least, most), most))]

    def window(self, items, tied):
        """Returns (sql, kind, determined) of one window function call. `tied`: orders may leave ties that matter."""
        rng = self.rng
        keys = self.some(items, 0, 2) if rng.random() < 0.8 else []
        partition = f"PARTITION BY {', '.join(keys)} " if keys else ""
        self.note("window" if keys else "window over all rows")
        roll = rng.random()
        if roll < 0.25:
            name = rng.choice(list(RANKS))
            call = f"{name} OVER ({partition}ORDER BY {self.sorted(self.some(items, 1, 2))})"
            return eighths(call) if RANKS[name] == "float8" else call, RANKS[name], True
        if roll < 0.5:
            call, kind = self.folded(items)
            order, frame = "", ""
            if rng.random() < 0.6:
                order = f"ORDER BY {self.sorted(self.some(items, 1, 2))} "
                frame = rng.choice(PEER_FRAMES)
            return f"{call} OVER ({partition}{order}{frame})", kind, True
        order = [i.sql for i in items]
        rng.shuffle(order)
        determined = not tied or rng.random() < 0.5
        if not determined:
            order = order[:rng.randint(1, len(order))]
        call, kind, frame = self.ordered(items)
        return f"{call} OVER ({partition}ORDER BY {self.sorted(order)} {frame})", kind, determined

    def folded(self, items):
        numbers = [i for i in items if i.kind in ("int", "smallint")]
        roll = self.rng.random()
        if roll < 0.4 and numbers:
            item = self.rng.choice(numbers)
            return f"sum({item.sql})", SUMMABLE[item.kind]
        item = self.rng.choice(items)
        if roll < 0.7 and item.kind in ("int", "text", "date", "bigint"):
            return f"{self.rng.choice(['min', 'max'])}({item.sql})", item.kind
        return f"count({self.rng.choice(['*', item.sql])})", "bigint"

    def ordered(self, items):
        """A function that depends on the order of rows: (call, kind, frame)."""
        rng = self.rng
        item = rng.choice(items)
        form = rng.choice(["row_number", "row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
                           "rows", "collect"])
        if form == "row_number":
            return "row_number()", "bigint", ""
        if form == "ntile":
            return "ntile(2)", "int", ""
        if form in ("lag", "lead"):
            return f"{form}({item.sql}{rng.choice(['', ', 2'])})", item.kind, ""
        if form in ("first_value", "last_value"):
            return f"{form}({item.sql})", item.kind, rng.choice(["", *FRAMES[:2], FRAMES[3]])
        if form == "nth_value":
            return f"nth_value({item.sql}, 2)", item.kind, rng.choice(["", FRAMES[3]])
        if form == "rows":
            call, kind = self.folded(items)
            return call, kind, rng.choice(FRAMES)
        return f"string_agg(({item.sql})::text, ',')", "text", rng.choice(["", FRAMES[0]])

    def lay_windows(self, select, count, tied=False):
        """Adds window function calls to a select. True: the result is determined."""
        items, determined = list(select.items), True
        # Of rows that are copies, it is open which gets which pair of results of two functions: verify settles that.
        copies = not select.group
        for number in range(count):
            sql, kind, sure = self.window(items, tied)
            determined &= sure and (number == 0 or not copies)
            select.items.append(Item(self.guarded(sql, kind, items), kind, f"w{number}", aggregate=True))
        return determined

    def guarded(self, call, kind, items):
        """The call; for one in three of some kinds a subquery takes its place where it is NULL, without a draw. As far as anybody
        can tell, evaluating that might fail."""
        turn = crc32(call.encode())
        columns = [(t, c) for t in self.schema.tables for c in t.columns if c.kind == kind and not c.wide]
        if turn % 3 or kind not in ("int", "bigint", "date") or not columns:
            return call
        self.note("subquery that a window decides about")
        table, column = columns[turn // 3 % len(columns)]
        self.used.add(table.name)
        tied = [i.sql for i in items if not i.aggregate and i.kind in ("int", "date")]
        ties = [f"guard.{quote(c.name)} = {sql}" for sql, i in zip(tied, items) for c in table.columns if c.kind == i.kind and i.sql == sql]
        where = f" WHERE {ties[turn // 7 % len(ties)]}" if ties and turn // 5 % 4 else ""
        return f"coalesce({call}, (SELECT (SELECT min(guard.{quote(column.name)}) FROM {table.sql()} AS guard{where})))"

    def computed(self, number, order):
        """A number of rows; one in four is read from a table, without a draw."""
        turn = crc32(order.encode())
        if turn % 4 or not number:
            return str(number)
        self.note("limit from a table")
        table = self.schema.tables[turn // 4 % len(self.schema.tables)]
        return f"(SELECT count(*) % {number + 1} FROM {table.sql()})"

    def lay_limit(self, select, tied=False):
        """Makes a select keep its first rows. True: the result is determined."""
        rng = self.rng
        sqls = [i.sql for i in select.items if i.kind not in SPARE_KINDS]
        rng.shuffle(sqls)
        determined = True
        if not select.distinct and sqls and rng.random() < 0.45:
            self.note("distinct on")
            keys = rng.randint(1, min(2, len(sqls)))
            if tied and rng.random() < 0.6:
                sqls, determined = sqls[:rng.randint(keys, len(sqls))], False
            select.distinct_on, select.order = ", ".join(sqls[:keys]), self.sorted(sqls)
            if rng.random() < 0.8:
                return determined and len(sqls) == len(select.items)
        else:
            if tied and rng.random() < 0.5:
                sqls, determined = sqls[:rng.randint(0, len(sqls))], False
            select.order = self.sorted(sqls)
        roll = rng.random()
        self.note("limit" if roll < 0.7 else "offset" if roll < 0.8 else "with ties")
        skipped = f"OFFSET {self.computed(rng.randint(1, 3), select.order)} "
        if roll < 0.7:
            select.limit = f"{skipped if roll < 0.2 else ''}LIMIT {self.computed(rng.randint(0, 6), select.order)}"
        elif roll < 0.8 or not sqls:
            select.limit = skipped
        else:
            select.limit = f"{skipped if roll < 0.85 else ''}FETCH FIRST {rng.randint(1, 4)} ROWS WITH TIES"
        return determined and len(sqls) == len(select.items)

    # As sources of another query: determined, and of kinds whose equal values look alike.

    def windowed_select(self, limit, depth):
        if self.rng.random() < 0.3:
            select, _ = self.grouped_select(limit, depth)
        else:
            select = self.clear_select(limit, depth)
        self.determined &= self.lay_windows(select, self.rng.choice([1, 1, 2]))
        return select, self.columns_of([i for i in select.items if i.kind not in AMBIGUOUS])

    def first_select(self, limit, depth):
        select = self.clear_select(limit, depth)
        self.lay_limit(select)
        return select, self.columns_of(select.items)

    def clear_select(self, limit, depth):
        text, refs, where = self.clause(limit, depth + 1)
        if self.rng.random() < 0.3:
            where = where + [self.expressions.predicate(refs, 1)]
        items = [self.clear_item(refs, f"s{i}") for i in range(self.rng.choice([1, 2, 2, 3]))]
        return Select(items, text, where=where)

    def top_per_group(self, select, names):
        """SELECT … FROM (the select) WHERE its first window function says so."""
        number = next(i for i in select.items if i.name == "w0")
        inner = quote(self.fresh("top"))
        items = [Item(f"{inner}.{quote(i.name)}", i.kind, name, i.wide) for i, name in zip(select.items, names)]
        where = [f"{inner}.w0 {self.rng.choice(['= 1', '<= 2', '> 1'])}" if number.kind in ("bigint", "int") else
                 f"{inner}.w0 IS {self.rng.choice(['', 'NOT '])}NULL"]
        return Select(items, f"({select.render()}) AS {inner}", where=where)
