"""damage.py FROM TO KIND [--seed N] [--amount N]

A copy TO of the disk FROM (a directory with samara/IMAGE/), hurt as disks hurt:

  sectors    AMOUNT sectors of 512 bytes, anywhere in packs and parity, are noise,
             no two of them in the same row of shards of a group
  heavy      the same without that mercy: what comes of it comes of it
  burst      AMOUNT packs one behind another are noise from somewhere in the
             first to somewhere in the last
  missing    AMOUNT packs are gone
  truncated  AMOUNT packs are cut short
  swapped    AMOUNT pairs of packs have changed places
  parity     AMOUNT parity packs are gone
  small      one of each two copies of every small file is noise

Files that are not hurt are hard links to those of FROM; FROM is never written.
Prints what it did, a line each.  The same seed does the same again.
"""
import argparse
import os
import random
import shutil
import sys

SHARD = 65536
SECTOR = 512


def link_tree(src, dst):
    """dst as src, all files hard links."""
    os.mkdir(dst)
    for entry in sorted(os.scandir(src), key=lambda e: e.name):
        there = os.path.join(dst, entry.name)
        if entry.is_dir(follow_symlinks=False):
            link_tree(entry.path, there)
        else:
            os.link(entry.path, there)


def own(path):
    """Make path a file of its own."""
    if os.stat(path).st_nlink > 1:
        shutil.copyfile(path, path + ".own")
        os.replace(path + ".own", path)
    return path


def noise(rng, path, at, n):
    """n bytes at `at` become others; every one of them differs."""
    with open(own(path), "r+b") as f:
        f.seek(at)
        old = f.read(n)
        f.seek(at)
        f.write(bytes(b ^ rng.randrange(1, 256) for b in old))
    return len(old)


def files_of(image, part):
    top = os.path.join(image, part)
    out = []
    for base, _, names in os.walk(top):
        out += [os.path.join(base, n) for n in names]
    return sorted(out)


def groups_of(packs):
    return -(-len(packs) // 100)


class Disk:
    def __init__(self, top):
        images = [e.path for e in os.scandir(os.path.join(top, "samara")) if e.is_dir()]
        if len(images) != 1:
            sys.exit("damage: one image on the disk, not %d" % len(images))
        self.image = images[0]
        self.packs = files_of(self.image, "packs")
        self.parity = files_of(self.image, "parity")

    def name(self, path):
        return os.path.relpath(path, self.image)


def sectors(d, rng, n, mercy=True):
    taken = set()
    groups = groups_of(d.packs)
    done = 0
    for _ in range(n * 1000):
        if done == n:
            break
        j = rng.randrange(len(d.packs))
        size = os.path.getsize(d.packs[j])
        at = rng.randrange(size) // SECTOR * SECTOR
        row = (j % groups, at // SHARD)
        if mercy and row in taken:
            continue
        taken.add(row)
        noise(rng, d.packs[j], at, SECTOR)
        print(d.name(d.packs[j]), "sector at", at)
        done += 1


def burst(d, rng, n):
    first = rng.randrange(len(d.packs) - n + 1)
    for i in range(first, first + n):
        size = os.path.getsize(d.packs[i])
        begin = rng.randrange(size // 2) if i == first else 0
        end = rng.randrange(size // 2, size) if i == first + n - 1 else size
        with open(own(d.packs[i]), "r+b") as f:
            f.seek(begin)
            f.write(rng.randbytes(end - begin))
        print(d.name(d.packs[i]), "noise from", begin, "to", end)


def missing(d, rng, n, of):
    for path in rng.sample(of, n):
        os.unlink(path)
        print(d.name(path), "gone")


def truncated(d, rng, n):
    for path in rng.sample(d.packs, n):
        to = rng.randrange(os.path.getsize(path))
        os.truncate(own(path), to)
        print(d.name(path), "cut to", to)


def swapped(d, rng, n):
    those = rng.sample(d.packs, 2 * n)
    for a, b in zip(those[::2], those[1::2]):
        os.rename(a, a + ".x")
        os.rename(b, a)
        os.rename(a + ".x", b)
        print(d.name(a), "and", d.name(b), "changed places")


def small(d, rng):
    for part in ("keys", "snap", "index", "manif"):
        for path in files_of(d.image, part):
            if rng.randrange(2):
                path = path.replace("/%s/" % part, "/%s2/" % part)
            noise(rng, path, rng.randrange(os.path.getsize(path)), 16)
            print(d.name(path), "noise")
    for name in ("label", "stmt"):
        path = os.path.join(d.image, name + rng.choice(("", "2")))
        noise(rng, path, rng.randrange(os.path.getsize(path)), 16)
        print(d.name(path), "noise")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("src")
    p.add_argument("dst")
    p.add_argument("kind", choices=("sectors", "heavy", "burst", "missing", "truncated", "swapped", "parity", "small"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--amount", type=int, default=1)
    a = p.parse_args()
    rng = random.Random("%s %d" % (a.kind, a.seed))
    link_tree(a.src, a.dst)
    d = Disk(a.dst)
    if a.kind in ("sectors", "heavy"):
        sectors(d, rng, a.amount, a.kind == "sectors")
    elif a.kind == "burst":
        burst(d, rng, a.amount)
    elif a.kind == "missing":
        missing(d, rng, a.amount, d.packs)
    elif a.kind == "parity":
        missing(d, rng, a.amount, d.parity)
    elif a.kind == "truncated":
        truncated(d, rng, a.amount)
    elif a.kind == "swapped":
        swapped(d, rng, a.amount)
    else:
        small(d, rng)


main()
