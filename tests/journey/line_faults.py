"""Faults on the line between real clients and a real server.

    line_faults.py proxy RUNS [SEED]     each backup through a proxy that hurts it once
    line_faults.py kills KILLS [SEED]    the server killed again and again under sixteen clients, with housekeeping beside it

In the current directory: vault/ (created, nobody registered), pass.  What a client was told was done is kept, and in the
end it has to be there: every snapshot whole, every byte good, and what comes back equal to the source.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from line_proxy import AnyProxy, Fault, HttpFault, pause

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK = threading.Lock()
failures = []


def fail(text):
    with LOCK:
        failures.append(text)
    print(text, file=sys.stderr)


def run(*argv, **more):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def must(*argv):
    r = run(*argv)
    if r.returncode != 0:
        sys.exit("%s ended with %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr))
    return r


# --- the server

class Server:
    def __init__(self):
        self.port = 0
        self.start()

    def start(self):
        self.log = open("serve.log", "a")
        self.process = subprocess.Popen(["samara-import", "serve", "vault", "--listen", "127.0.0.1:%d" % self.port, "--json"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True)
        for line in self.process.stdout:
            if '"listening"' in line:
                self.port = json.loads(line)["port"]
                break
        else:
            sys.exit("the server does not start: see serve.log\n" + open("serve.log").read()[-3000:])
        self.drain = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.drain.start()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait() != 0:
            fail("the server did not end well")


# --- a machine

class Machine:
    def __init__(self, name, seed):
        self.name, self.state, self.src = name, "state-" + name, "src-" + name
        self.r = random.Random(seed)
        self.acknowledged = {}      # number of a snapshot: when it was told
        self.statuses = {}
        self.n = 0
        os.mkdir(self.src)
        self.change(20)

    def register(self):
        must("samara-import", "credential", "vault", self.name, "--out", self.name + ".crd")
        must("samara-seed", "register", self.name + ".crd", "--offline", "--state", self.state, "--passphrase-file", "pass", "--kit",
             self.name + ".kit")
        must("samara-seed", "policy", "set", "initial=network", "--state", self.state)

    def change(self, files=1):
        for _ in range(files):
            self.n += 1
            size = self.r.choice([0, 100, 5000, 70000]) if self.r.random() < 0.95 else 1 << 20
            with open("%s/f%05d" % (self.src, self.r.randrange(max(20, self.n // 2))), "wb") as f:
                f.write(self.r.randbytes(size))

    def backup(self, patience="20s"):
        r = run("samara-seed", "backup", self.src, "--state", self.state, "--max-upload", "none", "--retry-for", patience,
                "--json", "--no-progress")
        self.statuses[r.returncode] = self.statuses.get(r.returncode, 0) + 1
        if r.returncode == 0:
            summary = json.loads(r.stdout.splitlines()[-1])
            self.acknowledged[summary["number"]] = time.time()
        return r

    def check(self):
        """Everything that was acknowledged is there and whole, and the newest comes back equal."""
        r = must("samara-seed", "snapshots", "--state", self.state, "--from", "vault", "--json")
        there = {}
        for line in r.stdout.splitlines():
            row = json.loads(line)
            if row.get("type") == "snapshot":
                there[row["number"]] = row
        for seq in self.acknowledged:
            if seq not in there:
                fail("%s: snapshot %d was acknowledged and is not there" % (self.name, seq))
            elif there[seq].get("state") not in ("whole", None):
                fail("%s: snapshot %d was acknowledged and is %s" % (self.name, seq, there[seq]["state"]))
        back = "back-" + self.name
        must("samara-seed", "restore", "latest", "--from", "vault", "--kit", self.name + ".kit", "--passphrase-file", "pass",
             "--to", back)
        r = run(sys.executable, HERE + "/compare_trees.py", self.src, back + os.path.abspath(self.src))
        if r.returncode != 0:
            fail("%s: what came back is different\n%s%s" % (self.name, r.stdout, r.stderr))
        shutil.rmtree(back)


def finish(machines, server):
    """The server at rest: each machine once more, without any fault; then all that was ever acknowledged."""
    for m in machines:
        m.change()
        r = m.backup()
        if r.returncode != 0:
            fail("%s: the last backup, without a fault, ended with %d\n%s" % (m.name, r.returncode, r.stderr))
    server.stop()
    r = run("samara-verify", "vault", "vault")
    if r.returncode != 0:
        fail("the vault is not whole\n%s%s" % (r.stdout, r.stderr))
    for m in machines:
        m.check()
    must("samara-import", "rebuild", "vault")
    for m in machines:
        m.check()


def lanes(machines, work):
    threads = [threading.Thread(target=work, args=(m,)) for m in machines]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


# --- the two programs

# How a backup may end that was hurt: done, or to be gone on with when the line is well again.  Whoever stands in front of
# the vault and hands it shorter requests, or answers in its words, is believed in what it says.
ENDS = (0, 15)
ENDS_SPOKEN = (0, 1, 4, 13, 14, 15)


def proxy_main(runs, seed):
    server = Server()
    machines = [Machine("m%d" % i, seed * 100 + i) for i in range(8)]
    proxies = {}
    kinds, met = {}, {}
    with open("vault/local/tls.key", encoding="ascii") as f:
        key = f.read()
    for m in machines:
        os.mkdir("tls-" + m.name)
        proxies[m] = AnyProxy(lambda: server.port, key, "tls-" + m.name)
        must("samara-import", "url", "vault", "https://localhost:%d" % proxies[m].port)
        m.register()

    def hurt(m, r):
        m.change()
        fault = (Fault if r.random() < 0.5 else HttpFault)(r)
        proxies[m].arm(fault)
        done = m.backup(r.choice(["1s", "3s"]))
        proxies[m].arm(None)
        spoken = isinstance(fault, HttpFault) and (fault.status is not None or fault.kind == "length too small")
        if done.returncode not in (ENDS_SPOKEN if spoken else ENDS):
            fail("%s: %s: exit %d\n%s" % (m.name, fault, done.returncode, done.stderr))
        with LOCK:
            kinds[fault.kind] = kinds.get(fault.kind, 0) + fault.done
            kinds["not met"] = kinds.get("not met", 0) + (not fault.done)
            met[m] = met.get(m, 0) + fault.done
        return done.returncode

    def work(m):
        r = random.Random(m.r.random())
        # A fault far into a backup that says little is never met: then there is one backup more.
        while met.get(m, 0) < (runs + len(machines) - 1) // len(machines) and not failures:
            # What was not done is gone on with, by a line that is well or by one that is hurt again.
            if hurt(m, r) != 0 and r.random() < 0.3:
                done = m.backup()
                if done.returncode != 0:
                    fail("%s: a backup without a fault, after one with: exit %d\n%s" % (m.name, done.returncode, done.stderr))

    lanes(machines, work)
    finish(machines, server)
    told = {}
    for m in machines:
        for status, n in m.statuses.items():
            told[status] = told.get(status, 0) + n
    missed = kinds.pop("not met")
    print("figures: faulted %d" % sum(kinds.values()))
    print("%d backups met by their fault, %d not: %s; exits %s" % (
        sum(kinds.values()), missed, ", ".join("%d %s" % (n, k) for k, n in sorted(kinds.items())), told))


def kills_main(kills, seed):
    server = Server()
    must("samara-import", "url", "vault", "https://localhost:%d" % server.port)
    machines = [Machine("m%02d" % i, seed * 100 + i) for i in range(16)]
    for m in machines:
        m.register()
    ending = threading.Event()

    def work(m):
        while not ending.is_set():
            m.change()
            done = m.backup("60s")
            if done.returncode not in (0, 15):
                fail("%s: exit %d\n%s" % (m.name, done.returncode, done.stderr))
                return

    def house():
        """What else goes on in a vault, killed now and then too."""
        r = random.Random(seed)
        while not ending.is_set():
            argv = r.choice([["prune", "vault", "--keep-last", "3"], ["gc", "vault"], ["status", "vault"]])
            p = subprocess.Popen(["samara-import"] + argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
            if r.random() < 0.3:
                pause(r.random() * 0.2)
                p.kill()
            text = p.communicate()[0]
            if p.returncode not in (0, 1, 11, -signal.SIGKILL):
                fail("%s: exit %d\n%s" % (" ".join(argv), p.returncode, text))

    threads = [threading.Thread(target=work, args=(m,)) for m in machines] + [threading.Thread(target=house)]
    for t in threads:
        t.start()
    r = random.Random(seed)
    done = 0
    for done in range(1, kills + 1):
        pause(r.uniform(0.1, 1))
        server.kill()
        server.start()
        if failures:
            break
    ending.set()
    for t in threads:
        t.join()
    for m in machines:
        # What prune took was taken by a rule; soft delete keeps it there.
        newest = max(m.acknowledged, default=0)
        m.acknowledged = {s: t for s, t in m.acknowledged.items() if s == newest}
    finish(machines, server)
    total = sum(sum(m.statuses.values()) for m in machines)
    print("figures: kills %d" % done)
    print("%d kills under %d machines, %d backups" % (done, len(machines), total))


if __name__ == "__main__":
    what, count = sys.argv[1], int(sys.argv[2])
    start_seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    {"proxy": proxy_main, "kills": kills_main}[what](count, start_seed)
    sys.exit(1 if failures else 0)
