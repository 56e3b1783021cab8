#!/usr/bin/python3
"""What the tests leave out of the cores: docs/COVERAGE.md from the counters of `make coverage`.

    tests/coverage.py BUILD TEST...

A branch is one way out of a condition. Not counted: those of an assertion, which must not be taken, and of
deliberate defects. A branch that no test takes needs a reason: a row of tests/coverage.def,

    FILE : LINE : REASON        FILE a pattern, LINE a piece of the source line; both may be *

What has none stands in the page as not reached yet: a list of tests that are to be written.
"""

import collections
import fnmatch
import glob
import json
import os
import re
import shutil
import subprocess
import sys

CORES = ("common/base/", "common/wire/", "common/value/", "server/core/", "proxy/core/", "worker/core/")


def tool(name):
    for found in (name, name + "-14", name + "-16", name + "-19"):
        if shutil.which(found):
            return found
    sys.exit(f"coverage: {name} is not installed")


def branches(build, tests):
    """file -> line -> [times that each branch was taken]"""
    merged = os.path.join(build, "all.profdata")
    raw = glob.glob(os.path.join(build, "profiles", "*.profraw"))
    good = [name for name in raw if os.path.getsize(name) > 0]
    with open(os.path.join(build, "profiles.list"), "w") as out:
        out.write("\n".join(good))
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "--failure-mode=all", "-o", merged, "-f",
                    os.path.join(build, "profiles.list")], check=True)
    programs = [os.path.join(build, test) for test in tests]
    programs += [os.path.join(build, name) for name in ("reeve-server", "reeve-worker", "libreeve.so")]
    objects = [word for program in programs[1:] for word in ("-object", program)]
    text = subprocess.run([tool("llvm-cov"), "export", "-format=text", "-skip-functions", "-instr-profile", merged,
                           programs[0], *objects], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    for file in json.loads(text)["data"][0]["files"]:
        name = os.path.relpath(file["filename"])
        if not name.startswith(CORES):
            continue
        # One place in several programs, or expanded several times: what one has done is done.
        for line, column, end, end_column, true, false, *_ in file["branches"]:
            for way, times in (("true", true), ("false", false)):
                seen = found[name][line]
                key = (column, end, end_column, way)
                seen[key] = max(seen.get(key, 0), times)
    return found


def uncounted(lines):
    """Numbers of the lines that an assertion, or a deliberate defect, covers."""
    numbers = set()
    depth = 0
    for number, line in enumerate(lines, 1):
        if depth == 0 and not re.search(r"\brv_assert\(|RV_MUTANT\(", line):
            continue
        numbers.add(number)
        if depth == 0 and "rv_assert(" not in line:
            continue
        text = line if depth else line[line.index("rv_assert(") :]
        depth += text.count("(") - text.count(")")
    return numbers


def ways(source, number, taken):
    """Which condition of the line never had which truth."""
    words = []
    for (column, end, end_column, way), times in sorted(taken.items()):
        if times > 0:
            continue
        piece = source[number - 1][column - 1 : end_column - 1 if end == number else None].strip()
        words.append(f"`{piece}` never {way}")
    return ", ".join(words)


def excuses():
    rows = []
    with open("tests/coverage.def") as file:
        for row in file:
            if row.strip() and not row.startswith("#"):
                rows.append([part.strip() for part in row.split(" : ", 2)])
    return rows


def main():
    build, tests = sys.argv[1], sys.argv[2:]
    reasons = excuses()
    used = collections.Counter()
    table, gaps = [], []
    unexplained = waiting = 0
    for name, lines in sorted(branches(build, tests).items()):
        with open(name) as file:
            source = file.read().splitlines()
        skip = uncounted(source)
        counts = collections.Counter()
        for number, taken in sorted(lines.items()):
            if number in skip or number > len(source):
                continue
            counts["all"] += len(taken)
            missed = sum(times == 0 for times in taken.values())
            if missed == 0:
                continue
            text = source[number - 1].strip()
            why = next((i for i, (file, piece, _) in enumerate(reasons)
                        if fnmatch.fnmatch(name, file) and (piece == "*" or piece in text)), None)
            counts["missed"] += missed
            if why is None:
                unexplained += missed
            else:
                used[why] += missed
                waiting += missed if reasons[why][2].startswith("no test yet") else 0
            gaps.append((name, ways(source, number, taken), text, "" if why is None else reasons[why][2]))
        table.append((name, counts["all"], counts["missed"]))
    total = sum(row[1] for row in table)
    missed = sum(row[2] for row in table)
    write(table, gaps, total, missed, unexplained, waiting)
    print(f"branches of the cores: {total}, not taken {missed}: {100 * (total - missed) / total:.1f} %, "
          f"without a reason {unexplained}, without a test yet {waiting}")
    for i, row in enumerate(reasons):
        if used[i] == 0:
            print(f"tests/coverage.def: nothing needs: {' : '.join(row)}")
    return 1 if unexplained > 0 else 0


def write(table, gaps, total, missed, unexplained, waiting):
    by_reason = collections.defaultdict(list)
    for name, never, text, why in gaps:
        by_reason[why or "not reached yet"].append((name, never, text))
    with open("docs/COVERAGE.md", "w") as out:
        out.write(f"""# Coverage

Made by `make coverage`: of {total} branches of the cores, the tests take {total - missed}, which is
{100 * (total - missed) / total:.1f} %; {missed - unexplained - waiting} of the others have a reason that stays,
{waiting} wait for a test that makes what they want, {unexplained} are unknown. The branches of assertions,
which must not be taken, and those of deliberate defects are not counted. Reasons stand in `tests/coverage.def`.

| file | branches | not taken | taken |
| --- | ---: | ---: | ---: |
""")
        for name, count, lost in table:
            share = 100 * (count - lost) / count if count else 100
            out.write(f"| `{name}` | {count} | {lost} | {share:.1f} % |\n")
        out.write("\n## Not taken, and why\n")
        for why, rows in sorted(by_reason.items()):
            out.write(f"\n### {why[0].upper() + why[1:]}\n\n")
            for name, never, text in rows:
                shown = text if len(text) <= 100 else text[:97] + "..."
                out.write(f"- `{name}`: `{shown.replace('`', '')}`: {never}\n")


if __name__ == "__main__":
    sys.exit(main())
