#!/usr/bin/env python3
"""bench_report.py RESULTS.tsv: medians and ratios of a benchmark run, beside what is aimed at.

bench_report.py --into PAGE.md RESULTS.tsv: the same as Markdown, between the two lines of
PAGE.md that say where.  Ratios are taken within a run, where the tools ran side by side, and
then the median of the runs; so what slows the whole machine down touches them little.
"""
import re
import statistics
import sys

JOBS = {		# name in the results: (what people call it, samara's)
    "build": "first build",
    "increment": "v2 increment",
    "check": "full check with the key",
    "blind": "full check without a key",
    "restore": "full restore",
}
# (tree's job, figure, other tool): (at least or at most, how much)
TARGETS = {
    ("build", "wall", "restic"): (">=", 3.5),
    ("build", "cpu", "restic"): ("<=", 0.35),
    ("build", "wall", "borg"): (">=", 3.5),
    ("increment", "wall", "restic"): (">=", 3.0),
    ("increment", "added", "restic"): ("<=", 0.5),
    ("increment", "wall", "borg"): (">=", 5.0),
    ("check", "wall", "restic"): (">=", 2.5),
    ("check", "wall", "borg"): (">=", 5.0),
    ("blind", "wall", "restic"): (">=", 5.0),
    ("restore", "wall", "restic"): (">=", 1.7),
    ("restore", "wall", "cp"): (">=", 1.0),
    ("restore", "wall", "borg"): (">=", 3.0),
    ("size", "size", "restic"): ("<=", 1.02),
    ("size", "size", "borg"): ("<=", 0.9),
}
BYTES = {"size": "repository", "added": "added by the increment"}
# The same over a line.
LINE_JOBS = {
    "first": "first backup",
    "unchanged": "unchanged tree",
    "increment": "v2 increment",
    "restore": "full restore",
}
LINE_TARGETS = {
    ("increment", "wall", "restic"): (">=", 4.0),
    ("increment", "sent", "restic"): ("<", 1.0),
    ("increment", "wall", "borg"): (">=", 4.0),
    ("increment", "sent", "borg"): ("<", 1.0),
    ("unchanged", "wall", "restic"): (">=", 5.0),
    ("unchanged", "wall", "borg"): (">=", 5.0),
    ("restore", "wall", "restic"): (">=", 1.5),
    ("restore", "wall", "borg"): (">=", 1.5),
}
LINE_BYTES = {
    "sent:first": "sent by the first backup",
    "sent:unchanged": "sent for the unchanged tree",
    "received:unchanged": "received for it",
    "sent:increment": "sent by the increment",
    "received:restore": "received by the restore",
}
MEMORY_KB = 400 * 1000 * 1000 / 1024
FIGURES = {"wall": "times as fast as", "cpu": "of the CPU of", "added": "of the bytes of", "size": "of the bytes of",
           "sent": "of the bytes sent by"}
SENSES = {">=": (lambda got, aim: got >= aim, "≥"), "<=": (lambda got, aim: got <= aim, "≤"), "<": (lambda got, aim: got < aim, "<")}
TOOLS = ("samara", "restic", "borg", "cp")


class Results:
    """figures[(run, tree, job, tool)] is a dict of wall, cpu, rss or of bytes."""

    def __init__(self, path):
        self.head, self.figures = {}, {}
        with open(path, encoding="utf-8") as f:
            for line in f:
                parts = line.rstrip("\n").split("\t")
                if line.startswith("# "):
                    self.head[parts[0][2:]] = parts[1]
                    continue
                run, tree, job, tool = parts[:4]
                if len(parts) == 5:
                    got = {"bytes": float(parts[4])}
                else:
                    wall, user, system, rss = map(float, parts[4:8])
                    got = {"wall": wall, "cpu": user + system, "rss": rss}
                self.figures[run, tree, job, tool] = got
        self.runs = sorted({k[0] for k in self.figures}, key=int)
        self.trees = sorted({k[1] for k in self.figures})
        self.is_line = self.head.get("kind") == "line"
        self.jobs = LINE_JOBS if self.is_line else JOBS
        self.targets = LINE_TARGETS if self.is_line else TARGETS
        self.bytes = LINE_BYTES if self.is_line else BYTES
        self.tools = [t for t in TOOLS if any(k[3] == t for k in self.figures)]

    def each(self, tree, job, tool, figure):
        rows = (self.figures.get((run, tree, job, tool)) for run in self.runs)
        return [r[figure] for r in rows if r is not None]

    def median(self, tree, job, tool, figure):
        got = self.each(tree, job, tool, figure)
        return statistics.median(got) if got else None

    def ratio(self, tree, job, figure, tool):
        """The other's wall over ours; of CPU and bytes ours over the other's."""
        theirs_job = "check" if job == "blind" else job
        if figure == "sent":
            ours, theirs = self.each(tree, "sent:" + job, "samara", "bytes"), self.each(tree, "sent:" + job, tool, "bytes")
        elif figure in ("added", "size"):
            ours, theirs = self.each(tree, figure, "samara", "bytes"), self.each(tree, figure, tool, "bytes")
        else:
            ours, theirs = self.each(tree, job, "samara", figure), self.each(tree, theirs_job, tool, figure)
        if not ours or len(ours) != len(theirs):
            return None
        if figure == "wall":
            return statistics.median(b / a for a, b in zip(ours, theirs))
        return statistics.median(a / b for a, b in zip(ours, theirs))


def amount(n):
    return "%.0f MB" % (n / 1e6) if n >= 1e7 else "%.1f MB" % (n / 1e6) if n >= 1e6 else "%.1f KB" % (n / 1e3)


def measured(r, tree):
    """Rows: job, then for each tool seconds, CPU-s/GB, MB of memory."""
    gb = r.median(tree, "source", "-", "bytes") / 1e9
    for job, title in r.jobs.items():
        cells = [title]
        for tool in r.tools:
            wall = r.median(tree, job, tool, "wall")
            if wall is None:
                cells.append("–")
                continue
            cpu, rss = r.median(tree, job, tool, "cpu"), max(r.each(tree, job, tool, "rss"))
            cells.append("%.1f s, %.2f CPU-s/GB, %.0f MB" % (wall, cpu / gb, rss * 1024 / 1e6))
        yield cells
    for what, title in r.bytes.items():
        row = [title]
        for tool in r.tools:
            n = r.median(tree, what, tool, "bytes")
            row.append("–" if n is None else amount(n))
        yield row


def judged(r, tree):
    """Rows: job, ratio, target, met or not; on the small files also whether worse than on the mixed tree."""
    for (job, figure, tool), (sense, aim) in r.targets.items():
        got = r.ratio(tree, job, figure, tool)
        if got is None:
            continue
        holds, sign = SENSES[sense]
        met = holds(got, aim)
        row = [r.jobs.get(job, "repository"), "%.2f %s %s" % (got, FIGURES[figure], tool),
               "%s %g" % (sign, aim), "met" if met else "**not met**"]
        if tree != "mixed" and "mixed" in r.trees:
            mixed = r.ratio("mixed", job, figure, tool)
            worse = got < mixed if sense == ">=" else got > mixed
            row.append("%s (%.2f)" % ("worse" if worse else "no worse", mixed))
        yield row
    rss = [v["rss"] for k, v in r.figures.items() if k[1] == tree and k[3] == "samara" and "rss" in v]
    yield ["most memory of any job", "%.0f MB" % (max(rss) * 1024 / 1e6), "≤ 400 MB",
           "met" if max(rss) <= MEMORY_KB else "**not met**"]


def table(head, rows):
    rows = [list(head)] + [list(row) + [""] * (len(head) - len(row)) for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(head))
    return lines


def report(r):
    out = ["%s, commit %s; %s; %s." % (r.head["date"], r.head["commit"], r.head["machine"], r.head["versions"]),
           "Medians of %d run%s, memory the most of any." % (len(r.runs), "" if len(r.runs) == 1 else "s"), ""]
    for tree in r.trees:
        gb = r.median(tree, "source", "-", "bytes") / 1e9
        out += ["### The %s tree, %.2f GB" % ({"tree": "small files'"}.get(tree, tree), gb), ""]
        last = () if tree == "mixed" or "mixed" not in r.trees else ("against the mixed tree",)
        out += table(("job", "samara against", "aim", "", *last), judged(r, tree)) + [""]
        out += table(["job"] + [t.replace("cp", "cp -a") for t in r.tools], measured(r, tree)) + [""]
        more = [b - a for a, b in zip(r.each(tree, "build", "samara", "wall"),
                                      r.each(tree, "read-back-build", "samara", "wall"))]
        if more:
            out += ["Reading back from the medium, which none of the above includes, adds %.1f s to the build."
                    % statistics.median(more), ""]
    return out


def page_put(page, where, lines):
    """The lines between "<!-- WHERE: … -->" and "<!-- end of WHERE -->" of the page."""
    with open(page, encoding="utf-8") as f:
        text = f.read()
    new, n = re.subn(r"(<!-- %s: [^\n]* -->\n).*(<!-- end of %s -->\n)" % (where, where),
                     lambda m: m.group(1) + "\n" + "\n".join(lines) + "\n" + m.group(2), text, flags=re.S)
    if n != 1:
        sys.exit("%s does not say where the %s go" % (page, where))
    with open(page, "w", encoding="utf-8") as f:
        f.write(new)


def main(args):
    page = None
    if len(args) == 3 and args[0] == "--into":
        page = args[1]
        args = args[2:]
    if len(args) != 1:
        sys.exit(__doc__)
    results = Results(args[0])
    lines = report(results)
    print("\n".join(lines))
    if page is not None:
        page_put(page, "figures of the line" if results.is_line else "figures", lines)


if __name__ == "__main__":
    main(sys.argv[1:])
