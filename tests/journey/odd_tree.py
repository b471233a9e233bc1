#!/usr/bin/env python3
"""odd_tree.py DIR: make DIR with everything that a Linux system can hold.

What this user may not make (devices, owners, capabilities) or this file
system cannot keep is left out, one line each on stdout.
"""
import errno
import os
import socket
import struct
import sys

ROOT = os.geteuid() == 0


def put(name, data=b"", mode=0o644, at=None):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=at)
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left):]
    os.fchmod(fd, mode)
    os.close(fd)


def noise(n, seed):
    """Bytes that do not compress, the same every time."""
    out, x = bytearray(), seed * 2654435761 % 2**64 + 1
    while len(out) < n:
        x ^= x << 13 & 2**64 - 1
        x ^= x >> 7
        x ^= x << 17 & 2**64 - 1
        out += struct.pack("<Q", x)
    return bytes(out[:n])


def attempt(what, call, *args, **kw):
    """What may be refused here: True if it was done."""
    try:
        call(*args, **kw)
        return True
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES, errno.ENODEV, errno.EFBIG, errno.ENOSPC):
            raise
        print("left out:", what, "-", e.strerror)
        return False


def names():
    os.mkdir("names")
    for i, n in enumerate([b"new\nline", b"\xff\xfe\x80 invalid", b"\x1b[31mred\x1b[0m", b"x" * 255, b"\xc3\xa4" * 127,
                           b" ", b"  two ", b"-rf", b"--help", b"*", b"?", b"\\", b"'", b'"', b"$HOME", b"a:b", b"...",
                           b"..a", b"~", b"tab\there", b"\r", b"\x01", b"\x7f", b"CON", b"lost+found"]):
        put(os.path.join(b"names", n), noise(i * 100, i))
    os.mkdir(b"names/dir\n\xff")
    put(b"names/dir\n\xff/in", b"in")


def sparse():
    os.mkdir("sparse")

    def huge():
        fd = os.open("sparse/1TiB", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.ftruncate(fd, 1 << 40)
            os.pwrite(fd, noise(1 << 20, 5), 700 << 30)
        finally:
            os.close(fd)
    if not attempt("a file of 1 TiB", huge):
        os.unlink("sparse/1TiB")
    fd = os.open("sparse/comb", os.O_WRONLY | os.O_CREAT, 0o644)
    for i in range(200):
        os.pwrite(fd, noise(5000, i), i * 131072)
    os.ftruncate(fd, 200 * 131072 + 77777)
    os.close(fd)
    for name, size in ("all-hole", 10 << 20), ("small-hole", 30000):
        fd = os.open("sparse/" + name, os.O_WRONLY | os.O_CREAT, 0o644)
        os.ftruncate(fd, size)
        os.close(fd)
    fd = os.open("sparse/hole-at-the-end", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(fd, noise(100000, 8))
    os.ftruncate(fd, 5 << 20)
    os.close(fd)
    put("sparse/zeros", bytes(300000))


def files():
    os.mkdir("files")
    for n in 0, 1, 511, 4096, 65535, 65536, 65537, 1 << 20, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20:
        put("files/%d" % n, noise(n, n + 1))
    put("files/text", b"all work and no play\n" * 50000)
    put("files/twice", noise(1 << 20, (1 << 20) + 1))
    os.mkdir("many")
    for i in range(400):
        put("many/%03d" % i, noise(i * 7 % 3000, 1000 + i))
    os.mkdir("empty-dir")
    os.mkdir("files/dirs")
    d = "files/dirs"
    for i in range(20):
        d += "/%d" % i
        os.mkdir(d)


def links():
    os.mkdir("links")
    os.mkdir("links/other")
    put("links/a", noise(200000, 3))
    os.link("links/a", "links/other/a")
    os.link("links/a", "zz-a")
    put("links/small", b"small")
    os.link("links/small", "links/other/small")
    os.symlink("nowhere/at/all", "links/dangling")
    os.symlink("/etc/passwd", "links/absolute")
    os.symlink("..", "links/up")
    os.symlink(b"\xff\n" * 100, "links/odd")
    os.symlink("x" * 4000, "links/long")
    os.symlink("a", "links/loop-a")
    os.symlink("loop", "links/loop")
    os.link("links/dangling", "links/other/dangling", follow_symlinks=False)


def special():
    os.mkdir("special")
    os.mkfifo("special/fifo", 0o640)
    os.link("special/fifo", "special/fifo-too")
    s = socket.socket(socket.AF_UNIX)
    s.bind("special/socket")
    s.close()
    if ROOT:
        attempt("a character device", os.mknod, "special/null", 0o20666, os.makedev(1, 3))
        attempt("a block device", os.mknod, "special/block", 0o60600, os.makedev(259, 1048575))


def modes():
    os.mkdir("modes")
    for m in 0o000, 0o400, 0o444, 0o755, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777:
        put("modes/%04o" % m, b"mode", 0o600)
        os.chmod("modes/%04o" % m, m if ROOT or m & 0o400 else m | 0o400)
    for m in 0o700, 0o1777, 0o2775, 0o3777, 0o500:
        os.mkdir("modes/d%04o" % m)
        os.chmod("modes/d%04o" % m, m)
    os.mkdir("modes/read-only")
    put("modes/read-only/in", b"in")
    os.chmod("modes/read-only", 0o555)


def owners():
    if not ROOT:
        return
    os.mkdir("owners")
    for n, (u, g) in {"numbers": (123456, 654321), "daemon": (1, 1), "highest": (4294967294, 4294967294)}.items():
        put("owners/" + n, b"own", 0o600)
        if attempt("owner %d" % u, os.chown, "owners/" + n, u, g):
            os.chmod("owners/" + n, 0o4750)
    os.symlink("x", "owners/link")
    os.chown("owners/link", 123, 456, follow_symlinks=False)
    os.mkdir("owners/dir")
    os.chown("owners/dir", 33, 44)


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def xattrs():
    os.mkdir("xattrs")
    put("xattrs/file", b"x")
    os.mkdir("xattrs/dir")
    access = acl((1, 6, 0xffffffff), (2, 5, 12345), (4, 4, 0xffffffff), (8, 7, 54321), (16, 5, 0xffffffff), (32, 0, 0xffffffff))
    default = acl((1, 7, 0xffffffff), (2, 7, 777), (4, 5, 0xffffffff), (16, 7, 0xffffffff), (32, 0, 0xffffffff))
    for i in range(20):
        if not attempt("extended attributes", os.setxattr, "xattrs/file", "user.n%02d" % i, noise(i * 5, i)):
            return
    attempt("a large attribute", os.setxattr, "xattrs/dir", "user.large", noise(2000, 9))
    os.setxattr("xattrs/dir", b"user.odd \xc3\xa4\n", b"\0\xff")
    os.setxattr("xattrs/dir", "user.empty", b"")
    put("xattrs/acl", b"x")
    attempt("an ACL", os.setxattr, "xattrs/acl", "system.posix_acl_access", access)
    os.mkdir("xattrs/acl-dir")
    attempt("a default ACL", os.setxattr, "xattrs/acl-dir", "system.posix_acl_default", default)
    put("xattrs/acl-dir/inherits", b"x")
    os.mkdir("xattrs/acl-dir/inherits-too")
    if ROOT:
        put("xattrs/capable", b"x", 0o755)
        attempt("a capability", os.setxattr, "xattrs/capable", "security.capability",
                struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
        attempt("a trusted attribute", os.setxattr, "xattrs/file", "trusted.note", b"t")


def deep():
    """30 directories of 200 bytes each: no path to its end fits into a system call."""
    at = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for i in range(30):
        name = ("%02d" % i) + "d" * 198
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        put("file%d" % i, noise(500 + i, i), at=below)
        os.close(at)
        at = below
    os.symlink("deep", "link", dir_fd=at)
    put("big", noise(300000, 99), at=at)
    os.close(at)


def times():
    os.mkdir("times")
    for n, s, ns in (("1901", -2147483648, 0), ("1969", -14182940, 123456789), ("before", -1, 999999999), ("zero", 0, 0),
                     ("2038", 2147483648, 1), ("2200", 7258118400, 5), ("2400", 13569465600, 500000000)):
        put("times/" + n, n.encode())
        attempt("the year of " + n, os.utime, "times/" + n, ns=(s * 10**9 + ns, s * 10**9 + ns))
    os.mkdir("times/dir")
    os.utime("times/dir", ns=(-5 * 10**9, -5 * 10**9 + 7))
    os.symlink("x", "times/link")
    os.utime("times/link", ns=(10**18, 10**18 + 1), follow_symlinks=False)


def main():
    os.umask(0o022)
    os.mkdir(sys.argv[1])
    os.chdir(sys.argv[1])
    for part in names, sparse, files, links, special, modes, owners, xattrs, times, deep:
        part()


main()
