#!/usr/bin/env python3
"""compare_trees.py [--inside] A B: B is A, in everything a restore can bring back.

Names, types, modes, owners, modification times, link targets, device numbers,
extended attributes, contents, holes and which names are one file (of symlinks
and FIFOs with several names each name is restored as one of its own).  Sockets
of A are not in B.  With --inside the two top directories themselves may differ.  Each difference is a line; exit status 1 if there is one.
"""
import errno
import os
import stat
import sys

SLACK = 65536       # a file may take this much more room than it did
differences = 0


def say(path, *what):
    global differences
    differences += 1
    print(os.fsencode(path).decode("utf-8", "backslashreplace").replace("\n", "\\n") + ":", *what)


def attributes(name):
    try:
        return {k: os.getxattr(name, k, follow_symlinks=False) for k in os.listxattr(name, follow_symlinks=False)}
    except OSError as e:
        if e.errno in (errno.EOPNOTSUPP, errno.EPERM):
            return {}
        raise


def data_ranges(fd, size):
    out, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:
                break
            raise
        at = os.lseek(fd, start, os.SEEK_HOLE)
        out.append((start, at))
    return out


def contents(path, name, x, y):
    a, b = (os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=d) for d in (x, y))
    try:
        size = os.fstat(a).st_size
        for start, end in sorted(data_ranges(a, size) + data_ranges(b, size)):
            while start < end:
                n = min(1 << 20, end - start)
                if os.pread(a, n, start) != os.pread(b, n, start):
                    return say(path, "other bytes near", start)
                start += n
        more = os.fstat(b).st_blocks * 512 - os.fstat(a).st_blocks * 512
        if more > SLACK:
            say(path, "takes", more, "bytes more: holes are lost")
    finally:
        os.close(a)
        os.close(b)


class Tree:
    def __init__(self, top):
        self.top = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        self.groups = {}

    def look(self, fd, path):
        """What is in one directory; relative names, since the absolute ones may be too long."""
        os.fchdir(fd)
        found = {}
        for n in os.listdir(b"."):
            st = os.lstat(n)
            if stat.S_ISSOCK(st.st_mode):
                continue
            target = os.readlink(n) if stat.S_ISLNK(st.st_mode) else None
            found[n] = (st, attributes(n), target)
            if st.st_nlink > 1 and stat.S_ISREG(st.st_mode):
                self.groups.setdefault((st.st_dev, st.st_ino), set()).add(os.path.join(path, n))
        return found


def one(path, a, b):
    (sa, xa, ta), (sb, xb, tb) = a, b
    if stat.S_IFMT(sa.st_mode) != stat.S_IFMT(sb.st_mode):
        say(path, "type", oct(sa.st_mode), oct(sb.st_mode))
        return False
    for what in "st_mode", "st_uid", "st_gid", "st_mtime_ns":
        if getattr(sa, what) != getattr(sb, what):
            say(path, what, getattr(sa, what), getattr(sb, what))
    if stat.S_ISREG(sa.st_mode) and sa.st_size != sb.st_size:
        say(path, "size", sa.st_size, sb.st_size)
        return False
    if (stat.S_ISBLK(sa.st_mode) or stat.S_ISCHR(sa.st_mode)) and sa.st_rdev != sb.st_rdev:
        say(path, "device", sa.st_rdev, sb.st_rdev)
    if ta != tb:
        say(path, "target", ta, tb)
    for k in sorted(set(xa) | set(xb)):
        if xa.get(k) != xb.get(k):
            say(path, "attribute", k, xa.get(k), xb.get(k))
    return True


def directory(path, x, y, ta, tb):
    a, b = ta.look(x, path), tb.look(y, path)
    for n in sorted(set(a) | set(b)):
        p = os.path.join(path, n)
        if n not in b or n not in a:
            say(p, "is missing" if n not in b else "is too many")
        elif one(p, a[n], b[n]):
            if stat.S_ISREG(a[n][0].st_mode):
                contents(p, n, x, y)
            elif stat.S_ISDIR(a[n][0].st_mode):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                below = [os.open(n, flags, dir_fd=d) for d in (x, y)]
                directory(p, below[0], below[1], ta, tb)
                for fd in below:
                    os.close(fd)


def main():
    args = sys.argv[1:]
    a, b = Tree(args[-2]), Tree(args[-1])
    tops = [(s.st_mode, s.st_uid, s.st_gid, s.st_mtime_ns) for s in (os.fstat(t.top) for t in (a, b))]
    if args[0] != "--inside" and tops[0] != tops[1]:
        say(".", tops[0], tops[1])
    directory(b"", a.top, b.top, a, b)
    # Only names below A count: a file may have others elsewhere.
    for g in sorted(map(sorted, a.groups.values())):
        if len(g) > 1 and set(g) not in b.groups.values():
            say(g[0], "is no longer one file with", g[1:])
    for g in sorted(map(sorted, b.groups.values())):
        if len(g) > 1 and set(g) not in a.groups.values():
            say(g[0], "has become one file with", g[1:])
    return 1 if differences else 0


sys.exit(main())
