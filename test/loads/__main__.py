"""Workloads of known shape: every view of a set is registered, its tables are changed, and after each transaction every
view is compared with its query. What is refused, and which strategy the others have, must be what the set's file
strategies.txt says. --measure writes what one change costs beside REFRESH, --refreshes what a refresh of deferred views
costs."""

import argparse
import importlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

from measure_change import measure
from measure_refresh import measure_refreshes
from server import Server
from soak import Soak

LOADS = ("tpch", "retail", "nexmark")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="test/loads/run", description=__doc__)
    parser.add_argument("--loads", default=",".join(LOADS), help="which sets, with commas (default %(default)s)")
    parser.add_argument("--scale", type=float, help="scale factor (default: that of a set for seconds)")
    parser.add_argument("--seed", type=int, default=1, help="of rows and changes (default %(default)s)")
    parser.add_argument("--changes", type=int, help="transactions (default: those of a set for seconds)")
    parser.add_argument("--views", help="only these, with commas")
    parser.add_argument("--mode", default="immediate", choices=("immediate", "commit"), help="(default %(default)s)")
    parser.add_argument("--accept", action="store_true", help="write strategies.txt instead of comparing with it")
    parser.add_argument("--refusals", metavar="FILE", help="append what is refused, and why, to a file")
    parser.add_argument("--times", action="store_true", help="show how long maintenance of each view took, beside REFRESH")
    parser.add_argument("--measure", metavar="FILE", help="instead of changes and verify: measure, and append a table to a file")
    parser.add_argument("--refreshes", action="store_true",
                        help="instead: measure refreshes of deferred views after parts of the tables have changed (tpch)")
    parser.add_argument("--fractions", default="0.01,0.1,1", help="these parts, in percent (default %(default)s)")
    parser.add_argument("--write", action="store_true", help="with --refreshes: write the table to docs/workloads.md")
    parser.add_argument("--rounds", type=int, help="changes of a measurement (default 15, or 5 for --refreshes)")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (5 if options.refreshes else 15)
    options.fractions = [float(part) for part in options.fractions.split(",")]
    options.loads = ["tpch"] if options.refreshes else options.loads.split(",")
    options.views = options.views.split(",") if options.views else None
    for load in options.loads:
        if load not in LOADS:
            parser.error(f"no such set: {load}")
    return options


def main():
    options = parse(sys.argv[1:])
    server = Server()
    server.run("CREATE EXTENSION upkeep")
    passed = failed = 0
    for name in options.loads:
        module = importlib.import_module(name)
        load = module.Load(options.scale or module.Load.small, options.seed)
        if options.measure:
            measure(server, name, load, options)
            continue
        if options.refreshes:
            failed += measure_refreshes(server, name, load, options)
            continue
        soak = Soak(server, name, load, options)
        soak.go()
        passed += soak.passed
        failed += soak.failed
    if not options.measure and not options.refreshes:
        print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
