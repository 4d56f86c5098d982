"""Random transactions out of random statements."""
from model import Step

SETTINGS = ["TimeZone = 'Asia/Tokyo'", "DateStyle = 'SQL, DMY'", "extra_float_digits = -5", "IntervalStyle = 'iso_8601'",
            "search_path = ''", "work_mem = '64kB'", "enable_hashjoin = off", "enable_seqscan = off",
            "plan_cache_mode = force_generic_plan"]
ISOLATION = ["BEGIN", "BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"]


def transactions(rng, statements, prepared=False):
    """Returns a list of transactions, each a list of Steps, with 6 to 12 changes in all."""
    wanted = rng.randint(6, 12)
    out = []
    made = 0
    while made < wanted:
        steps = statements.steps()
        freeze = any("(FREEZE)" in s.sql for s in steps)
        if rng.random() < 0.3 and not freeze:
            out += [[s] for s in steps]
            made += len(steps)
            continue
        size = rng.randint(1, 5)
        out.append(transaction(rng, statements, steps, size, prepared))
        made += size
    return out


def transaction(rng, statements, first, size, prepared):
    out = [Step(rng.choice(ISOLATION), "begin")]
    if rng.random() < 0.1:
        setting = rng.choice(SETTINGS)
        if not setting.startswith("search_path"):
            out.append(Step(f"SET LOCAL {setting}", "set"))
    if rng.random() < 0.06:
        out.append(Step("DECLARE on_view CURSOR FOR SELECT * FROM v", "set"))
        out.append(Step("FETCH 1 FROM on_view", "set"))
    depth = 0
    for index in range(size):
        if rng.random() < 0.4:
            depth += 1
            out.append(Step(f"SAVEPOINT s{depth}", "savepoint"))
        out += first if index == 0 else statements.steps()
        if depth and rng.random() < 0.45:
            level = rng.randint(1, depth)
            if rng.random() < 0.5:
                out.append(Step(f"ROLLBACK TO s{level}", "back"))
                depth = level
                if rng.random() < 0.5:
                    out.append(Step(f"RELEASE s{level}", "release"))
                    depth = level - 1
            else:
                out.append(Step(f"RELEASE s{level}", "release"))
                depth = level - 1
    if prepared and rng.random() < 0.08:
        name = f"upkeep_property_{rng.randint(1, 10**9)}"
        out.append(Step(f"PREPARE TRANSACTION '{name}'", "end"))
        out.append(Step(f"{rng.choice(['COMMIT', 'COMMIT', 'ROLLBACK'])} PREPARED '{name}'", "prepared"))
    else:
        out.append(Step("ROLLBACK" if rng.random() < 0.15 else "COMMIT", "end"))
    return out
