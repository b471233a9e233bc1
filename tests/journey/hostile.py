#!/usr/bin/env python3
"""hostile.py WORLD: disks that somebody has meddled with, some hundred kinds.

WORLD (made by hostile_disk.sh) holds disk, an image; old, an earlier one of
the same machine; foreign, one of another machine; alien, one of another
vault; vault, which has taken in old; src, what is in disk; pass and kit.txt.
For each kind: samara-verify must find it, and samples of them are ingested and
restored: no crash, no hang, nothing unverified in the vault, no wrong byte.
"""
import concurrent.futures
import os
import random
import shutil
import struct
import subprocess
import sys
import zlib

WORLD = os.path.abspath(sys.argv[1])
PATIENCE = 120
EVERY = 5           # of the kinds: so many verified to one ingested and restored
failures = []
chance = random.Random(20)


def world(*names):
    return os.path.join(WORLD, *names)


def image_of(disk):
    """Its directory, relative to the disk: samara/rm4k."""
    top = world(disk, "samara")
    return os.path.join("samara", [n for n in os.listdir(top) if n != "README.txt"][0])


def files_of(disk):
    return sorted(os.path.relpath(os.path.join(d, f), world(disk)) for d, _, fs in os.walk(world(disk)) for f in fs)


def content(disk, name):
    with open(world(disk, name), "rb") as f:
        return f.read()


def put(top, name, data):
    """In place of what is there: the rest of the disk is shared with the original."""
    path = os.path.join(top, name)
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "wb") as f:
        f.write(data)


IMAGE = image_of("disk")
FILES = files_of("disk")
PACKS = [f for f in FILES if f.endswith(".pk")]


def twin(name):
    """The other copy of what stands twice, or None."""
    rel = os.path.relpath(name, IMAGE)
    head, _, tail = rel.partition("/")
    other = head[:-1] if head.endswith("2") else head + "2"
    path = os.path.join(IMAGE, other, tail) if tail else os.path.join(IMAGE, other)
    return path if path in FILES else None


def harmless(name):
    """What nothing depends on."""
    return name.endswith("README.txt") or "/custody/" in name


def repairable(name, data, at):
    """Whether the byte at a place of a pack stands in the disk's signed index as well: all but the frames."""
    table_len = struct.unpack_from("<I", data, len(data) - 160)[0]
    return at < 64 or at >= len(data) - 176 - table_len


# --- kinds: (name, what to do to a copy of the disk, may be 0 with a warning, may be 0 without a word)

def cuts(data):
    n = len(data)
    return sorted({x for x in (0, 1, n // 3, n - 1) if 0 <= x < n})


def flips(data):
    n = len(data)
    return sorted({0, 9 % n, n // 2, n - 1, chance.randrange(n), chance.randrange(n)})


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1:]


def lengths(data):
    """Numbers that stand for lengths, in the first bytes and somewhere else."""
    for at in sorted({8, 12, 16, 20, 24, 48, *(chance.randrange(len(data)) for _ in range(2))}):
        for value in struct.pack("<I", 0), struct.pack("<I", 1 << 31), struct.pack("<Q", 1 << 63):
            new = data[:at] + value + data[at + len(value):]
            if new != data and len(new) == len(data):
                yield at, new


def kinds():
    for name in FILES:
        data = content("disk", name)
        mild = harmless(name) or twin(name) is not None
        pack = name in PACKS
        for n in cuts(data):
            soft = mild or (pack and n >= 64 and repairable(name, data, n))
            yield "%s cut to %d" % (name, n), lambda top, d=data[:n], f=name: put(top, f, d), soft, harmless(name)
        for at in flips(data):
            d = flipped(data, at)
            soft = mild or (pack and repairable(name, data, at))
            yield "%s flipped at %d" % (name, at), lambda top, d=d, f=name: put(top, f, d), soft, harmless(name)
        if mild:
            yield name + " missing", lambda top, f=name: os.unlink(os.path.join(top, f)), True, harmless(name)
        other = twin(name)
        if other is not None and name < other:
            yield from both(name, other, data)
        elif name == PACKS[-1]:
            for at, d in chance.sample(list(lengths(data)), 6):
                yield "%s: a number at %d" % (name, at), lambda top, d=d: put(top, PACKS[-1], d), \
                    all(repairable(name, data, i) for i in range(len(data)) if d[i] != data[i]), False
    yield from packs()
    yield from strangers()


def both(name, other, data):
    def change(top, d):
        put(top, name, d)
        put(top, other, d)
    for n in cuts(data):
        yield "%s and its twin cut to %d" % (name, n), lambda top, d=data[:n]: change(top, d), False, False
    for at in flips(data)[:3]:
        d = flipped(data, at)
        yield "%s and its twin flipped at %d" % (name, at), lambda top, d=d: change(top, d), False, name.endswith("keys/slots")
    for at, d in chance.sample(list(lengths(data)), 3):
        # The letter to the vault is sealed: only the vault can tell what is in it.
        yield "%s and its twin: a number at %d" % (name, at), lambda top, d=d: change(top, d), False, name.endswith("keys/slots")
    # Without a manifest the image may just not be sealed yet: a note.
    yield "%s and its twin missing" % name, lambda top: [os.unlink(os.path.join(top, f)) for f in (name, other)], \
        "/manif/" in name, False


def packs():
    first, last = PACKS[0], PACKS[-1]
    extra = os.path.join(os.path.dirname(last), "%08d.pk" % len(PACKS))

    def gone(top, name):
        os.unlink(os.path.join(top, name))

    def swapped(top):
        a, b = content("disk", first), content("disk", last)
        put(top, first, b)
        put(top, last, a)

    def instead(top, make):
        gone(top, last)
        make(os.path.join(top, last))

    def sparse(path):
        with open(path, "wb") as f:
            f.truncate(1 << 40)

    yield "packs swapped", swapped, True, False     # no reader relies on a name
    for name in PACKS:
        yield name + " missing", lambda top, f=name: gone(top, f), False, False
    yield "a pack twice", lambda top: put(top, extra, content("disk", last)), True, False
    yield "one pack in the place of another", lambda top: put(top, first, content("disk", last)), False, False
    for d in "old", "foreign", "alien":
        pack = [f for f in files_of(d) if f.endswith(".pk")][0]
        yield "a pack of %s too many" % d, lambda top, d=d, f=pack: put(top, extra, content(d, f)), True, False
        yield "a pack of %s instead" % d, lambda top, d=d, f=pack: put(top, last, content(d, f)), False, False
    yield "a pack longer", lambda top: put(top, last, content("disk", last) + b"x" * 100), True, False
    yield "a FIFO for a pack", lambda top: instead(top, os.mkfifo), False, False
    yield "a directory for a pack", lambda top: instead(top, os.mkdir), False, False
    yield "a symlink for a pack", lambda top: instead(top, lambda p: os.symlink(world("disk", last), p)), False, False
    yield "1 TiB for a pack", lambda top: instead(top, sparse), False, False
    yield "all packs missing", lambda top: [gone(top, f) for f in PACKS], False, False


def strangers():
    """Statements of another image, machine or vault, in both places."""
    for d in "old", "foreign", "alien":
        for what in ("label",), ("stmt",), ("manif", "g0001"), ("snap", "00000000.env"), ("snap", "00000000.r00"), \
                ("index", "p0000"), ("keys", "domain"), ("keys", "member"), ("keys", "regist"), ("keys", "slots"):
            source = os.path.join(image_of(d), *what)
            names = [os.path.join(IMAGE, what[0] + n, *what[1:]) for n in ("", "2")]
            if content(d, source) == content("disk", names[0]):
                continue

            def change(top, d=d, source=source, names=names):
                for n in names:
                    put(top, n, content(d, source))
            # The letter to the vault is sealed: only the vault can tell whose it is.
            yield "%s of %s" % ("/".join(what), d), change, False, what == ("keys", "slots")


# --- what must hold of each

def run(*argv, state="nostate"):
    env = dict(os.environ, SAMARA_STATE=world(state))
    try:
        p = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return 999, "it hangs"
    return p.returncode, p.stdout.decode("utf-8", "backslashreplace")


def expect(kind, true, what, said):
    if not true:
        failures.append(kind)
        print("%s: %s\n    %s" % (kind, what, said.strip().replace("\n", "\n    ")[:1500]), flush=True)


def tame(kind, what, rc, said):
    expect(kind, 0 <= rc < 128, "%s ends with %d" % (what, rc), said)
    expect(kind, not any(ord(c) < 32 and c not in "\n\t" for c in said), what + " prints control characters", repr(said))
    expect(kind, "S-1006" not in said, what + " contradicts itself", said)


def verified(kind, top, mild, silent):
    rc, said = run("samara-verify", "disk", top, "--without-key")
    tame(kind, "verify", rc, said)
    if rc == 0:
        expect(kind, silent or (mild and any(w in said for w in ("repairable", "warning", "note  "))), "verify finds nothing", said)
    else:
        expect(kind, rc in (4, 10, 12, 14), "verify ends with %d" % rc, said)
        expect(kind, len(said.split()) > 5, "verify says nothing", said)


def ingested(kind, top, scratch):
    vault = os.path.join(scratch, "vault")
    shutil.copytree(world("vault"), vault, symlinks=True)
    rc, said = run("samara-import", "ingest", vault, top)
    tame(kind, "ingest", rc, said)
    rc, said = run("samara-verify", "vault", vault, "--without-key")
    tame(kind, "verify of the vault", rc, said)
    # A snapshot of which something is missing may be there; nothing that is there may be bad.
    expect(kind, rc in (0, 3, 4), "verify of the vault ends with %d" % rc, said)
    bad = [l for l in said.split("\n") if ("damage" in l or "signature" in l) and "quarantine/" not in l]
    expect(kind, not bad, "something bad came into the vault", said)
    back = os.path.join(scratch, "back")
    snapshot = "%s:%s" % (os.environ["FIRST"], world("first"))
    rc, said = run("samara-seed", "restore", snapshot, "--from", vault, "--to", back, state="state")
    expect(kind, rc == 0, "the snapshot that the vault had is no longer whole", said)
    shutil.rmtree(vault)


def restored(kind, top, scratch):
    back = os.path.join(scratch, "again")
    rc, said = run("samara-seed", "restore", "latest:" + world("src"), "--from", top, "--to", back, state="state")
    tame(kind, "restore", rc, said)
    missing = []
    for name in os.listdir(world("src")):
        path = os.path.join(back, name)
        if not os.path.exists(path):
            missing.append(name)
            continue
        with open(path, "rb") as f:
            expect(kind, f.read() == content("src", name), "restore wrote other bytes into " + name, said)
    expect(kind, rc != 0 or not missing, "restore is content without %s" % missing, said)


def one(number, kind, change, mild, silent):
    scratch = world("try", str(number))
    top = os.path.join(scratch, "disk")
    os.makedirs(scratch)
    shutil.copytree(world("disk"), top, copy_function=os.link)
    change(top)
    verified(kind, top, mild, silent)
    if number % EVERY == 0:
        ingested(kind, top, scratch)
        restored(kind, top, scratch)
    shutil.rmtree(scratch)


# --- a kit that asks for more memory than there is

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def armour(text, change):
    """The text with other bytes in its armour, all checksums right."""
    lines = text.split("\n")
    begin = next(i for i, l in enumerate(lines) if l.startswith("-----BEGIN"))
    end = next(i for i, l in enumerate(lines) if l.startswith("-----END"))
    data = bytearray()
    for l in lines[begin + 1:end]:
        digits = "".join(l.split()[1:-1])
        n = len(digits) * 5 // 8
        value = 0
        for c in digits:
            value = value << 5 | DIGITS.index(c)
        data += (value >> (len(digits) * 5 - n * 8)).to_bytes(n, "big")
    new = change(bytes(data))
    out = lines[:begin + 1]
    for i in range(0, len(new), 25):
        part = new[i:i + 25]
        bits = len(part) * 8
        width = (bits + 4) // 5
        value = int.from_bytes(part, "big") << (width * 5 - bits)
        digits = "".join(DIGITS[value >> (width - 1 - k) * 5 & 31] for k in range(width))
        number = i // 25 + 1
        crc = zlib.crc32(struct.pack("<I", number) + part) & 0xfffff
        check = "".join(DIGITS[crc >> s & 31] for s in (15, 10, 5, 0))
        out.append(" ".join(["%02d" % number] + [digits[k:k + 5] for k in range(0, width, 5)] + [check]))
    what = lines[end].split()
    out.append(" ".join(what[:-1] + ["%08x-----" % zlib.crc32(new)]))
    return "\n".join(out + lines[end + 1:])


def greedy():
    """Argon2 parameters in the slots: refused before any memory is asked for."""
    text = content(".", "kit.txt").decode()
    if armour(text, lambda d: d) != text:
        failures.append("armour")
        return print("the armour of a kit is not what this program thinks")
    usual = struct.pack("<Q", 256 << 20)
    for what, old, new in (("1 TB", usual, struct.pack("<Q", 1 << 40)), ("2^63 bytes", usual, struct.pack("<Q", 1 << 63)),
                           ("no memory", usual, bytes(8)),
                           ("2^32 rounds", struct.pack("<Q", 3) + usual, struct.pack("<Q", 1 << 32) + usual)):
        with open(world("greedy.txt"), "w") as f:
            f.write(armour(text, lambda d: d.replace(old, new)))
        expect(what, content(".", "greedy.txt") != text.encode(), "nothing was changed", "")
        rc, said = run("samara-seed", "restore", "latest", "--from", world("disk"), "--to", world("greedy"), "--kit",
                       world("greedy.txt"), "--passphrase-file", world("pass"))
        tame(what, "restore", rc, said)
        expect(what, rc == 12 and ("S-1307" in said or "S-1308" in said), "slots that ask for %s: %d" % (what, rc), said)


def main():
    todo = list(kinds())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one, i, *k) for i, k in enumerate(todo)]:
            done.result()
    greedy()
    print("%d disks that were meddled with, %d of them ingested and restored; %d failures" %
          (len(todo), (len(todo) + EVERY - 1) // EVERY, len(set(failures))))
    return 1 if failures else 0


sys.exit(main())
