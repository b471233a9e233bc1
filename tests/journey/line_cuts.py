"""Everything that a machine says to its vault and hears from it, cut at every byte.

    line_cuts.py EVERY [WHAT]...     each EVERYth byte (1: all); WHAT: register, pledge, answer, backup, read

What is cut are the bytes of requests and answers themselves, by a proxy that holds the vault's TLS key: half a head, half
a body, half a number.  The command is run once with the cut and once without.  Either time it may say that it is done
only if it is; the second time it must.  In the current directory: pass.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

from line_proxy import HttpProxy, reset, shut

LANES = int(os.environ.get("LANES", "4"))
LOCK = threading.Lock()
failures = []
figures = {}


class CutProxy(HttpProxy):
    """Cuts all connections' bytes of one side (0: the client's) at the byte .at, counted from arm() on."""

    def __init__(self, *args):
        super().__init__(*args)
        self.passed, self.side, self.at, self.hit = [0, 0], 0, None, False

    def arm(self, side=0, at=None):
        with self.lock:
            self.passed, self.side, self.at, self.hit = [0, 0], side, at, False

    def send(self, side, sink, source, data):
        with self.lock:
            before = self.passed[side]
            self.passed[side] += len(data)
            cut = not self.hit and self.at is not None and side == self.side and before <= self.at < before + len(data)
            self.hit = self.hit or cut
            at = self.at
        if not cut:
            sink.sendall(data)
            return
        if at > before:
            sink.sendall(data[:at - before])
        if at % 2:
            reset(sink)
            reset(source)
        raise OSError("cut")

    def talk(self, client, from_client, server, from_server):
        while True:
            request = self.read(from_client, sink=client)
            if request is None:
                return
            self.send(0, server, client, request.bytes())
            answer = self.read(from_server)
            if answer is None:
                return
            self.send(1, client, server, answer.bytes())


class Lane:
    """A vault and a machine of their own, and all between them."""

    def __init__(self, number):
        self.name, self.number = "lane%d" % number, number
        self.r = random.Random(number)
        self.server, self.port, self.log = None, 0, None
        self.acknowledged = set()
        os.mkdir(self.name)

    def path(self, name):
        return os.path.join(self.name, name)

    def run(self, *argv):
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.name,
                              check=False)

    def must(self, *argv):
        r = self.run(*argv)
        if r.returncode != 0:
            raise RuntimeError("%s: %s ended with %d\n%s%s" % (self.name, " ".join(argv), r.returncode, r.stdout.decode(),
                                                              r.stderr.decode()))
        return r.stdout

    def seed(self, *argv):
        return self.run("samara-seed", argv[0], "--state", "state", *argv[1:])

    def serve(self):
        log = open(self.path("serve.log"), "ab")
        self.server = subprocess.Popen(["samara-import", "serve", "vault", "--listen", "127.0.0.1:0", "--json"], cwd=self.name,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        log.close()
        for line in self.server.stdout:
            if b'"listening"' in line:
                self.port = json.loads(line)["port"]
                return
        raise RuntimeError("the server does not start: " + self.name)

    def leave(self):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def keep(self, name):
        for what in "vault", "state":
            shutil.copytree(self.path(what), self.path("%s.%s" % (what, name)), symlinks=True)

    def back(self, name):
        for what in "vault", "state":
            shutil.rmtree(self.path(what))
            shutil.copytree(self.path("%s.%s" % (what, name)), self.path(what), symlinks=True)

    def change(self):
        with open(self.path("src/a"), "wb") as f:
            f.write(self.r.randbytes(900))

    def prepare(self, wanted):
        """What each exchange begins with; ends with the server running and a first snapshot in the vault."""
        self.must("samara-import", "create", "vault", "--name", "dc", "--key-copy", "key.copy")
        # The key is made when it is served first.
        self.serve()
        self.leave()
        with open(self.path("vault/local/tls.key"), encoding="ascii") as f:
            self.proxy = CutProxy(lambda: self.port, f.read(), self.name)
        self.must("samara-import", "url", "vault", "https://localhost:%d" % self.proxy.port)
        self.must("samara-import", "credential", "vault", "web1", "--out", "m.crd")
        self.must("samara-seed", "register", "m.crd", "--offline", "--machine", "web1", "--state", "state", "--passphrase-file", "../pass", "--kit", "kit")
        self.must("samara-seed", "policy", "set", "initial=network", "--state", "state")
        os.mkdir(self.path("src"))
        self.change()
        self.keep("register")
        if "pledge" in wanted or "answer" in wanted:
            os.mkdir(self.path("disk"))
            self.must("samara-seed", "build", "--to", "disk", "--plain-directory", "--passphrase-file", "../pass", "--state", "state", "src")
            self.serve()
            self.must("samara-seed", "connection", "--state", "state")
            self.leave()
            self.keep("pledge")
            self.serve()
            self.must("samara-seed", "ship", "--state", "state")
            self.must("samara-import", "ingest", "vault", "disk")
            self.must("samara-import", "receipt", "vault")
            self.leave()
            self.keep("answer")
        self.back("register")
        self.serve()
        self.must("samara-seed", "backup", "--state", "state", "--max-upload", "none", "--no-progress", "src")
        self.leave()
        self.keep("backup")


# --- the exchanges: what is run, and what must be so when it was said to be done

class Register:
    """The machine's first contact admits its registration and brings its token."""
    resets = True

    def run(self, lane):
        return lane.seed("snapshots", "--from", "line")

    def done(self, lane):
        found = lane.must("samara-import", "list", "vault", "machines", "--json").count(b'"machine"')
        return None if found == 1 else "%d machines" % found


class Pledge:
    resets = True

    def run(self, lane):
        return lane.seed("ship")

    def said(self, r):
        return b"The vault knows what is on its way" in r.stdout

    def done(self, lane):
        out = lane.must("samara-import", "list", "vault", "snapshots")
        return None if b"pending on" in out else "the snapshot is not pending:\n" + out.decode()


class Answer:
    resets = True

    def run(self, lane):
        return lane.seed("receipt")

    def done(self, lane):
        out = lane.must("samara-import", "list", "vault", "images")
        return None if b"handed-off" in out or b"handed off" in out else "not handed off:\n" + out.decode()


class Backup:
    resets = False

    def run(self, lane):
        r = lane.seed("backup", "--max-upload", "none", "--retry-for", "1s", "--json", "--no-progress", "src")
        if r.returncode == 0:
            lane.acknowledged.add(json.loads(r.stdout.splitlines()[-1])["number"])
        return r

    def begin(self, lane):
        lane.change()

    def done(self, lane):
        return None

    def end(self, lane):
        there = {}
        for line in lane.must("samara-seed", "snapshots", "--state", "state", "--from", "vault", "--json").splitlines():
            row = json.loads(line)
            if row.get("type") == "snapshot":
                there[row["number"]] = row.get("state")
        for n in lane.acknowledged:
            if there.get(n, "not there") not in ("whole", None):
                return "snapshot %d was acknowledged and is %s" % (n, there.get(n, "not there"))
        lane.must("samara-verify", "vault", "vault")
        lane.must("samara-import", "rebuild", "vault")
        lane.must("samara-verify", "vault", "vault")
        got = lane.must("samara-seed", "dump", "latest", os.path.abspath(lane.path("src/a")), "--state", "state", "--from", "vault")
        with open(lane.path("src/a"), "rb") as f:
            return None if f.read() == got else "what comes back is different"


class Read:
    """The list of snapshots, places, and a range of a pack."""
    resets = False

    def run(self, lane):
        self.r = lane.seed("dump", "latest", os.path.abspath(lane.path("src/a")), "--from", "line")
        lane.dumped = self.r.stdout
        return self.r

    def done(self, lane):
        with open(lane.path("src/a"), "rb") as f:
            return None if f.read() == lane.dumped else "what comes back is different"


WHAT = {"register": Register, "pledge": Pledge, "answer": Answer, "read": Read, "backup": Backup}


def one(lane, what, name, side, at):
    """A cut at one byte.  What is wrong, or None."""
    if what.resets:
        lane.back(name)
        lane.serve()
    try:
        if hasattr(what, "begin"):
            what.begin(lane)
        lane.proxy.arm(side, at)
        r = what.run(lane)
        hit = lane.proxy.hit
        if r.returncode not in (0, 15):
            return hit, "exit %d\n%s" % (r.returncode, r.stderr.decode())
        if r.returncode == 0 and (not hasattr(what, "said") or what.said(r)):
            wrong = what.done(lane)
            if wrong is not None:
                return hit, "it said that it was done: " + wrong
        lane.proxy.arm()
        r = what.run(lane)
        if r.returncode != 0:
            return hit, "again, without a cut: exit %d\n%s" % (r.returncode, r.stderr.decode())
        wrong = what.done(lane)
        return hit, None if wrong is None else "in the end: " + wrong
    finally:
        if what.resets:
            lane.leave()


def measure(lane, what, name):
    """How many bytes go either way when nothing is cut."""
    if what.resets:
        lane.back(name)
        lane.serve()
    elif hasattr(what, "begin"):
        what.begin(lane)
    lane.proxy.arm()
    r = what.run(lane)
    if r.returncode != 0:
        raise RuntimeError("%s: exit %d\n%s" % (name, r.returncode, r.stderr.decode()))
    if what.resets:
        lane.leave()
    return list(lane.proxy.passed)


def exchange(lanes, name, every):
    work, sizes = [], []
    classes = [WHAT[name]() for _ in lanes]
    for lane, what in zip(lanes, classes):
        if not what.resets:
            lane.back("backup")
            lane.serve()
        sizes.append(measure(lane, what, name))
    # What comes by chance, as a pack's padding, makes one a little longer than another.
    most = [max(s[side] for s in sizes) for side in (0, 1)]
    for side in (0, 1):
        work += [(side, at) for at in range(random.Random(every).randrange(every), most[side], every)]
    todo = list(reversed(work))
    hits = [0]

    def go(lane, what):
        while not failures:
            with LOCK:
                if not todo:
                    return
                side, at = todo.pop()
            hit, wrong = one(lane, what, name, side, at)
            with LOCK:
                hits[0] += hit
                if wrong is not None:
                    failures.append("%s: cut at byte %d of what the %s sends: %s" % (name, at, "server" if side else "client", wrong))

    began = time.time()
    threads = [threading.Thread(target=go, args=pair) for pair in zip(lanes, classes)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for lane, what in zip(lanes, classes):
        if not what.resets:
            lane.leave()
        if hasattr(what, "end") and not failures:
            wrong = what.end(lane)
            if wrong is not None:
                failures.append("%s: %s" % (lane.name, wrong))
    figures[name] = hits[0]
    print("%s: %d bytes to the server and %d back, cut at %d of them, %d s" % (name, most[0], most[1], hits[0], time.time() - began),
          flush=True)


def main():
    every = int(sys.argv[1])
    wanted = sys.argv[2:] or list(WHAT)
    lanes = [Lane(i) for i in range(LANES)]
    threads = [threading.Thread(target=lane.prepare, args=(wanted,)) for lane in lanes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for name in wanted:
        if not failures:
            exchange(lanes, name, every)
    for text in failures:
        print(text, file=sys.stderr)
    print("figures: cuts %d" % sum(figures.values()))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
