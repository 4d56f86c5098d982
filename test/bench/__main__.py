"""What maintenance costs: no view, hand-written triggers and upkeep, in one run on one server."""

import argparse
import datetime
import os
import sys

from measure import Failure, Server, progress
from parts import PARTS
from schemas import KEEPERS, MODES, VIEWS, script

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "benchmarks.md")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="test/bench/run", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the aggregated table (default %(default)s)")
    parser.add_argument("--facts", type=int, default=300_000, help="rows of the joins' fact table (default %(default)s)")
    parser.add_argument("--bulk", type=int, default=100_000, help="rows of a bulk statement (default %(default)s)")
    parser.add_argument("--loop", type=int, default=20_000, help="rows of a round of the loop (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; medians are reported (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=1, help="seconds of each pgbench run (default %(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, with commas (default %(default)s)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args(arguments)
    options.parts = options.parts.split(",")
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"no such part: {part}")
    return options


def settings(server):
    names = ("server_version", "shared_buffers", "work_mem", "fsync", "full_page_writes", "synchronous_commit",
             "autovacuum", "jit", "max_wal_size")
    return [(name, server.run(f"SHOW {name}")[0][0].split(" ")[0]) for name in names]


def check(server, views):
    """What was measured was also right: every view is what its query says, kept by hand or by upkeep."""
    for view in views:
        query = VIEWS[view][0]
        server.run(f"SET search_path = {view}_hand, public")
        wrong = server.run(f"SELECT count(*) FROM ((TABLE v EXCEPT ALL {query}) UNION ALL ({query} EXCEPT ALL TABLE v)) d")
        if wrong != [(0,)]:
            raise Failure(f"the hand-written triggers of {view}_hand left {wrong[0][0]} wrong rows")
        for mode in MODES:
            if mode == "deferred":
                server.run(f"SELECT upkeep.refresh('{view}_{mode}.v')")
            if server.run(f"SELECT * FROM upkeep.verify('{view}_{mode}.v') LIMIT 1"):
                raise Failure(f"{view}_{mode}.v is not what its query says")
    server.run("RESET search_path")


def page(server, options, sections):
    lines = ["# Benchmarks", "",
             "What keeping a view up to date adds to the statements that change its tables, in each mode, beside no view at all and",
             "beside hand-written PL/pgSQL statement triggers over transition tables (`test/bench/schemas.py` has them). Views of",
             "mode `deferred` log the changes; where writers are measured, they are refreshed between the rounds.",
             "Read the ratios first: absolute times are those of one machine.", "",
             f"* Reproduce with `make bench` (`test/bench/run --help` has the options; `--write` writes this page).",
             f"* Machine: {os.cpu_count()} cores; server and client on the same ones. Date: {datetime.date.today()}.",
             f"* {options.rows:,} rows in {1000:,} groups; joins over {options.facts:,} rows; {options.bulk:,} rows in a bulk"
             " statement.",
             f"* Medians of {options.rounds} rounds in which the variants take turns.",
             "* Settings: " + ", ".join(f"`{name} = {value}`" for name, value in settings(server)) + ".",
             "  No disk is waited for (`fsync = off`), so that work is compared and not the disk; but for the part on durable commits.",
             "* After the run every view was compared with its query: no differences."]
    for title, function, text in sections:
        lines += ["", f"## {title}", "", function.__doc__, ""] + text
    return "\n".join(lines) + "\n"


def main():
    options = parse(sys.argv[1:])
    server = Server()
    views = [view for view in VIEWS if any(view in PARTS[part][2] for part in options.parts)]
    with progress("tables"):
        server.run("CREATE EXTENSION upkeep")
        for view in views:
            for keeper in KEEPERS:
                server.run(script(view, keeper, options.rows, options.facts))
                if keeper == "deferred":
                    server.run(f"SELECT upkeep.refresh('{view}_{keeper}.v')")
    sections = []
    for part in options.parts:
        title, function, _ = PARTS[part]
        with progress(part):
            text = function(server, options)
        sections.append((title, function, text))
        print("\n".join(["", title, ""] + text + [""]), flush=True)
    with progress("check"):
        check(server, views)
    if options.write:
        os.makedirs(os.path.dirname(PAGE), exist_ok=True)
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(page(server, options, sections))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        sys.exit(1)
