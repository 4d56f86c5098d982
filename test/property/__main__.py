"""Property test: random views stay right under random transactions. See README.md beside this file."""
import argparse
import collections
import faulthandler
import multiprocessing
import os
import signal
import sys
import time

import psycopg2

import work

HERE = os.path.dirname(os.path.abspath(__file__))
ACCEPTED_AT_LEAST = 90.0
SLOW_AT_MOST = 1000  # one in so many
HUNG = 150          # seconds without any result: longer than shrinking or cancelling may take


def arguments():
    parser = argparse.ArgumentParser(prog="test/property/run")
    parser.add_argument("--seed", type=int, default=1, help="first seed; view i uses seed + i")
    parser.add_argument("--count", type=int, default=2000, help="number of views")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dsn", default="", help="libpq connection string; the environment (PGHOST, ...) fills the rest")
    parser.add_argument("--mode", default="mixed", choices=["mixed", "immediate", "commit", "deferred", "manual"],
                        help="mixed: by the seed immediate, commit or deferred")
    parser.add_argument("--modes", default="all", choices=["all", "some", "one"],
                        help="how many seeds run in all modes at once, and are compared: all, every eighth, or none")
    parser.add_argument("--self-test", action="store_true", help="REFRESH instead of the extension")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--no-replay", action="store_true", help="leave out the seeds that failed once")
    parser.add_argument("--stop-after", type=int, default=25, help="end after this many failures; 0: never")
    parser.add_argument("--failures", default=os.path.join(HERE, "..", "..", "build", "property-failures"))
    return parser.parse_args()


def open_seeds():
    """Seeds of known faults that are not mended yet, from the file `open`: shown, and not counted as failures."""
    with open(os.path.join(HERE, "open")) as lines:
        return {int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")}


def old_seeds():
    """Seeds that failed once, from the file `seeds`."""
    path = os.path.join(HERE, "seeds")
    if not os.path.exists(path):
        return []
    with open(path) as lines:
        words = [line.split("#")[0].strip() for line in lines]
    return [int(w) for w in words if w]


def make_databases(dsn, jobs, extension):
    """Creates one database per job. Returns their connection strings and names."""
    admin = psycopg2.connect(dsn or "dbname=" + os.environ.get("PGDATABASE", "postgres"))
    admin.autocommit = True
    cursor = admin.cursor()
    made = []
    for index in range(jobs):
        name = f"upkeep_property_{os.getpid()}_{index}"
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        made.append((f"{dsn} dbname={name}", name))
        if extension:
            connection = psycopg2.connect(made[-1][0])
            connection.autocommit = True
            connection.cursor().execute("CREATE EXTENSION upkeep; SELECT 'upkeep.register'::regproc, "
                                        "'upkeep.verify'::regproc")
            connection.close()
    admin.close()
    return made


def drop_databases(dsn, names):
    admin = psycopg2.connect(dsn or "dbname=" + os.environ.get("PGDATABASE", "postgres"))
    admin.autocommit = True
    for name in names:
        try:
            admin.cursor().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        except psycopg2.Error as error:
            print(f"could not drop {name}: {error}", file=sys.stderr)
    admin.close()


class Report:
    """Counts results, prints failures as they come and the breakdown at the end."""

    def __init__(self, options):
        self.options = options
        self.status = collections.Counter()
        self.strategies = collections.Counter()
        self.refusals = collections.Counter()
        self.kinds = collections.Counter()
        self.features = collections.Counter()
        self.shapes = collections.defaultdict(collections.Counter)
        self.rejected = self.statements = 0
        self.failed_seeds = []
        self.open_seeds = open_seeds()
        self.done = set()
        self.began = time.monotonic()

    def add(self, result):
        seed, status, what, detail, rejected, statements, shape, features = result
        self.done.add(seed)
        self.status[status] += 1
        self.rejected += rejected
        self.statements += statements
        self.shapes[shape or "?"][status] += 1
        if status in ("passed", "failed", "slow"):
            self.features.update(features + ["any of these"] * bool(features))
        if status == "passed":
            self.strategies[what] += 1
        elif status == "refused":
            self.refusals[what] += 1
        elif status == "failed":
            self.kinds[what] += 1
            self.failed_seeds.append(seed)
        if status in ("failed", "slow"):
            mode = " --self-test" if self.options.self_test else (
                f" --mode {self.options.mode}" if self.options.mode != "mixed" else "")
            mode += f" --modes {self.options.modes}" if self.options.modes != "all" else ""
            print(f"{status.upper()} seed {seed}: {what}\n{indent(detail)}\n"
                  f"  repeat: test/property/run --seed {seed} --count 1 --jobs 1 --no-replay{mode}", flush=True)

    def hung(self, seeds):
        """Counts seeds from which nothing is heard any more as failed."""
        for seed in seeds:
            self.add((seed, "failed", "no end", "neither a result nor an answer to a cancel request", 0, 0, "", []))

    def finish(self):
        """Prints the summary. Returns the exit status."""
        total = sum(self.status.values())
        judged = total - self.status["skipped"]
        accepted = self.status["passed"] + self.status["failed"] + self.status["slow"]
        share = 100.0 * accepted / judged if judged else 0.0
        seconds = time.monotonic() - self.began
        print(f"{self.statements} statements in {seconds:.0f} s, {1000 * seconds / max(total, 1):.0f} ms a view; "
              f"{self.rejected} generated queries that PostgreSQL rejects, {self.status['skipped']} seeds without a view")
        table("strategy", self.strategies)
        table("refused", self.refusals)
        table("failed", self.kinds)
        table("accepted with", self.features)
        for shape, counts in sorted(self.shapes.items()):
            print(f"  shape {shape}: " + ", ".join(f"{n} {s}" for s, n in sorted(counts.items())))
        if self.failed_seeds:
            print("failed seeds: " + " ".join(map(str, sorted(self.failed_seeds))))
        known = [seed for seed in self.failed_seeds if seed in self.open_seeds]
        if known:
            print("known and open, not counted: " + " ".join(map(str, sorted(known))))
        failed = self.status["failed"] - len(known)
        print(f"accepted {accepted} of {judged} ({share:.1f} %)")
        if share < ACCEPTED_AT_LEAST and judged >= 100:
            print(f"fewer than {ACCEPTED_AT_LEAST:.0f} % accepted: the run shows too little")
            failed += 1
        slow = self.status["slow"]
        if slow > 1 + total // SLOW_AT_MOST:
            print(f"more than one in {SLOW_AT_MOST} is too slow to judge")
            failed += 1
        print(f"{self.status['passed'] + self.status['refused'] + slow} passed, {failed} failed")
        return 1 if failed else 0


def table(title, counter):
    for what, count in counter.most_common(60):
        print(f"  {title} {count:5d}  {what}")


def indent(text):
    return "\n".join("  " + line for line in text.splitlines()[:40])


def main():
    options = arguments()
    mode = "self-test" if options.self_test else options.mode
    seeds = ([] if options.no_replay or options.self_test else old_seeds())
    seeds += [s for s in range(options.seed, options.seed + options.count) if s not in seeds]
    jobs = max(1, min(options.jobs, len(seeds)))
    print(f"property test: {mode}, {len(seeds)} views, seeds from {options.seed}, {jobs} jobs", flush=True)
    databases = make_databases(options.dsn, jobs, not options.self_test)
    report = Report(options)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    for dsn, _ in databases:
        queue.put(dsn)
    settings = (queue, mode, os.path.abspath(options.failures), not options.no_shrink, jobs == 1,
                0 if options.self_test else {"all": 1, "some": 8, "one": 0}[options.modes])
    pool = context.Pool(jobs, work.start, settings)
    try:
        results = pool.imap_unordered(work.work, seeds, chunksize=1)
        for _ in seeds:
            try:
                result = results.next(timeout=HUNG)
            except multiprocessing.TimeoutError:
                report.hung([s for s in seeds if s not in report.done][:jobs])
                break
            report.add(result)
            if 0 < options.stop_after and report.status["failed"] >= options.stop_after:
                print("ended early: enough failures")
                break
    finally:
        pool.terminate()
        pool.join()
        drop_databases(options.dsn, [name for _, name in databases])
    sys.exit(report.finish())


faulthandler.register(signal.SIGUSR1)      # kill -USR1 shows where a process is
main()
