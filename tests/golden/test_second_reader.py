#!/usr/bin/env python3
"""Damages copies of the golden image and expects the second reader to say so."""
import contextlib
import io
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.dont_write_bytecode = True
import second_reader  # noqa: E402

TOP = os.path.join(HERE, "1", "image")
RM4K = "samara/rm4k/"


def status(disk):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = second_reader.main(["second_reader", disk, "--sample", "100000"])
    return code, out.getvalue()


def change(path, how):
    with open(path, "rb") as f:
        old = f.read()
    with open(path, "wb") as f:
        f.write(how(old))
    return old


def both(disk, first, second, how, found):
    """The same damage to both copies: only what they say can tell."""
    old = [change(os.path.join(disk, RM4K, n), how) for n in (first, second)]
    code, out = status(disk)
    if code != 1:
        found.append(f"{first}: damage to both copies was not found:\n{out}")
    for n, b in zip((first, second), old):
        change(os.path.join(disk, RM4K, n), lambda _, b=b: b)


def main():
    missed, tried = [], 0
    with tempfile.TemporaryDirectory() as tmp:
        disk = os.path.join(tmp, "disk")
        shutil.copytree(TOP, disk)
        code, out = status(disk)
        if code != 0:
            sys.exit("the golden image itself is refused:\n" + out)

        def one(name, how, what):
            nonlocal tried
            path = os.path.join(disk, RM4K, name)
            old = change(path, how)
            code, out = status(disk)
            tried += 1
            if code != 1:
                missed.append(f"{name}: {what} was not found:\n{out}")
            change(path, lambda _: old)

        for pack in ("packs/0000/00000000.pk", "packs/0000/00000001.pk"):
            size = os.path.getsize(os.path.join(disk, RM4K, pack))
            for at in range(0, size, 13):
                one(pack, lambda b, at=at: b[:at] + bytes([b[at] ^ 1]) + b[at + 1:], f"a flipped bit at {at}")
            one(pack, lambda b: b[:-1], "a cut byte")
            one(pack, lambda b: b + b"\0", "a byte too many")
            one(pack, lambda b: b"", "an empty file")
        for name in ("label", "stmt", "index/p0000", "manif/g0001", "snap/00000000.env", "keys/slots", "keys/regist"):
            one(name, lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:], "a flipped bit in one copy")
            one(name, lambda b: b[:-1], "a cut byte in one copy")
        one("snap/00000000.r00", lambda b: b[:136] + b[168:200] + b[136:168] + b[200:], "ids out of order")
        one("snap/00000000.r00", lambda b: b[:140] + bytes([b[140] ^ 1]) + b[141:], "another id")
        one("snap/00000000.r00", lambda b: b[:-32], "an id too few")
        one("custody/00000001", lambda b: b.replace(b"\1\0\0\0", b"\2\0\0\0", 1), "a number that is not the next")

        def flip(at):
            return lambda b: b[:at] + bytes([b[at] ^ 1]) + b[at + 1:]
        pairs = (("label", "label2"), ("stmt", "stmt2"), ("index/p0000", "index2/p0000"), ("manif/g0001", "manif2/g0001"))
        for first, second in pairs:
            size = os.path.getsize(os.path.join(disk, RM4K, first))
            sig = 0 if first.startswith("index") else 64  # signatures are not verified here
            # In a manifest only the signature speaks for the disk that was replaced, key test and time.
            skip = {*range(108, 112), *range(size - 74, size - 64)} if first == "manif/g0001" else ()
            for at in range(0, size - sig, 3):
                if at not in skip:
                    both(disk, first, second, flip(at), missed)
                    tried += 1
        a, b = (os.path.join(disk, RM4K, "packs/0000", f"0000000{i}.pk") for i in (0, 1))
        os.rename(a, a + "x"), os.rename(b, a), os.rename(a + "x", b)
        if status(disk)[0] != 1:
            missed.append("exchanged packs were not found")
        os.remove(a)
        if status(disk)[0] != 1:
            missed.append("a missing pack was not found")
    print(f"{tried} kinds of damage, {len(missed)} not found")
    print("\n".join(missed[:10]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
