#!/usr/bin/env python3
"""make_trees_data.py first|later DIR SCALE: for make_trees.sh.

first: a file of noise and a database into DIR/big.  later: change about 2 % of DIR, the way a
machine that is used does it.  The same DIR gives the same bytes whenever and wherever it runs.
"""
import os
import random
import sqlite3
import sys

FIRST, LATER = 1700000000, 1700086400	# times of the files
MB = 1 << 20
WORDS = ("ordered paid sent back again letter parcel street number window green blue invoice terms apply "
         "customer asks for delivery before noon left with neighbour please call").split()


def noise(path, megabytes):
    made = random.Random("noise")
    with open(path, "wb") as f:
        for _ in range(megabytes):
            f.write(made.randbytes(MB))


def order(made, number):
    """One row: some columns repeat much, some little, one not at all."""
    who = made.randrange(400000)
    return (number, "customer %06d" % who, "c%d@mail%d.example" % (who, who % 7), FIRST - 40 * number,
            made.randrange(10 ** 6) / 100, WORDS[made.randrange(4)],
            " ".join(made.choices(WORDS, k=18)) + " ref %08x" % made.getrandbits(32), made.randbytes(32))


def database(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                     "PRAGMA cache_size = -400000; BEGIN")
    return db


def orders(path, rows):
    made = random.Random("orders")
    db = database(path)
    db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, mail TEXT, made INTEGER, amount REAL,"
               " state TEXT, note TEXT, token BLOB)")
    db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (order(made, i) for i in range(1, rows + 1)))
    db.execute("CREATE INDEX by_mail ON orders (mail)")
    db.execute("COMMIT")
    db.close()


def change_orders(path):
    """Ranges of rows change together, some go, new ones come at the end."""
    made = random.Random("orders, later")
    db = database(path)
    rows = db.execute("SELECT max(id) FROM orders").fetchone()[0]
    for _ in range(40):
        at = made.randrange(rows)
        db.execute("UPDATE orders SET state = 'closed', amount = amount + 1 WHERE id BETWEEN ? AND ?", (at, at + rows // 4000))
    at = made.randrange(rows)
    db.execute("DELETE FROM orders WHERE id BETWEEN ? AND ?", (at, at + rows // 400))
    new = (order(made, i) for i in range(rows + 1, rows + 1 + rows // 100))
    db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", new)
    db.execute("COMMIT")
    db.close()


def change_noise(path):
    """A piece put in every 8 MB or so, and the end grows: everything behind moves by odd lengths."""
    made = random.Random("noise, later")
    size = os.path.getsize(path)
    places = sorted(made.randrange(size) for _ in range(max(4, size // (8 * MB))))
    with open(path, "rb") as old, open(path + ".new", "wb") as new:
        for place in places + [size]:
            while (left := place - old.tell()) > 0:
                new.write(old.read(min(left, MB)))
            new.write(made.randbytes(made.randint(1, 150000) if place < size else size // 200))
    os.rename(path + ".new", path)


def change_image(path):
    """Runs of blocks written over, 2 % of them, as a running machine does."""
    made = random.Random("image, later")
    blocks, written = os.path.getsize(path) // 4096, 0
    with open(path, "r+b") as f:
        while written < blocks // 50:
            n = made.randint(1, 64)
            f.seek(made.randrange(blocks - n) * 4096)
            for _ in range(n):
                f.write((b"%064d" % made.getrandbits(200)) * 16 + made.randbytes(3072))
            written += n


def touch(path):
    os.utime(path, (LATER, LATER))


def change_files(tree):
    """3 files of 100: appended to, edited, taken away, renamed, new beside them; and a directory moves."""
    made = random.Random("files, later")
    files = sorted(os.path.join(d, f) for d, _, names in os.walk(tree) for f in names
                   if not os.path.islink(os.path.join(d, f)))
    for i, path in enumerate(made.sample(files, len(files) * 3 // 100)):
        with open(path, "rb") as f:
            was = f.read()
        if i % 5 == 0:
            with open(path, "ab") as f:
                f.write(b"one more line, number %d\n" % i * made.randint(1, 60))
            touch(path)
        elif i % 5 == 1:
            at = made.randint(0, len(was))
            with open(path, "wb") as f:
                f.write(was[:at] + made.randbytes(made.randint(1, 400)) + was[at:])
            touch(path)
        elif i % 5 == 2:
            os.unlink(path)
        elif i % 5 == 3:
            os.rename(path, path + ".old")
        else:
            with open(path + ".more", "wb") as f:
                f.write(b"file %d\n" % i + was[::-1])
            touch(path + ".more")
    moved = os.path.join(tree, "linux", "Documentation")
    if os.path.isdir(moved):
        os.rename(moved, moved + "-moved")


def main(what, top, scale):
    big = os.path.join(top, "big")
    paths = [os.path.join(big, name) for name in ("noise.bin", "machine.img", "orders.db")]
    if what == "first":
        noise(paths[0], int(1300 * scale))
        orders(paths[2], int(3000000 * scale))
    else:
        change_noise(paths[0])
        change_image(paths[1])
        change_orders(paths[2])
        change_files(os.path.join(top, "tree"))
    for path in paths:
        os.utime(path, (FIRST, FIRST) if what == "first" else (LATER, LATER))


if len(sys.argv) != 4:
    sys.exit(__doc__)
main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
