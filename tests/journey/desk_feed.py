#!/usr/bin/env python3
"""The hands at the desk: a disk into each free bay, out when the desk says so; the service killed in the middle."""
import json
import os
import random
import signal
import subprocess
import sys
import time

BAYS = [f"bays/{n}" for n in range(1, 9)]
LIMIT = 900


class Desk:
    """The service, and what it said last of each bay."""

    def __init__(self):
        self.lines = []
        self.starts = 0
        self.begin()

    def begin(self):
        self.starts += 1
        self.out = open(f"dock.{self.starts}", "w+b")
        self.err = open("dock.err", "ab")
        self.process = subprocess.Popen(["samara-import", "dock", "--json", *BAYS], stdout=self.out.fileno(),
                                        stderr=self.err.fileno())
        self.at = 0

    def read(self):
        data = os.pread(self.out.fileno(), 1 << 20, self.at)
        end = data.rfind(b"\n") + 1
        self.at += end
        self.lines += [json.loads(line) for line in data[:end].splitlines()]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.read()
        self.begin()

    def ended(self, bay, name, since):
        """How the bay ended with this disk, said after ${since}; or None."""
        for row in self.lines[since:]:
            if row["type"] == "bay" and row["bay"] == bay and row["state"] in ("remove", "attention") and \
                    (row["disk"] == name or name in row["why"]):
                return row["state"], row["why"]
        return None


def name_of(disk):
    images = [n for n in os.listdir(f"disks/{disk}/samara") if not n.endswith(".txt")] if disk != "empty" else []
    return images[0].upper() + "-1" if images else None


def main():
    disks = sorted(os.listdir("disks"))
    random.Random(20261121).shuffle(disks)
    names = {d: name_of(d) for d in disks}
    os.mkdir("parked")
    for bay in BAYS:
        os.mkdir(bay)
    desk = Desk()
    held = {bay: None for bay in BAYS}  # disk; lines said and disks done before it came
    results, kills, deadline = {}, [10, 20], time.monotonic() + LIMIT
    while disks or any(held.values()):
        assert time.monotonic() < deadline, (held, results)
        desk.read()
        for bay in BAYS:
            if held[bay] is None and disks:
                disk = disks.pop()
                os.rmdir(bay)
                os.rename(f"disks/{disk}", bay)
                held[bay] = disk, len(desk.lines), len(results)
            elif held[bay] is not None:
                disk, since, done = held[bay]
                if names[disk] is None:  # nobody says anything of it: out again when others have ended meanwhile
                    end = ("empty", "") if len(results) >= done + 4 or not disks else None
                else:
                    end = desk.ended(bay, names[disk], since)
                if end:
                    results[disk] = end
                    os.rename(bay, f"parked/{disk}")
                    os.mkdir(bay)
                    held[bay] = None
        if kills and len(results) >= kills[0]:
            desk.kill()
            kills.pop(0)
        try:
            desk.process.wait(0.01)
            raise AssertionError("the service ended by itself")
        except subprocess.TimeoutExpired:
            pass
    desk.process.send_signal(signal.SIGTERM)
    assert desk.process.wait(300) == 0, desk.process.returncode
    desk.read()
    bad = {d: e for d, e in results.items() if e[0] != "remove"}
    assert len(results) == 33 and set(bad) == {"empty", "far-1"}, bad
    assert "made for vault far" in bad["far-1"][1], bad
    assert desk.lines[-1]["type"] == "summary", desk.lines[-1]
    with open("fed", "w") as f:
        f.write(f"{len(results)} disks over {len(BAYS)} bays, service started {desk.starts} times\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
