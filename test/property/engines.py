"""What stands between a script and the truth: upkeep itself, or REFRESH for the self-test."""
import psycopg2

TEXT = """(SELECT 'view', r::text FROM {v} r EXCEPT ALL SELECT 'view', r::text FROM ({q}) r)
UNION ALL (SELECT 'query', r::text FROM ({q}) r EXCEPT ALL SELECT 'query', r::text FROM {v} r)"""
EQUAL = """(SELECT 'view', r::text FROM (SELECT * FROM {v} EXCEPT ALL ({q})) r)
UNION ALL (SELECT 'query', r::text FROM (SELECT * FROM ({q}) z EXCEPT ALL SELECT * FROM {v}) r)"""


def differences(server, view):
    """The independent oracle: rows of the view and not of its query, or the reverse; [] also where it cannot tell."""
    if view.compare == "none":
        return []
    form = TEXT if view.compare == "text" else EQUAL
    return server.rows(form.format(v=view.name, q=view.query.render()))


class Upkeep:
    """Immediate mode: right after every statement; commit mode: after a commit; both beside an immediate view (which may
    read it) where the case has two; deferred and manual mode: after refresh(), the former after several transactions
    now and then."""

    def __init__(self, mode):
        self.mode = mode
        self.turn = 0

    def mode_of(self, view):
        return "immediate" if self.mode in ("commit", "deferred") and view.name == "v2" else self.mode

    def is_settled(self, view, last):
        """Is the view to be brought up to date and checked now, outside a transaction?"""
        self.turn += 1
        return last or self.mode_of(view) != "deferred" or self.turn % 5 > 1

    def is_right_inside(self, view):
        """Is the view right after each statement of a transaction?"""
        return self.mode_of(view) == "immediate"

    def register(self, server, view):
        """Returns (strategy, None), or (None, reason) for a refusal."""
        try:
            server.execute(f"SELECT upkeep.register('{view.name}', '{self.mode_of(view)}')")
        except psycopg2.Error as error:
            if error.pgcode != "0A000":
                raise
            return None, reason(error)
        return server.rows(f"SELECT strategy FROM upkeep.views WHERE view = '{view.name}'::regclass")[0][0], None

    def settle(self, server, view):
        """Brings the view up to date where the mode asks for it."""
        if self.mode_of(view) in ("deferred", "manual"):
            server.execute(f"SELECT upkeep.refresh('{view.name}')")

    def check(self, server, view):
        """Returns the rows that are wrong, as (side, contents)."""
        return server.rows(f"SELECT 'state ' || state::text, coalesce(why::text, '') FROM upkeep.views "
                           f"WHERE view = '{view.name}'::regclass AND state::text <> 'active' UNION ALL "
                           f"SELECT side, contents FROM upkeep.verify('{view.name}')")


class Refresh:
    """The self-test: shows that generator, script and oracle work, without the extension."""
    mode = "self-test"

    def mode_of(self, view):
        return self.mode

    def is_right_inside(self, view):
        return True

    def is_settled(self, view, last):
        return True

    def register(self, server, view):
        return "refresh", None

    def settle(self, server, view):
        server.execute(f"REFRESH MATERIALIZED VIEW {view.name}")

    def check(self, server, view):
        return differences(server, view)


def reason(error):
    """A refusal without the names of one seed."""
    import re
    text = error.diag.message_primary or ""
    if error.diag.message_detail:
        text += " | " + error.diag.message_detail
    return re.sub(r'"[^"]*"', '"…"', text)[:160]
