"""Every row of the tables in docs/supported-queries.md has examples in docs/supported-queries.sql, under a line that
repeats its first cell, or the start of it. Each example is explained, and must be accepted with the strategy, or refused with the code, that
the row names. Every code of the closed list is met. The last line is "N passed, N failed"."""

import pathlib
import re
import sys

import psycopg2

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"
STRATEGIES = ("incremental", "scoped", "whole view")


class Row:
    """A row of a table: its construct, whether it is supported, the strategy's cell, the codes that it names."""

    def __init__(self, construct, supported, strategy, codes):
        self.construct, self.supported, self.strategy, self.codes = construct, supported, strategy, codes


def cells_of(line):
    return [cell.strip().replace("\0", "|") for cell in line.strip().strip("|").replace("\\|", "\0").split("|")]


def code_names(text):
    section = text.split("\n## Refusal codes\n", 1)[1]
    return set(re.findall(r"^\| `([a-z-]+)` \|", section, re.M))


def read_rows(text):
    """The rows of all tables whose first column is the construct."""
    codes = code_names(text)

    def named(words):
        return codes.intersection(re.findall(r"`([a-z-]+)`", words))

    rows, header, before = [], None, ""
    for line in text.splitlines():
        if not line.startswith("|"):
            header = None
            before = line if line.strip() else before
        elif header is None:
            header = cells_of(line)
        elif header[0] == "construct" and not set(line) <= set("|- "):
            cells = dict(zip(header, cells_of(line)))
            supported = cells.get("supported", "no") == "yes"
            strategy = cells.get("strategy and cost", "")
            refused_with = named(cells.get("note", "")) if "supported" in cells else named(before)
            rows.append(Row(cells["construct"], supported, strategy, refused_with))
    return rows, codes


def read_examples(text):
    """The statements before the first heading, and by heading the statements below it."""
    parts = re.split(r"^--- (.*)$", text, flags=re.M)

    def statements(part):
        part = re.sub(r"^--.*$", "", part, flags=re.M)
        return [s.strip() for s in re.split(r";[ \t]*$", part, flags=re.M) if s.strip()]

    examples = {}
    for heading, part in zip(parts[1::2], parts[2::2]):
        examples.setdefault(heading.strip(), []).extend(statements(part))
    return statements(parts[0]), examples


def strategy_complaint(cell, met):
    """What is wrong with the strategies met, by the words with which the cell starts."""
    wanted = next((s for s in STRATEGIES if cell.startswith(s)), None)
    if wanted is None:
        return None
    if wanted not in met:
        return f"is not {wanted}: {', '.join(sorted(met))}"
    rank = max(STRATEGIES.index(s) for s in STRATEGIES if s in cell)
    worse = {s for s in met if STRATEGIES.index(s) > rank}
    return f"has a step that is {', '.join(worse)}" if worse else None


class Examples:
    def __init__(self, cursor):
        self.cursor, self.passed, self.complaints, self.met = cursor, 0, [], set()

    def judge(self, row, query):
        self.cursor.execute("SELECT strategy, code, what FROM upkeep.explain(%s)", (query,))
        steps = self.cursor.fetchall()
        code, what = next(((c, w) for _, c, w in steps if c), (None, None))
        if code:
            self.met.add(code)
        if row.supported:
            if code:
                return f"is refused: {code}, {what}"
            return strategy_complaint(row.strategy, {s for s, _, _ in steps if s})
        if not code:
            return "is accepted"
        return f"is refused with {code}" if row.codes and code not in row.codes else None

    def run(self, row, statements):
        for statement in statements:
            if not re.match(r"SELECT\b|WITH\b|[a-z_]+$", statement):
                self.cursor.execute(statement)
                continue
            try:
                complaint = self.judge(row, statement)
            except psycopg2.Error as error:
                complaint = str(error).strip()
            if complaint:
                self.complaints.append(f"{row.construct}\n    {statement}\n    {complaint}")
            else:
                self.passed += 1

    def check(self, rows, examples, codes):
        illustrated = set()
        for heading, statements in examples.items():
            same = [row for row in rows if row.construct == heading]
            code = heading.strip("`")
            if heading == f"`{code}`" and code in codes:
                self.run(Row(heading, False, "", {code}), statements)
                continue
            found = same or [row for row in rows if row.construct.startswith(heading)]
            if len(found) != 1:
                self.complaints.append(f"{heading}\n    starts {len(found)} rows of the tables, not one")
                continue
            illustrated.add(found[0].construct)
            self.run(found[0], statements)
        self.complaints += [f"{row.construct}\n    has no example" for row in rows if row.construct not in illustrated]
        self.complaints += [f"{code}\n    no example is refused with it" for code in sorted(codes - self.met)]


def main():
    rows, codes = read_rows((DOCS / "supported-queries.md").read_text(encoding="utf-8"))
    preparation, examples = read_examples((DOCS / "supported-queries.sql").read_text(encoding="utf-8"))
    connection = psycopg2.connect(dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION upkeep")
        for statement in preparation:
            cursor.execute(statement)
        checks = Examples(cursor)
        checks.check(rows, examples, codes)
    for complaint in checks.complaints:
        print(complaint)
    print(f"{checks.passed} passed, {len(checks.complaints)} failed")
    return 1 if checks.complaints or not checks.passed else 0


sys.exit(main())
