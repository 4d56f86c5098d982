"""Mode agreement: a case's first view once more in each other mode, over the same tables and under the same script."""
import re

from engines import Upkeep

MODES = ("immediate", "commit", "deferred", "manual")

DIFFERENCE = """(SELECT '{mode} only', r::text FROM {a} r EXCEPT ALL SELECT '{mode} only', r::text FROM {b} r)
UNION ALL (SELECT 'not {mode}', r::text FROM {b} r EXCEPT ALL SELECT 'not {mode}', r::text FROM {a} r)"""


class OtherModes:
    """Copies of a view. They are brought up to date and compared wherever no transaction is open: by the text of their
    rows where the query leaves no choice, and in any case by verify at the end."""

    def __init__(self, view, mode):
        self.view = view
        # As if its rows were a thousand times as many, a third of the views is refreshed: then states are left out by what
        # computes a view anew, and built again later.
        self.costly = len(view.query.render()) % 3 == 0
        # Of two of their keys that are one column of a subquery the server mistakes one for the other (limitations.md).
        self.grouping_sets = bool(re.search(r"\b(ROLLUP|CUBE|GROUPING SETS)\b", view.query.render()))
        self.engines = {f"{view.name}_{other}": Upkeep(other) for other in MODES if other != mode}

    def statements(self):
        for name, engine in self.engines.items():
            yield f"CREATE MATERIALIZED VIEW {name} AS\n{self.view.query.render()}"
            yield f"SELECT upkeep.register('{name}', '{engine.mode}')"

    def start(self, server):
        for statement in self.statements():
            server.execute(statement)

    def check(self, server, last):
        """Returns (mode, rows that are wrong) of the first that differs, or None."""
        if self.costly:
            server.execute("SET cpu_tuple_cost = 10")
        for name, engine in self.engines.items():
            if engine.mode in ("deferred", "manual"):
                server.execute(f"SELECT upkeep.refresh('{name}')")
        if self.costly:
            server.execute("RESET cpu_tuple_cost")
        for name, engine in self.engines.items():
            wrong = []
            if self.view.compare == "text":
                wrong = server.rows(DIFFERENCE.format(mode=engine.mode, a=name, b=self.view.name))
            if wrong and engine.mode == "manual" and self.grouping_sets or not wrong and last:
                wrong = server.rows(
                    f"SELECT 'state ' || state::text, coalesce(why::text, '') FROM upkeep.views "
                    f"WHERE view = '{name}'::regclass AND state::text <> 'active' UNION ALL "
                    f"SELECT side, contents FROM upkeep.verify('{name}')")
            if wrong:
                return engine.mode, wrong
        return None
