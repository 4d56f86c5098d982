"""Plain text for people: numbers, durations and tables; and a block of lines that a terminal shows in place."""

import shutil
import sys


def number(value):
    return f"{value:,.0f}"


def duration(seconds):
    if seconds is None:
        return ""
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    if seconds >= 0.0009995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1e6:.0f} µs"


def table(heads, rows, left=1):
    """Lines of a table; the first `left` columns are aligned to the left, the others to the right."""
    cells = [list(heads)] + [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ["   ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
             for row in cells]
    lines.insert(1, "   ".join("─" * w for w in widths))
    return ["  " + line for line in lines]


def say(text=""):
    print(text, flush=True)


class Block:
    """Lines that are shown again and again: in place on a terminal."""

    def __init__(self):
        self.height = 0

    def show(self, lines):
        width = shutil.get_terminal_size().columns
        if self.height:
            sys.stdout.write(f"\x1b[{self.height}A")
        for line in lines:
            sys.stdout.write(line[:width - 1] + "\x1b[K\n")
        sys.stdout.flush()
        self.height = len(lines)
