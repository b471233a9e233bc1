"""What line_shaped.sh runs in the client's namespace, in an empty directory.

    line_shaped.py --far PID --mb N --late MS --congestion NAME [--into PAGE.md] CASE...
"""
import argparse
import datetime
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
pause = threading.Event().wait   # between two looks; and for as long as a rate is measured
JOURNEY = os.path.join(os.path.dirname(HERE), "journey")
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
from bench_report import page_put, table  # noqa: E402

LINK = 20e6 / 8                 # bytes a second
SERVER = "10.77.0.2"
PORT, LATE_PORT = 8741, 8742
WINDOW, UNSETTLED = 12.0, 2.0   # seconds
CASES = {
    "whole": ("nothing else", 0.90),
    "lost": ("0.5 % of the packets dropped", 0.70),
    "late": ("{late} ms later each way", 0.90),
    "both": ("0.5 % dropped and {late} ms later each way", 0.70),
}
RATES = [("half of it", "10Mbps", 10e6 / 8), ("then a quarter", "5Mbps", 5e6 / 8), ("then all of it", "none", None)]


def must(*argv, **more):
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if r.returncode != 0:
        sys.exit("line_shaped.py: %s ended with %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr))
    return r.stdout


class Ends:
    """Both ends of the link: 0 the client's, 1 the server's."""
    def __init__(self, far):
        self.prefix = ([], ["nsenter", "--target", str(far), "--net"])

    def run(self, end, *argv):
        return must(*self.prefix[end], *argv)

    def start(self, end, *argv, **more):
        return subprocess.Popen(self.prefix[end] + list(argv), stdin=subprocess.DEVNULL, **more)

    def lose(self, lost):
        for end in (0, 1):
            self.run(end, "nft", "flush chain ip line lose")
            if lost:
                self.run(end, "nft", "add rule ip line lose numgen random mod 1000 < 5 drop")

    def arrived(self, end):
        return int(re.search(r"bytes (\d+)", self.run(end, "nft", "list counter ip line here")).group(1))


def source_make(path, mb):
    r = random.Random(20)
    os.mkdir(path)
    small = 3000
    for i in range(2):
        with open("%s/large%d" % (path, i), "wb") as f:
            for _ in range(mb * 3 // 8):
                f.write(r.randbytes(1000000))
    for i in range(small):
        os.makedirs("%s/d%02d" % (path, i % 40), exist_ok=True)
        with open("%s/d%02d/f%d" % (path, i % 40, i), "wb") as f:
            f.write(r.randbytes(2 * (mb * 250000 // small) * (i % 100) // 99))


class Machine:
    def __init__(self, name, port):
        self.state, self.back = "state-" + name, "back-" + name
        self.environment = dict(os.environ, SAMARA_STATE=self.state, SAMARA_PASSPHRASE_FILE="pass-" + name)
        must("samara-import", "url", "vault", "https://%s:%d" % (SERVER, port))
        must("samara-import", "credential", "vault", name, "--out", name + ".crd")
        self.seed("register", name + ".crd", "--offline", "--generate-passphrase", "pass-" + name, "--kit", name + ".kit")
        self.seed("policy", "set", "initial=network")

    def seed(self, *argv):
        return must("samara-seed", *argv, env=self.environment)

    def backup(self):
        return ["samara-seed", "backup", "--no-progress", "--json", "--max-upload", "none", "src"]

    def restore(self):
        return ["samara-seed", "restore", "latest", "--no-progress", "--from", "line", "--to", self.back]

    def start(self, argv):
        return subprocess.Popen(argv, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def compare(self):
        must(sys.executable, JOURNEY + "/compare_trees.py", "src", self.back + os.path.abspath("src"))
        shutil.rmtree(self.back)


def ended(process):
    said = process.communicate()[0]
    if process.returncode != 0:
        sys.exit("line_shaped.py: %s ended with %d\n%s" % (" ".join(process.args), process.returncode, said))


def use(ends, machine, argv, end):
    """The part of the line that was used, and what was: (part, bytes, seconds)."""
    before, began = ends.arrived(end), time.monotonic()
    ended(machine.start(argv))
    seconds = time.monotonic() - began
    n = ends.arrived(end) - before
    return n / (LINK * seconds), n, seconds


def rates(ends, machine, argv, end):
    """Set one rate after the other while it runs: bytes a second of each."""
    machine.seed("policy", "set", *("throttle-%s=%s" % (when, RATES[0][1]) for when in ("work", "other")))
    before = ends.arrived(end)
    process = machine.start(argv)
    drain = threading.Thread(target=process.wait)
    while ends.arrived(end) - before < LINK / 4:
        if process.poll() is not None:
            ended(process)
        pause(0.05)
    got = []
    for i, (_, name, rate) in enumerate(RATES):
        if i > 0:
            machine.seed("policy", "set", *("throttle-%s=%s" % (when, name) for when in ("work", "other")))
        if rate is None:
            break
        pause(UNSETTLED)
        first, since = ends.arrived(end), time.monotonic()
        pause(WINDOW - UNSETTLED)
        got.append((ends.arrived(end) - first) / (time.monotonic() - since))
        if process.poll() is not None:
            sys.exit("line_shaped.py: it ended before its rate was measured: more --mb")
    drain.start()
    ended(process)
    return got


def case_run(ends, case, late):
    ends.lose(case in ("lost", "both"))
    proxy = None
    if case in ("late", "both"):
        proxy = ends.start(1, sys.executable, JOURNEY + "/line_proxy.py", "late", SERVER, str(LATE_PORT), str(PORT), str(late))
        wait_for_port(ends, LATE_PORT)
    try:
        m = Machine(case, PORT if proxy is None else LATE_PORT)
        if case == "throttle":
            figures = rates(ends, m, m.backup(), 1), rates(ends, m, m.restore(), 0)
        else:
            figures = use(ends, m, m.backup(), 1), use(ends, m, m.restore(), 0)
        m.compare()
    finally:
        if proxy is not None:
            proxy.kill()
            proxy.wait()
    print(case, figures, flush=True)
    return figures


def wait_for_port(ends, port):
    for _ in range(200):
        if ":%d " % port in ends.run(1, "ss", "-ltn"):
            return
        pause(0.05)
    sys.exit("line_shaped.py: nobody listens on port %d" % port)


def judged(figures, late):
    def cell(f):
        return "%.1f %% (%.1f MB in %.1f s)" % (f[0] * 100, f[1] / 1e6, f[2])

    rows = []
    for case, (what, aim) in CASES.items():
        if case in figures:
            backup, restore = figures[case]
            rows.append([what.format(late=late), cell(backup), cell(restore), "≥ %.0f %%" % (aim * 100),
                         "met" if min(backup[0], restore[0]) >= aim else "**not met**"])
    lines = table(("done to the line", "used by the backup", "by the restore", "aim", ""), rows) + [""] if rows else []
    rows = []
    if "throttle" in figures:
        for i, (what, name, rate) in enumerate(RATES[:-1]):
            of = [f[i] / rate for f in figures["throttle"]]
            rows.append(["%s: %s" % (what, name), *("%.1f %% of it" % (o * 100) for o in of), "± 5 %",
                         "met" if max(abs(o - 1) for o in of) <= 0.05 else "**not met**"])
        lines += table(("rate set", "backup", "restore", "aim", ""), rows) + [""]
    return lines


def main():
    a = argparse.ArgumentParser()
    for name, kind in (("--far", int), ("--mb", int), ("--late", int), ("--congestion", str), ("--into", str)):
        a.add_argument(name, type=kind)
    a.add_argument("cases", nargs="+", choices=list(CASES) + ["throttle"])
    a = a.parse_args()
    ends = Ends(a.far)
    source_make("src", a.mb)
    must("samara-import", "create", "vault", "--name", "bench", "--url", "https://%s:%d" % (SERVER, PORT), "--key-copy", "vault.key")
    with open("serve.log", "w", encoding="utf-8") as log:
        server = ends.start(1, "samara-import", "serve", "vault", "--listen", "0.0.0.0:%d" % PORT, stdout=log, stderr=log)
    try:
        wait_for_port(ends, PORT)
        figures = {case: case_run(ends, case, a.late) for case in a.cases}
    finally:
        server.kill()
        server.wait()
    lines = ["%s, %d processors, %d MB of data, TCP's congestion control %s." %
             (datetime.date.today(), os.cpu_count(), a.mb, a.congestion), ""] + judged(figures, a.late)
    print("\n".join(lines))
    if a.into is not None:
        page_put(a.into, "figures of the shaped line", lines)


main()
