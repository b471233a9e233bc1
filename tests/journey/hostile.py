#!/usr/bin/env python3
"""hostile.py WORLD: disks that somebody has meddled with, more than 500 kinds.

WORLD (made by hostile_disk.sh) holds disk, an image; guarded, a small one with
parity; topup, one that carries a list of ids; old, an earlier one of the same
machine; foreign, one of another machine; alien, one of another vault; vault,
which has taken in old; vault-foreign and other, into which foreign and alien
went; src and little, what is in disk and guarded; parcel.txt, parcel-alien.txt:
announcements; pass and kit.txt.
For each kind: samara-verify must find it, and samples of them, and all with
things of another party, are ingested and restored: no crash, no hang, nothing
unverified and nothing of the other party in the vault, no wrong byte.
"""
import concurrent.futures
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ORIGIN = os.path.abspath(sys.argv[1])       # its paths stand in the snapshots
WORLD = ORIGIN
WANTED = 500
PATIENCE = 120
EVERY = 5           # of the kinds: so many verified to one ingested and restored
failures = []
figures = {"refused": 0, "harmless": 0, "ingested": 0}
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


if os.access("/dev/shm", os.W_OK):          # nothing here depends on a real disk
    WORLD = os.path.join(tempfile.mkdtemp(prefix="samara-hostile.", dir="/dev/shm"), "world")
    shutil.copytree(ORIGIN, WORLD, symlinks=True)
IMAGE = image_of("disk")
FILES = files_of("disk")
PACKS = [f for f in FILES if f.endswith(".pk")]


def twin(name, image=IMAGE, files=None):
    """The other copy of what stands twice, or None."""
    rel = os.path.relpath(name, image)
    head, _, tail = rel.partition("/")
    other = head[:-1] if head.endswith("2") else head + "2"
    path = os.path.join(image, other, tail) if tail else os.path.join(image, other)
    return path if path in (FILES if files is None else files) else None


def harmless(name):
    """What nothing depends on."""
    return name.endswith("README.txt")


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
        mild = harmless(name) or "/custody/" in name or twin(name) is not None
        pack = name in PACKS
        for n in cuts(data):
            soft = mild or (pack and n >= 64 and repairable(name, data, n))
            yield "%s cut to %d" % (name, n), lambda top, d=data[:n], f=name: put(top, f, d), soft, harmless(name)
        for at in flips(data):
            d = flipped(data, at)
            soft = mild or (pack and repairable(name, data, at))
            yield "%s flipped at %d" % (name, at), lambda top, d=d, f=name: put(top, f, d), soft, harmless(name)
        if mild:
            # Of a log the end may be missing: nobody knows what would have come.
            last = "/custody/" in name and name == [f for f in FILES if "/custody/" in f][-1]
            yield name + " missing", lambda top, f=name: os.unlink(os.path.join(top, f)), True, harmless(name) or last
        other = twin(name)
        if other is not None and name < other:
            yield from both(name, other, data)
        elif name == PACKS[-1]:
            for at, d in chance.sample(list(lengths(data)), 6):
                yield "%s: a number at %d, %08x" % (name, at, zlib.crc32(d)), lambda top, d=d: put(top, PACKS[-1], d), \
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
        yield "%s and its twin: a number at %d, %08x" % (name, at, zlib.crc32(d)), lambda top, d=d: change(top, d), False, name.endswith("keys/slots")
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


# --- whole directories, and the image as a whole

def remove(path):
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)


def directories():
    """Each directory of the image as something else.  Of what stands twice one is spared."""
    found = sorted({os.path.relpath(d, world("disk", IMAGE)) for d, _, _ in os.walk(world("disk", IMAGE))} - {"."})
    makers = (("missing", lambda p: None), ("a file", lambda p: open(p, "w").close()), ("a FIFO", os.mkfifo),
              ("a symlink to itself", lambda p: os.symlink(os.path.basename(p), p)),
              ("a symlink upwards", lambda p: os.symlink("..", p)), ("empty", os.mkdir))
    for name in found:
        spared = name[:-1] if name.endswith("2") else name + "2"
        for what, make in makers:
            def change(top, name=name, make=make):
                path = os.path.join(top, IMAGE, name)
                remove(path)
                make(path)
            # Whose hands it went through is not needed to restore it.
            yield "%s is %s" % (name, what), change, spared in found or name == "custody", False
    for what in "packs", "snap", "keys", "index":
        def instead(top, what=what):
            remove(os.path.join(top, IMAGE, what))
            os.symlink(world("alien", image_of("alien"), what), os.path.join(top, IMAGE, what))
        yield "%s is a symlink to that of alien" % what, instead, what != "packs", False


def images():
    """Several images on a disk, or one under another's name.  Each is right in itself, so verify may be content."""
    name, alien = os.path.basename(IMAGE), os.path.basename(image_of("alien"))

    def copy(top, d, to):
        shutil.copytree(world(d, image_of(d)), os.path.join(top, "samara", to))

    def only(top, d, to):
        remove(os.path.join(top, IMAGE))
        copy(top, d, to)

    def swap(top):
        only(top, "alien", name)
        copy(top, "disk", alien)

    def link(to):
        return lambda top: os.symlink(to, os.path.join(top, "samara", "zzzz"))

    yield "the image of alien beside it", lambda top: copy(top, "alien", alien), True, True
    yield "the image of alien instead", lambda top: only(top, "alien", alien), True, True
    yield "the image of alien under its name", lambda top: only(top, "alien", name), True, True
    yield "the image of alien inside of it", lambda top: copy(top, "alien", os.path.join(name, alien)), True, True
    yield "the names of it and of the image of alien swapped", swap, True, True
    yield "it twice", lambda top: copy(top, "disk", "zzzz"), True, True
    yield "an image that is a symlink to it", link(name), True, True
    yield "an image that is a symlink to itself", link("zzzz"), True, True
    yield "an image that is its disk", link(".."), True, True
    yield "the disk inside of the disk", lambda top: shutil.copytree(world("disk"), os.path.join(top, "samara", "samara")), True, True


def mixtures():
    """Statements of another party that agree with each other, and the rest as it was."""
    sets = (("label", "stmt"), ("label", "stmt", "manif"), ("label", "stmt", "manif", "keys"), ("stmt", "index"),
            ("stmt", "index", "manif"), ("label", "keys"), ("manif", "snap"), ("snap", "packs"),
            ("label", "stmt", "index", "packs"), ("label", "keys", "manif", "snap"))
    more = (("snap/00000000.env", "00000001.env"), ("snap/00000000.r00", "00000001.r00"), ("manif/g0001", "g0002"),
            ("index/p0000", "p0001"), ("snap/00000000.r00", "00000000.r01"), ("custody/00000001", "00000009"))
    for d in "old", "foreign", "alien":
        for parts in sets:
            def change(top, d=d, parts=parts):
                for n in [p + x for p in parts for x in ("", "2")]:
                    there, here = world(d, image_of(d), n), os.path.join(top, IMAGE, n)
                    if os.path.lexists(here):
                        remove(here)
                    if os.path.isdir(there):
                        shutil.copytree(there, here)
                    elif os.path.exists(there):
                        shutil.copyfile(there, here)
            yield "%s of %s together" % (", ".join(parts), d), change, False, False
        for what, to in more:
            def add(top, d=d, what=what, to=to):
                folder, name = what.split("/")
                for n in folder, folder + "2":
                    if os.path.isdir(os.path.join(top, IMAGE, n)):
                        put(top, os.path.join(IMAGE, n, to), content(d, os.path.join(image_of(d), folder, name)))
            # What no statement names is nobody's.
            yield "%s of %s as %s too many" % (what, d, to), add, True, True


def custody():
    """The log: whatever is wrong with it, nobody loses a byte."""
    names = [f for f in FILES if "/custody/" in f]
    here = os.path.dirname(names[0])

    def swap(top):
        put(top, names[0], content("disk", names[1]))
        put(top, names[1], content("disk", names[0]))

    def add(data):
        return lambda top: put(top, os.path.join(here, "%08d" % (len(names) + 1)), data)

    # Each says itself which it is: in any order, and twice, they tell the same.
    yield "custody records swapped", swap, True, True
    yield "the first custody record twice", add(content("disk", names[0])), True, True
    yield "the last custody record twice", add(content("disk", names[-1])), True, True
    yield "a custody record of 1 MB", add(bytes(1 << 20)), True, False
    for what, make in KINDS_OF_FILE:
        def instead(top, make=make):
            os.unlink(os.path.join(top, names[1]))
            make(os.path.join(top, names[1]))
        yield "a custody record is " + what, instead, True, False


KINDS_OF_FILE = (("a FIFO", os.mkfifo), ("a directory", os.mkdir), ("a loop", lambda p: os.symlink(os.path.basename(p), p)))


def guarded():
    """A disk with parity: what is wrong with parity alone costs nothing, and parity never makes wrong bytes."""
    files = files_of("guarded")
    packs_of_it = [f for f in files if f.endswith(".pk")]
    strange = {d: [f for f in files_of(d) if f.endswith(".pp")][0] for d in ("foreign", "alien")}
    first = content("guarded", packs_of_it[0])

    def hurt(top):
        put(top, packs_of_it[0], flipped(first, len(first) // 2))

    def ways(what, change):
        yield "parity: " + what, change, True, False
        # With a pack that needs it: repaired, or said to be lost.
        yield "parity: %s, and a pack hurt" % what, lambda top: (change(top), hurt(top)), True, False
        yield "parity: %s, and a pack missing" % what, lambda top: (change(top), os.unlink(os.path.join(top, packs_of_it[0]))), \
            True, False

    yield "parity: only a pack hurt", hurt, True, False
    for pack in [f for f in files if f.endswith(".pp")]:
        data = content("guarded", pack)
        n = len(data)

        def to(new, pack=pack):
            return lambda top: put(top, pack, new)
        for at in 0, 1, 64, n // 3, n - 1:
            yield from ways("%s cut to %d" % (pack, at), to(data[:at]))
        for at in sorted({0, 8, 20, 40, 100, n // 2, n - 1, n - 100, chance.randrange(n), chance.randrange(n)}):
            yield from ways("%s flipped at %d" % (pack, at), to(flipped(data, at)))
        for at, d in chance.sample(list(lengths(data)), 8):
            yield from ways("%s: a number at %d, %08x" % (pack, at, zlib.crc32(d)), to(d))
        yield from ways(pack + " missing", lambda top, f=pack: os.unlink(os.path.join(top, f)))
        yield from ways(pack + " longer", to(data + b"x"))
        yield from ways(pack + " of zeros", to(bytes(n)))
        yield from ways(pack + " is a pack", to(first))
        for d, f in strange.items():
            yield from ways("%s is that of %s" % (pack, d), to(content(d, f)))
        for what, make in KINDS_OF_FILE:
            def instead(top, f=pack, make=make):
                os.unlink(os.path.join(top, f))
                make(os.path.join(top, f))
            yield from ways("%s is %s" % (pack, what), instead)


def topup():
    """An image without snapshots: its lists of ids."""
    image = image_of("topup")
    files = files_of("topup")
    for name in files:
        if "/snap/" not in name and "/manif/" not in name:
            continue
        data = content("topup", name)
        for names in (name,), (name, twin(name, image, files)):
            mild = len(names) == 1
            words = "topup: " + name + ("" if mild else " and its twin")

            def to(new, names=names):
                return lambda top: [put(top, f, new) for f in names]
            for n in cuts(data):
                yield "%s cut to %d" % (words, n), to(data[:n]), mild, False
            for at in flips(data):
                yield "%s flipped at %d" % (words, at), to(flipped(data, at)), mild, False
            for at, d in chance.sample(list(lengths(data)), 3):
                yield "%s: a number at %d, %08x" % (words, at, zlib.crc32(d)), to(d), mild, False
            yield words + " missing", lambda top, names=names: [os.unlink(os.path.join(top, f)) for f in names], \
                mild or "/manif/" in name, name.endswith("givenup")   # not on every one
            if "/snap/" in name:
                for d in "old", "foreign", "alien":
                    yield "%s is a list of %s" % (words, d), to(content(d, os.path.join(image_of(d), "snap", "00000000.r00"))), mild, False
                yield words + " with an id twice", to(data[:-32] + data[-64:-32]), mild, False


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
    return rc


def objects(vault):
    """Names of what is in a vault, but for its records, what it refused, and what is its own."""
    top = world(vault)
    names = {os.path.relpath(os.path.join(d, f), top) for d, _, fs in os.walk(top) for f in fs}
    return {n for n in names if n.split("/")[0] not in ("local", "tmp", "records", "quarantine", "vault")}


def ids(names):
    """The ids of machines, images and packs in names."""
    return {i for n in names for i in re.findall("[0-9a-f]{32,64}", n)}


def strange():
    """Whose things have no business in the vault."""
    return {"foreign": ids(objects("vault-foreign")) - ids(objects("vault")), "alien": ids(objects("other"))}


def ingested(kind, top, scratch):
    vault = os.path.join(scratch, "vault")
    shutil.copytree(world("vault"), vault, symlinks=True)
    rc, said = run("samara-import", "ingest", vault, top)
    tame(kind, "ingest", rc, said)
    rc, said = run("samara-verify", "vault", vault, "--without-key")
    tame(kind, "verify of the vault", rc, said)
    # A snapshot of which something is missing may be there; nothing that is there may be bad.
    expect(kind, rc in (0, 3, 4), "verify of the vault ends with %d" % rc, said)
    # Of alien nothing may enter; of foreign, whose vault this is, nothing but what it vouches for itself.
    for d, known in strange().items():
        left = sorted(ids(objects(vault)) & known)
        expect(kind, not left or (d == "foreign" and "together" in kind), "%s of %s is in the vault" % (left, d), said)
    bad = [l for l in said.split("\n") if ("damage" in l or "signature" in l) and "quarantine/" not in l]
    expect(kind, not bad, "something bad came into the vault", said)
    back = os.path.join(scratch, "back")
    snapshot = "%s:%s" % (os.environ["FIRST"], os.path.join(ORIGIN, "first"))
    rc, said = run("samara-seed", "restore", snapshot, "--from", vault, "--to", back, state="state")
    expect(kind, rc == 0, "the snapshot that the vault had is no longer whole", said)
    shutil.rmtree(vault)


def restored(kind, base, top, scratch):
    back = os.path.join(scratch, "again")
    src = "src" if base == "disk" else "little"
    rc, said = run("samara-seed", "restore", "latest:" + os.path.join(ORIGIN, src), "--from", top, "--to", back, state="state")
    tame(kind, "restore", rc, said)
    missing = []
    for name in os.listdir(world(src)):
        path = os.path.join(back, name)
        if not os.path.exists(path):
            missing.append(name)
            continue
        with open(path, "rb") as f:
            expect(kind, f.read() == content(src, name), "restore wrote other bytes into " + name, said)
    expect(kind, rc != 0 or not missing, "restore is content without %s" % missing, said)


def one(number, base, kind, change, mild, silent):
    scratch = world("try", str(number))
    top = os.path.join(scratch, "disk")
    os.makedirs(scratch)
    shutil.copytree(world(base), top, copy_function=os.link)
    change(top)
    figures["harmless" if verified(kind, top, mild, silent) == 0 else "refused"] += 1
    if number % EVERY == 0 or " of alien" in kind or " of foreign" in kind:
        figures["ingested"] += 1
        ingested(kind, top, scratch)
        if base != "topup":
            restored(kind, base, top, scratch)
    shutil.rmtree(scratch)


# --- announcements, which come by mail

def announced(kind, text):
    """It must be refused, and the vault as it was."""
    with open(world("mail.txt"), "w") as f:
        f.write(text)
    before = objects("vault")
    rc, said = run("samara-import", "expect", world("vault"), world("mail.txt"))
    tame(kind, "expect", rc, said)
    expect(kind, rc != 0, "an announcement that was meddled with is believed", said)
    expect(kind, objects("vault") == before, "it left something in the vault", said)
    figures["refused" if rc != 0 else "harmless"] += 1
    return 1


def announcements():
    text = content(".", "parcel.txt").decode()
    expect("announcement", armour(text, lambda d: d) == text, "the armour is not what this program thinks", text)
    inner = []
    armour(text, lambda d: inner.append(d) or d)
    data = inner[0]
    count = 0
    for at in sorted({chance.randrange(len(data)) for _ in range(12)} | {0, 8, len(data) - 1}):
        count += announced("announcement flipped at %d" % at, armour(text, lambda _, d=flipped(data, at): d))
    for n in 1, 30, len(data) - 64, len(data) - 1:
        count += announced("announcement cut to %d" % n, armour(text, lambda _, d=data[:n]: d))
    for at, d in chance.sample(list(lengths(data)), 6):
        count += announced("announcement: a number at %d" % at, armour(text, lambda _, d=d: d))
    count += announced("announcement longer", armour(text, lambda d: d + b"x"))
    count += announced("announcement of alien", content(".", "parcel-alien.txt").decode())
    return count + announced("a kit for an announcement", content(".", "kit.txt").decode())


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
    todo = [("disk", *k) for make in (kinds, directories, images, mixtures, custody) for k in make()]
    todo += [("guarded", *k) for k in guarded()] + [("topup", *k) for k in topup()]
    names = [k[1] for k in todo]
    expect("kinds", len(set(names)) == len(names), "some are there twice", str([n for n in names if names.count(n) > 1]))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one, i, *k) for i, k in enumerate(todo)]:
            done.result()
    count = len(todo) + announcements()
    greedy()
    expect("kinds", count >= WANTED, "only %d" % count, "")
    print("figures: hostile %d, refused %d, harmless %d, ingested and restored %d, left in a vault 0, wrong bytes 0; %d failures" %
          (count, figures["refused"], figures["harmless"], figures["ingested"], len(set(failures))))
    return 1 if failures else 0


try:
    status = main()
finally:
    if WORLD != ORIGIN:
        shutil.rmtree(os.path.dirname(WORLD), ignore_errors=True)
sys.exit(status)
