#!/usr/bin/env python3
"""reliability.py BUILD-DIR [--only ROW]... [--states N] [--faults N] [--flips N|all] [--tears N]
                          [--runs N] [--kills N] [--sequences N] [--cuts EVERY]
reliability.py --check

Runs what tests/ has against faults, with the programs of a release build, reads
the figures that they print, and puts them into the table of
docs/reliability.md, between its two marker lines.  A row whose figure is not
met fails, and so does the whole; the rows that were not run keep what they say.

--check runs nothing: every row is in the table as it is here, with a figure that
is enough, and what the programs replay without being asked for more comes to
STATES_A_RUN power cuts in all.
"""
import argparse
import datetime
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "docs", "reliability.md")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
STATES_A_RUN = 10000
HEAD = "| what | at least | more by option | what must hold | last run |\n|---|---:|---|---|---|\n"


def states(said):
    """Crash states of the tests that look for faults, not of those that look whether faults are found."""
    total, name = 0, ""
    for line in said.split("\n"):
        run = re.match(r"\[ RUN      \] (\w+)", line)
        if run:
            name = run.group(1)
        found = re.search(r"operations, (\d+) states", line)
        if found and name.startswith("every_power_cut"):
            total += int(found.group(1))
    return total


def calls(said):
    return sum(int(n) for n in re.findall(r": (\d+) of \d+ calls", said))


def figure(word):
    def read(said):
        found = re.search(r"^figures: .*?\b%s (\d+)" % word, said, re.M)
        return int(found.group(1)) if found else 0
    return read


def systems(said):
    found = re.search(r"there and back on:(.*)", said)
    return len(found.group(1).split()) if found else 0


class Row:
    def __init__(self, name, what, floor, option, holds, program, count, unit, env=None, given=None):
        self.name, self.what, self.floor, self.option, self.holds = name, what, floor, option, holds
        self.program, self.count, self.unit, self.env, self.given = program, count, unit, env, given

    def run(self, build, choice):
        value = (getattr(choice, self.given, None) or self.env[1]) if self.env else None
        if self.program.endswith(".sh"):
            argv = ["sh", os.path.join(TOP, "tests/with-tools.sh"), build, os.path.join(TOP, self.program)]
            argv += [value] if value else []
            env = dict(os.environ)
        else:
            argv = [os.path.join(build, "tests", self.program)]
            env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT", **({self.env[0]: value} if value else {}))
        p = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return p.returncode, p.stdout.decode("utf-8", "backslashreplace")


SAME = "the next run goes on and ends in the same bytes; what was said to be durable is"
WORDS = "an error in words or a named item, no descriptor left open, and the same command again ends whole"
ROWS = (
    Row("crash-build", "power cuts during a build and an increment", 4000, "`--states 1000000`", SAME,
        "test_crash_build", states, "states", ("SAMARA_CRASH_STATES", "3000"), "states"),
    Row("crash-ingest", "power cuts during ingest, with repacking, rebuild and creation of a vault", 3600, "`--states 1000000`", SAME,
        "test_crash_ingest", states, "states", ("SAMARA_CRASH_STATES", "1600"), "states"),
    Row("crash-vault", "the same with whole images, an increment, and power that fails again while it is put right", 1000,
        "`--states 1000000`", SAME + "; a rebuild of the catalog agrees",
        "test_crash_vault", states, "states", ("SAMARA_CRASH_STATES", "2400"), "states"),
    Row("crash-disks", "power cuts while an image goes over several disks, one bay or all at once, with a top-up and a replaced disk",
        2000, "`--states 1000000`", SAME + ", also when power fails again on the way",
        "test_crash_disks", states, "states", ("SAMARA_CRASH_STATES", "2500"), "states"),
    Row("crash-repair", "power cuts while a repaired copy of a disk is written", 10000, "`--states 1000000`",
        "what takes itself for a disk is the disk as it was, byte for byte",
        "test_crash_repair", states, "states", ("SAMARA_CRASH_STATES", "10000"), "states"),
    Row("fault-build", "calls of a build that fail: EIO, ENOSPC, EROFS, EMFILE, short", 300, "`--faults 1000000`: each call", WORDS,
        "test_fault_build", calls, "calls", ("SAMARA_FAULTS", "60"), "faults"),
    Row("fault-disks", "calls of builds over two disks, top-ups and replacements that fail", 100, "`--faults 1000000`: each call", WORDS,
        "test_fault_disks", calls, "calls", ("SAMARA_FAULTS", "8"), "faults"),
    Row("fault-ingest", "calls of ingest, receive, repair and rebuild that fail", 100, "`--faults 1000000`: each call", WORDS,
        "test_fault_ingest", calls, "calls", ("SAMARA_FAULTS", "8"), "faults"),
    Row("tears", "disks torn away at random moments of builds and ingests: device, file system, FUSE driver", 5, "`--tears 50`",
        "the disk put in again: resumed or ingested once more, it verifies with the key and what is restored is equal",
        "tests/journey/torn_away.sh", figure("tears"), "tears", ("TEARS", "5"), "tears"),
    Row("disks", "real file systems; slow, full, write-protected, fake and pulled disks", 1, "",
        "there and back on each; a disk that lies or is gone is never released",
        "tests/journey/real_disks.sh", systems, "file systems"),
    Row("flips", "a wrong bit in an image of 1 MiB, README.txt excepted", 2000, "`--flips all`: in each byte",
        "verify finds every one; no wrong byte is restored, and all come where it says that nothing is lost",
        "test_flips", figure("found"), "of as many found", ("SAMARA_FLIPS", "20000"), "flips"),
    Row("hostile", "disks and announcements that somebody has meddled with", 500, "",
        "refused or harmless; nothing of another party in the vault, no wrong byte restored",
        "tests/journey/hostile_disk.sh", figure("hostile"), "disks"),
    Row("line-faults", "backups through a proxy that hurts bytes, requests and answers: refused, cut, reset, slow, stalled, doubled, "
        "changed, of a wrong length, 5xx", 500,
        "`--runs 50000`", "each ends done or to be gone on with; what was acknowledged is there, whole, also after a rebuild",
        "tests/journey/line_faults.sh", figure("faulted"), "backups", ("RUNS", "500"), "runs"),
    Row("line-cuts", "registration, pledge, answer to a receipt, read and backup, cut at single bytes of what either side says", 250,
        "`--cuts 1`: at each byte", "each goes on; who said that it was done was right; what was acknowledged is there, also after a rebuild",
        "tests/journey/line_cuts.sh", figure("cuts"), "cuts", ("CUTS", "97"), "cuts"),
    Row("line-kills", "the server killed every 0.1 to 1 s under 16 machines, with prune and gc beside it", 200, "`--kills 10000`",
        "what was acknowledged is there, whole, also after a rebuild", "tests/journey/line_kills.sh", figure("kills"), "kills",
        ("KILLS", "200"), "kills"),
    Row("line-lies", "ways in which a vault that holds the pinned key lies to a restore", 30, "",
        "each is found, with a message of its own, or does no harm; no wrong byte restored, nothing outside the target, no token elsewhere",
        "tests/journey/line_hostile.sh", figure("ways"), "ways"),
    Row("model", "a vault against a plain second model of it: 45 random events each, in the middle of each other, killed in the middle", 40,
        "`--sequences 10000`", "nothing is called whole that lacks a chunk; nothing needed goes, everything else does; states, answers to"
        " sessions and a rebuilt catalog are the model's", "test_vault_model", figure("model"), "sequences",
        ("SAMARA_MODEL_SEQUENCES", "40"), "sequences"),
)

# Scenes of each program for power cuts.
SHARES = {"test_crash_build": 2, "test_crash_ingest": 4, "test_crash_vault": 4, "test_crash_disks": 6, "test_crash_repair": 1}


def page_read():
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    head, rest = text.split(BEGIN)
    table, tail = rest.split(END)
    last = {}
    for line in table.strip().split("\n")[2:]:
        cells = [c.strip() for c in line.strip("|").split("|")]
        last[cells[0]] = cells[-1]
    return head, last, tail


def page_text(head, last, tail):
    rows = "".join("| %s | %s | %s | %s | %s |\n" % (r.what, format(r.floor, ","), r.option or "–", r.holds, last.get(r.what, "–"))
                   for r in ROWS)
    return head + BEGIN + "\n" + HEAD + rows + END + tail


def page_write(head, last, tail):
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(page_text(head, last, tail))


def states_a_run():
    """Power cuts that the programs replay by themselves in a build without sanitizers."""
    total = 0
    for name, parts in SHARES.items():
        with open(os.path.join(TOP, "tests/crash", name + ".c"), encoding="utf-8") as f:
            text = f.read()
        wanted = int(re.search(r"strtoull\(s, NULL, 10\) : SAMARA_SANITIZED \? \d+ : (\d+);", text).group(1))
        runs = re.findall(r"\(.*\b0, states_wanted\(\)(?: \* (\d+))?(?: / (\d+))?, (?:0|false)\)", text)
        if len(runs) != parts:
            print("%s replays %d scenes, and %d are known here" % (name, len(runs), parts))
        total += sum(wanted * int(times or 1) // int(share or 1) for times, share in runs)
    return total


def check():
    bad = 0
    head, last, tail = page_read()
    with open(PAGE, encoding="utf-8") as f:
        if f.read() != page_text(head, last, tail):
            print("the table is not as this script writes it: run it for one row")
            bad = 1
    n = states_a_run()
    if n < STATES_A_RUN:
        print("the programs replay %d power cuts, and it must be %d" % (n, STATES_A_RUN))
        bad = 1
    print("%d power cuts in each run of the suite" % n)
    for r in ROWS:
        found = re.match(r"([0-9,]+) ", last.get(r.what, ""))
        n = int(found.group(1).replace(",", "")) if found else 0
        if n < r.floor:
            print("%s: %s: the table says %d, and it must be %d" % (r.name, r.what, n, r.floor))
            bad = 1
    for gone in set(last) - {r.what for r in ROWS}:
        print("the table has a row that no test fills: " + gone)
        bad = 1
    print("%d rows" % len(ROWS))
    return bad


def main():
    a = argparse.ArgumentParser(usage=__doc__)
    a.add_argument("build", nargs="?")
    a.add_argument("--check", action="store_true")
    a.add_argument("--only", action="append", choices=[r.name for r in ROWS])
    for option in "states", "faults", "flips", "tears", "runs", "kills", "cuts", "sequences":
        a.add_argument("--" + option)
    choice = a.parse_args()
    if choice.check:
        return check()
    if choice.build is None:
        a.error("which build?")
    commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    failed = []
    for r in ROWS:
        if choice.only and r.name not in choice.only:
            continue
        rc, said = r.run(os.path.abspath(choice.build), choice)
        if rc == 77:
            print("%-13s skipped: %s" % (r.name, said.strip().split("\n")[-1]), flush=True)
            continue
        n = r.count(said)
        ok = rc == 0 and n >= r.floor
        print("%-13s %s: %s %s" % (r.name, "ok" if ok else "FAILED (exit %d)" % rc, format(n, ","), r.unit), flush=True)
        if not ok:
            failed.append(r.name)
            print("    " + "\n    ".join(said.strip().split("\n")[-20:]))
            continue
        head, last, tail = page_read()
        last[r.what] = "%s %s, %s, %s" % (format(n, ","), r.unit, datetime.date.today().isoformat(), commit)
        page_write(head, last, tail)
    return 1 if failed else 0


sys.exit(main())
