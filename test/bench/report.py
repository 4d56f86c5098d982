"""Numbers and tables as text."""


def rate(value):
    return f"{value:,.0f}"


def microseconds(value):
    return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def milliseconds(value):
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def factor(value):
    return f"{value:.2f}"


def part(added, added_by_hand):
    """One added time as a part of another; nothing where noise has swallowed one of them."""
    return factor(added / added_by_hand) if added > 0 and added_by_hand > 0 else "-"


def table(heads, rows):
    """The lines of a markdown table; the first column is text, the others stand at the right unless they are words."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(head), *(len(row[i]) for row in cells)) for i, head in enumerate(heads)]
    numeric = [all(row[i] == "" or row[i].strip("*-")[:1].isdigit() or row[i] == "-" for row in cells)
               for i in range(len(heads))]

    def line(row):
        return "| " + " | ".join(cell.rjust(w) if n else cell.ljust(w) for cell, w, n in zip(row, widths, numeric)) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ":" if n else "-" * (w + 2) for w, n in zip(widths, numeric)) + "|"
    return [line(heads), rule] + [line(row) for row in cells]
