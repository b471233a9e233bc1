"""Faults on the line between real clients and a real server.

    line_faults.py proxy RUNS [SEED]     each backup through a proxy that hurts it once
    line_faults.py kills KILLS [SEED]    the server killed again and again under sixteen clients, with housekeeping beside it

In the current directory: vault/ (created, nobody registered), pass.  What a client was told was done is kept, and in the
end it has to be there: every snapshot whole, every byte good, and what comes back equal to the source.
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK = threading.Lock()
pause = threading.Event().wait     # a delay that is itself what is done to the line
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


# --- the proxy: one fault for each of the next connections

class Fault:
    """What is done to one connection: to the bytes that come from the client (0) or from the server (1)."""
    KINDS = ["refuse", "reset", "cut", "cut and reset", "slow", "one by one", "stall and cut", "twice", "changed", "lost"]

    def __init__(self, r):
        self.kind = r.choice(self.KINDS)
        self.side = r.randrange(2)
        # Most of what is said is short; what is long is hurt anywhere in it.
        self.at = r.choice([r.randrange(1, 400), r.randrange(400, 3000), r.randrange(3000, 300000)])
        self.done = False

    def __str__(self):
        return "%s at byte %d of what the %s sends" % (self.kind, self.at, "server" if self.side else "client")


class Proxy:
    def __init__(self, upstream):
        self.upstream = upstream
        self.fault = None
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listening.accept()
            fault, self.fault = self.fault, None
            threading.Thread(target=self.serve, args=(client, fault), daemon=True).start()

    @staticmethod
    def reset(s):
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        except OSError:
            pass

    def serve(self, client, fault):
        if fault is not None and fault.kind in ("refuse", "reset"):
            if fault.kind == "reset":
                self.reset(client)
            else:
                client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.upstream()))
        except OSError:
            client.close()
            return
        both = (client, server)
        other = threading.Thread(target=self.pump, args=(both, 1, fault), daemon=True)
        other.start()
        self.pump(both, 0, fault)
        other.join()
        client.close()
        server.close()

    def pump(self, both, side, fault):
        source, sink = both[side], both[1 - side]
        passed = 0
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if fault is not None and fault.side == side and not fault.done and passed + len(data) > fault.at:
                    self.hurt(both, side, fault, data, fault.at - passed)
                else:
                    sink.sendall(data)
                passed += len(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for s in both:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def hurt(self, both, side, fault, data, at):
        sink = both[1 - side]
        fault.done = True
        if fault.kind in ("cut", "cut and reset", "stall and cut", "lost"):
            if fault.kind != "lost":
                sink.sendall(data[:at])
            if fault.kind == "stall and cut":
                pause(0.3)
            if fault.kind == "cut and reset":
                self.reset(both[0])
            raise OSError("cut")
        if fault.kind == "slow":
            for i in range(0, len(data), 4096):
                sink.sendall(data[i:i + 4096])
                pause(0.002)
        elif fault.kind == "one by one":
            for i in range(min(len(data), 1500)):
                sink.sendall(data[i:i + 1])
            sink.sendall(data[1500:])
        elif fault.kind == "twice":
            sink.sendall(data)
            sink.sendall(data)
        else:
            data = bytearray(data)
            data[at] ^= 1
            sink.sendall(bytes(data))


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

def proxy_main(runs, seed):
    server = Server()
    machines = [Machine("m%d" % i, seed * 100 + i) for i in range(4)]
    proxies = {}
    kinds = {}
    for m in machines:
        proxies[m] = Proxy(lambda: server.port)
        must("samara-import", "url", "vault", "https://localhost:%d" % proxies[m].port)
        m.register()

    def work(m):
        r = random.Random(m.r.random())
        for _ in range(runs // len(machines)):
            m.change()
            fault = proxies[m].fault = Fault(r)
            done = m.backup("3s")
            if done.returncode not in (0, 15):
                fail("%s: %s: exit %d\n%s" % (m.name, fault, done.returncode, done.stderr))
            with LOCK:
                kinds[fault.kind] = kinds.get(fault.kind, 0) + 1
            proxies[m].fault = None

    lanes(machines, work)
    finish(machines, server)
    told = {}
    for m in machines:
        for status, n in m.statuses.items():
            told[status] = told.get(status, 0) + n
    print("figures: faulted %d" % sum(kinds.values()))
    print("%d backups, each with a fault: %s; exits %s" % (runs, ", ".join("%d %s" % (n, k) for k, n in sorted(kinds.items())), told))


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
