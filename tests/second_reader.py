#!/usr/bin/env python3
"""second_reader.py DIR [--sample BYTES]

A second reader for the clear parts of the images in DIR (a disk's top
directory), written from docs/formats/ alone and with nothing but Python: no
line of samara's own code.  One line an object, a line "wrong …" for each
contradiction; exit status 1 if there was one.  BLAKE3 is slow here: digests
are verified for the first BYTES bytes (default 4000000), structure for all.
What a signature says is not checked: Ed25519 is not in the library.
"""
import os
import re
import struct
import sys

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
MIX = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
       (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
ALL = 0xFFFFFFFF


def compress(cv, block, count, length, flags):
    v = list(cv) + list(IV[:4]) + [count & ALL, count >> 32, length, flags]
    m = struct.unpack("<16I", block.ljust(64, b"\0"))
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(MIX):
            for x, r, s in ((m[2 * i], 16, 12), (m[2 * i + 1], 8, 7)):
                v[a] = v[a] + v[b] + x & ALL
                w = v[d] ^ v[a]
                v[d] = (w >> r | w << 32 - r) & ALL
                v[c] = v[c] + v[d] & ALL
                w = v[b] ^ v[c]
                v[b] = (w >> s | w << 32 - s) & ALL
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def blake3(data, key=None):
    """BLAKE3 of the bytes, 32 bytes; keyed where a key is given."""
    base, mode = (struct.unpack("<8I", key), 16) if key else (IV, 0)
    stack, chunks = [], max(1, -(-len(data) // 1024))

    def parent(left, right, flags):
        return compress(base, struct.pack("<16I", *left, *right), 0, 64, 4 | mode | flags)
    for n in range(chunks):
        chunk, cv = data[n * 1024:n * 1024 + 1024], base
        blocks = max(1, -(-len(chunk) // 64))
        for b in range(blocks):
            block = chunk[b * 64:b * 64 + 64]
            last = b == blocks - 1
            cv = compress(cv, block, n, len(block),
                          mode | (b == 0) | (2 if last else 0) | (8 if last and chunks == 1 else 0))
        if n == chunks - 1:
            break
        total = n + 1
        while total & 1 == 0:
            cv, total = parent(stack.pop(), cv, 0), total >> 1
        stack.append(cv)
    while stack:
        left = stack.pop()
        cv = parent(left, cv, 0 if stack else 8)
    return struct.pack("<8I", *cv)


# Fields of statements: a number of bytes, "s" string, "b" blob, ("l", n) list of n bytes each, else a struct code.
LABEL = ("SAMLABL", 64, dict(image=16, short="s", disk="I", vault=16, vault_name="s", machine=16, machine_name="s",
                             machine_pub=32, domain=32, format="H", suite="H", fs="s", fs_id=16, created="q"))
STATEMENT = ("SAMDSTM", 64, dict(vault=16, machine=16, domain=32, image=16, disk="I", label_digest=32, packs="I",
                                 pack_bytes="Q", chunks="Q", index_digest=32, index_parts="H", index_bytes="Q",
                                 parity_percent="B", parity_groups="I", closed="q"))
MANIFEST = ("SAMMANI", 64, dict(vault=16, machine=16, domain=32, image=16, short="s", generation="I", disks=("l", 40),
                                envelopes=("l", 32), leans_on=("l", 16), carried=32, root=32, parity_across="B",
                                key_tested="B", sealed="q"))
ENVELOPE = ("SAMENVL", 64, dict(snapshot=16, machine=16, domain=32, seq="Q", previous=16, set="s", base=16, kind="B",
                                begin="q", end="q", root=32, refs_digest=32, refs="Q", image=16))
KEYS = ("SAMDKEY", 0, dict(vault=16, machine=16, domain=32, openable="B", blob="b"))
REGISTRATION = ("SAMREGI", 64, dict(credential=16, vault=16, machine=16, name="s", machine_pub=32, domain_desc="b",
                                    membership="b", slots="b", made="q", mac=32))
DOMAIN = ("SAMDOMN", 64, dict(domain_pub=32, suite="H", average="I", created="q"))
MEMBER = ("SAMMEMB", 64, dict(domain_pub=32, machine=16, name="s", machine_pub=32, from_seq="Q", made="q"))
CUSTODY = ("SAMCUST", 64, dict(image=16, by_vault="B", signer=16, signer_pub=32, number="I", previous=32, event="B",
                               disk="I", time="q", note="s"))


class Wrong(Exception):
    pass


def need(true, what):
    if not true:
        raise Wrong(what)


def parse(kind, data):
    magic, sig, fields = kind
    need(data[:8] == magic.encode() + b"\n", "magic of " + magic)
    need(data[8:10] == b"\1\0", "version of " + magic)
    at, out = 10, {}
    for name, f in fields.items():
        if isinstance(f, int):
            n, size = f, 0
        elif f == "s":
            n, size = struct.unpack_from("<H", data, at)[0], 2
        elif f == "b" or isinstance(f, tuple):
            n, size = struct.unpack_from("<I", data, at)[0] * (1 if f == "b" else f[1]), 4
        else:
            n, size = struct.calcsize("<" + f), 0
        piece = data[at + size:at + size + n]
        need(len(piece) == n, f"{magic} cut in {name}")
        out[name] = (struct.unpack("<" + f, piece)[0] if isinstance(f, str) and f not in "sb" else
                     piece.decode() if f == "s" else
                     [piece[i:i + f[1]] for i in range(0, n, f[1])] if isinstance(f, tuple) else piece)
        at += size + n
    need(at + sig == len(data), f"length of {magic}")
    out["signed"] = data[:at]
    return out


class Reader:
    def __init__(self, top, sample):
        self.top, self.budget, self.wrong, self.verified = top, sample, 0, 0

    def path(self, *names):
        return os.path.join(self.top, *names)

    def read(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()

    def names(self, *names):
        return sorted(os.listdir(self.path(*names))) if os.path.isdir(self.path(*names)) else []

    def say(self, _object, **values):
        print(_object, *(f"{k}={v.hex() if isinstance(v, bytes) else v}" for k, v in values.items()))

    def bad(self, what):
        self.wrong += 1
        print("wrong", what)

    def check(self, true, what):
        if not true:
            self.bad(what)

    def digest(self, data, want, what):
        if len(data) <= self.budget:
            self.budget -= len(data)
            self.verified += 1
            self.check(blake3(data) == want, f"digest of {what}")

    def twice(self, first, second):
        """The bytes of what stands twice; both copies must be equal."""
        a = self.read(*first)
        self.check(a == self.read(*second), f"{'/'.join(first)} differs from its second copy")
        return a

    def same(self, a, b, names, what):
        for n in names.split():
            self.check(a[n] == b[n], f"{n} of {what}")

    def image(self):
        label_bytes = self.twice(["label"], ["label2"])
        label = self.label = parse(LABEL, label_bytes)
        self.check(os.path.basename(self.top) == label["short"].lower(), "directory is not named after the label")
        self.say("label", short=label["short"], disk=label["disk"], image=label["image"], vault=label["vault_name"],
                 machine=label["machine_name"], domain=label["domain"], format=label["format"], fs=label["fs"])
        if "stmt" not in self.names():
            return self.say("open", reason="no statement: the disk is not closed")
        stmt = self.stmt = parse(STATEMENT, self.twice(["stmt"], ["stmt2"]))
        self.same(stmt, label, "vault machine domain image disk", "statement")
        self.digest(label_bytes, stmt["label_digest"], "label in statement")
        self.say("statement", packs=stmt["packs"], bytes=stmt["pack_bytes"], chunks=stmt["chunks"],
                 parts=stmt["index_parts"], closed=stmt["closed"], digest=blake3(stmt["signed"]))
        self.keys()
        self.manifests(self.snapshots())
        self.custody()
        self.packs(self.index())  # last: frames take what is left of the sample

    def index(self):
        stream, digests = b"", b""
        for part in range(self.stmt["index_parts"]):
            name = f"p{part:04d}"
            data = self.twice(["index", name], ["index2", name])
            need(len(data) >= 44, "index part cut")
            magic, version, number, zero, image, disk, n = struct.unpack_from("<8sHHI16sIQ", data)
            need((magic, version, zero) == (b"SAMDIDX\n", 1, 0), "head of index part")
            need((number, image, disk) == (part, self.label["image"], self.label["disk"]), "index part of another disk")
            need(n == len(data) - 44, "length of index part")
            self.say("index", part=part, payload=n)
            stream += data[44:]
            digests += blake3(data) if len(data) <= self.budget else b""
        if len(digests) == 32 * self.stmt["index_parts"]:
            self.digest(digests, self.stmt["index_digest"], "index in statement")
        self.check(len(stream) == self.stmt["index_bytes"], "bytes of index in statement")
        return stream

    def packs(self, stream):
        at, last, count, frames, total = 0, -1, 0, 0, 0
        while at < len(stream):
            need(len(stream) - at >= 12, "index row cut")
            number, file_len, table_len = struct.unpack_from("<III", stream, at)
            need(number > last, "index rows out of order")
            need(len(stream) - at >= 12 + table_len + 176, "index row cut")
            table = stream[at + 12:at + 12 + table_len]
            foot = stream[at + 12 + table_len:at + 12 + table_len + 176]
            try:
                frames += self.pack(number, file_len, table, foot)
            except (OSError, Wrong) as e:
                self.bad(f"pack {number}: {e}")
            at, last, count, total = at + 12 + table_len + 176, number, count + 1, total + file_len
        self.check((count, total, frames) == (self.stmt["packs"], self.stmt["pack_bytes"], self.stmt["chunks"]),
                   "packs, bytes or chunks in statement")
        there = [n for d in self.names("packs") for n in self.names("packs", d)]
        self.check(len(there) == count, f"{len(there)} files below packs/, {count} in the index")
        self.say("total", packs=count, frames=frames, bytes=total)

    def pack(self, number, file_len, table, foot):
        magic, version, zero, count, table_len, body_len, domain, maker, pack_id = struct.unpack_from(
            "<8sHHIII32s16s32s", foot)
        need((magic, version, zero) == (b"SAMPEND\n", 1, 0), "footer")
        need(table_len == len(table) and file_len == 64 + body_len + table_len + 176, "lengths in footer")
        magic, version, flags, zero, head_domain, head_maker = struct.unpack_from("<8sHHI32s16s", table)
        need((magic, version, zero) == (b"SAMPACK\n", 1, 0) and flags < 2, "header")
        need((head_domain, head_maker) == (domain, maker), "header and footer disagree")
        need((domain, maker) == (self.label["domain"], self.label["machine"]) and flags == 0, "pack of another")
        need(table_len == 64 + 80 * count and count > 0, "rows of table")
        self.digest(table, pack_id, f"table of pack {number}")
        with open(self.path("packs", f"{number // 1000:04d}", f"{number:08d}.pk"), "rb") as f:
            need(os.fstat(f.fileno()).st_size == file_len <= 16 << 20, "length of file")
            need(f.read(64) == table[:64], "header and table disagree")
            for i in range(count):
                self.frame(f, number, i, table[64 + 80 * i:144 + 80 * i], domain)
            need(f.read(table_len) == table and f.read(176) == foot, "table or footer is not the one in the index")
        self.say("pack", number=number, bytes=file_len, frames=count, id=pack_id)
        return count

    def frame(self, f, number, i, row, domain):
        chunk_id, kind, zero, length, digest, xxh = struct.unpack("<32sHHI32sQ", row)
        data, what = f.read(length), f"frame {i}"
        need(len(data) == length and 137 <= length and zero == 0 and 1 <= kind <= 6, "row of " + what)
        head = struct.unpack_from("<4sBBHI32sI32s", data)
        need(head == (b"SMCK", 1, 1, kind, 1, domain, length - 112, chunk_id), "head of " + what)
        need(struct.unpack_from("<Q", data, length - 8)[0] == xxh, "checksum of " + what)
        inner = length - 112 - 16
        e = inner.bit_length() - 1
        need(inner % (1 << e - e.bit_length()) == 0, "padding of " + what)
        self.digest(data, digest, f"{what} of pack {number}")

    def keys(self):
        for name, kind in (("slots", KEYS), ("regist", REGISTRATION), ("domain", DOMAIN), ("member", MEMBER)):
            if name not in self.names("keys"):
                continue
            k = parse(kind, self.twice(["keys", name], ["keys2", name]))
            self.same({**self.label, **k}, self.label, "vault machine domain machine_pub", "keys/" + name)
            if "domain_pub" in k:
                self.digest(k["domain_pub"], self.label["domain"], f"domain key in keys/{name}")
            self.say("keys", name=name, bytes=len(k["signed"]))

    def snapshots(self):
        out, names = [], self.names("snap")
        for name in (n for n in names if n.endswith(".env")):
            second = ["snap2", name] if name in self.names("snap2") else ["snap", name]
            e = parse(ENVELOPE, self.twice(["snap", name], second))
            self.same(e, self.label, "machine domain image", name)
            self.say("envelope", file=name, seq=e["seq"], snapshot=e["snapshot"], set=e["set"], ids=e["refs"],
                     root=e["root"])
            out.append(blake3(e["signed"]))
            parts = [n for n in names if re.fullmatch(re.escape(name[:-3]) + r"r\d\d", n)]
            seen = [self.refs(n, i, len(parts), e) for i, n in enumerate(parts)]
            ids = b"".join(ids for _, ids in seen)
            added = (seen[0][0] if seen else 0) * 32
            rows = [ids[i:i + 32] for i in range(0, added, 32)], [ids[i:i + 32] for i in range(added, len(ids), 32)]
            self.check(seen and all(sorted(set(r)) == r for r in rows), f"ids of {name[:-3]}r* are not sorted")
            if added == 32 * e["refs"] and seen:  # a whole list
                self.check(e["root"] in rows[0], f"root of {name} is not in its list")
                self.list_digest(rows[0], e, name)
        return sorted(out)

    def refs(self, name, part, parts, e):
        data = self.read("snap", name)
        need(len(data) >= 136, name + " cut")
        magic, version, kind, zero, number, n, domain, digest, count, base, added, removed = struct.unpack_from(
            "<8sHBBHH32s32sQ32sQQ", data)
        need((magic, version, zero) == (b"SAMREFS\n", 1, 0) and kind < 2, "head of " + name)
        need((number, n, domain) == (part, parts, self.label["domain"]), name + " of another list")
        self.check((digest, count) == (e["refs_digest"], e["refs"]), name + " is not the list in the envelope")
        self.check(kind == 1 or (added, removed, base) == (count, 0, bytes(32)), "counts of " + name)
        whole = ((1 << 30) - 136) // 32
        need(len(data) == 136 + 32 * min(whole, added + removed - part * whole), "length of " + name)
        self.say("refs", file=name, kind="delta" if kind else "whole", ids=count, added=added, removed=removed)
        return added, data[136:]

    def list_digest(self, ids, e, name):
        if len(ids) * 32 + 65536 * 32 > self.budget:
            return
        leaves = [b""] * 65536
        for i in ids:
            leaves[i[0] << 8 | i[1]] += i
        self.digest(b"samara refs v1".ljust(32, b"\0") + e["domain"] + struct.pack("<Q", len(ids)) +
                    b"".join(blake3(leaf) if leaf else bytes(32) for leaf in leaves), e["refs_digest"], f"list of {name}")

    def manifests(self, envelopes):
        for name in self.names("manif"):
            m = parse(MANIFEST, self.twice(["manif", name], ["manif2", name]))
            self.same(m, self.label, "vault machine domain image short", name)
            self.check(name == f"g{m['generation']:04d}", f"generation in {name}")
            mine = [d for d in m["disks"] if struct.unpack_from("<I", d)[0] == self.label["disk"]]
            self.check(len(mine) == 1 and mine[0][8:] == blake3(self.stmt["signed"]), f"this disk in {name}")
            self.check(m["envelopes"] == sorted(set(m["envelopes"])), f"order of envelopes in {name}")
            self.check(set(envelopes) <= set(m["envelopes"]), f"envelopes in {name}")
            root = blake3(b"samara root v1".ljust(32, b"\0") + m["vault"] + m["image"] +
                          struct.pack("<I", len(m["envelopes"])) + b"".join(m["envelopes"]) + m["carried"])
            self.check(root == m["root"], f"root in {name}")
            self.say("manifest", generation=m["generation"], disks=len(m["disks"]), envelopes=len(m["envelopes"]),
                     root=root)

    def custody(self):
        last = {}
        for name in self.names("custody"):
            c = parse(CUSTODY, data := self.read("custody", name))
            self.same(c, self.label, "image", "custody " + name)
            number, digest = last.get(c["signer"], (0, bytes(32)))
            self.check((c["number"], c["previous"]) == (number + 1, digest), f"chain at custody {name}")
            last[c["signer"]] = c["number"], blake3(data)
            self.say("custody", number=c["number"], event=c["event"], disk=c["disk"], time=c["time"])


def main(argv):
    sample = int(argv.pop(argv.index("--sample") + 1)) if "--sample" in argv else 4000000
    dirs = [a for a in argv[1:] if not a.startswith("--")]
    if len(dirs) != 1:
        sys.exit(__doc__)
    wrong, images = 0, sorted(os.listdir(os.path.join(dirs[0], "samara")))
    for name in images:
        top = os.path.join(dirs[0], "samara", name)
        if not os.path.isdir(top):
            continue
        r = Reader(top, sample)
        try:
            r.image()
        except (OSError, Wrong, struct.error, UnicodeDecodeError) as e:
            r.bad(f"{name}: {e}")
        r.say("image", name=name, digests=r.verified, wrong=r.wrong)
        wrong += r.wrong
    return 1 if wrong else 0


if __name__ == "__main__":
    assert blake3(b"").hex().startswith("af1349b9f5f9a1a6a0404dea36dcc949")
    sys.exit(main(sys.argv))
