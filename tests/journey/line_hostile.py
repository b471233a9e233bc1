#!/usr/bin/env python3
"""line_hostile.sh: one restore for each way in which a vault can lie (line_between.py), and what must come of it."""
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from line_between import HOSTILE, Between  # noqa: E402

HERE = os.getcwd()
SRC = os.path.join(HERE, "src")


def tree(top):
    """All below a directory: name → content, target or None."""
    out = {}
    for base, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(base, name)
            rel = os.path.relpath(path, top)
            if os.path.islink(path):
                out[rel] = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as f:
                    out[rel] = f.read()
            else:
                out[rel] = None
    return out


def samara(state, *args):
    env = dict(os.environ, SAMARA_STATE=state)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        env.pop(name, None)
    r = subprocess.run(["samara-seed", *args], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
    return r.returncode, r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace")


def wrong_bytes(target, good):
    """Names in the target whose content is not what was saved; files without their final name do not count."""
    bad = []
    for rel, content in tree(target).items():
        name = os.path.basename(rel)
        if content is None or name.startswith(".samara-restore") or name.startswith(".samara-tmp") or not rel.startswith(SRC[1:] + "/"):
            if content is not None and not name.startswith("."):
                bad.append(rel)
            continue
        if not name.startswith(".") and good.get(rel[len(SRC):]) != content:
            bad.append(rel)
    return bad


def judge(mode, act, expect, rc, out, err, b, before, good, target):
    wrong = []
    text = out + err
    here = tree(target) if os.path.isdir(target) else {}
    whole = all(here.get(os.path.join(SRC[1:], k)) == v for k, v in good.items())
    if b.acted == 0 and b.wrong_hello == 0:
        wrong.append("nothing was edited: the test proves nothing")
    if wrong_bytes(target, good):
        wrong.append(f"wrong bytes restored: {wrong_bytes(target, good)}")
    if before != outside(target):
        wrong.append("something outside the target changed")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", text):
        wrong.append("the terminal was written to in the vault's own words")
    if b.elsewhere.visits:
        wrong.append(f"somebody went elsewhere: {b.elsewhere.visits}")
    if rc not in (0, 1, 3, 4, 12, 14, 15):
        wrong.append(f"exit status {rc}")
    if expect is None:
        if rc != 0 or not whole:
            wrong.append(f"it should do no harm: exit {rc}, {'whole' if whole else 'not whole'}")
    else:
        if not re.search(expect, text, re.S):
            wrong.append(f"it does not say {expect!r}")
        if rc == 0 and not whole:
            wrong.append("not whole, and exit 0")
    return wrong


def outside(target):
    """What stands beside the target, but for what the machine notes of its jobs and its line, and the server of requests."""
    out = {}
    for name in os.listdir(HERE):
        path = os.path.join(HERE, name)
        if path == target or name in ("serve.log", "state.work", "out", "log"):
            continue
        if os.path.isdir(path) and name in ("src", "alien"):
            out[name] = tree(path)
        else:
            out[name] = None
    return out


def main():
    real, between = int(sys.argv[1]), int(sys.argv[2])
    only = sys.argv[3:]
    key, wrong = (open(f"{v}/local/tls.key", encoding="ascii").read() for v in ("vault", "other"))
    b = Between(real, key, wrong, HERE, between)
    get = "https://127.0.0.1:%d/v1/vaults/dc-south/identity" % real
    b.other_identity = urllib.request.urlopen(get, context=ssl._create_unverified_context()).read()
    with open("old.identity", "rb") as f:
        b.old_identity = f.read()
    rows = []

    # The machine has seen its vault once: that is what it remembers.
    rc, out, err = samara("state.db1", "snapshots", "--from", "line")
    assert rc == 0 and out.count("whole") == 2, (rc, out, err)
    first, latest = (line.split()[0] for line in out.splitlines()[1:])
    trees = {latest: tree(SRC), first: tree(os.path.join(HERE, "before"))}
    alien = [f"{d}/{p}" for d in os.listdir("vault/packs") for p in os.listdir(f"vault/packs/{d}")]
    heads = {}
    for p in alien:
        with open("vault/packs/" + p, "rb") as f:
            heads.setdefault(f.read(48)[16:], []).append(os.path.basename(p))
    b.alien = bytes.fromhex(min(heads.values(), key=len)[0].split(".")[0])
    failed = 0
    for mode, (kind, act, expect) in HOSTILE.items():
        if only and mode not in only:
            continue
        target = os.path.join(HERE, "target")
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree("state.work", ignore_errors=True)
        shutil.copytree("state.db1", "state.work")
        before = outside(target)
        b.start(mode)
        # The second snapshot's list is stored as what changed: the first one's stands whole.
        snap = first if kind == "list" else latest
        good = trees[snap]
        rc, out, err = samara("state.work", "restore", snap, "--to", target)
        b.mode = None
        bad = judge(mode, act, expect, rc, out, err, b, before, good, target)
        said = next((line for line in err.splitlines() if "S-" in line or "vault" in line or "chunk" in line), "")
        rows.append((mode, rc, said))
        print(f"{'not caught' if bad else 'harmless  ' if expect is None else 'caught    '} {rc:3} {mode}: {said[:150]}")
        for line in bad:
            print(f"    {line}")
        if bad:
            failed += 1
            print("    " + "\n    ".join((out + err).splitlines()[-12:]))
    print(f"figures: ways {len(rows)}")
    print(f"{len(rows)} ways, {failed} not caught")
    if not only and len(rows) < 30:
        sys.exit("too few ways")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
