#!/usr/bin/env python3
"""second_reader.py DIR [--sample BYTES]

A second reader for the clear parts of the images in DIR (a disk's top directory), written from docs/formats/ alone:
no line of samara's own code, nothing but Python.  One line for each contradiction ("wrong ...", then exit status 1)
and one for each image.  BLAKE3 is slow here: digests are verified for the first BYTES bytes (default 4000000),
structure for all.  What a signature says is not checked: Ed25519 is not in the library.
"""
import os
import re
import struct
import sys

from plain_blake3 import blake3

# Statements: magic, bytes of signature, fields "name:type": a number of bytes, s string, b blob, *n list of n bytes each.
IDS = "vault:16 machine:16 domain:32 image:16 "
LABEL = "SAMLABL", 64, "image:16 short:s disk:I vault:16 vault_name:s machine:16 machine_name:s machine_pub:32 domain:32 format:H suite:H fs:s fs_id:16 created:q"
STATEMENT = "SAMDSTM", 64, IDS + "disk:I label_digest:32 packs:I pack_bytes:Q chunks:Q index_digest:32 index_parts:H index_bytes:Q percent:B groups:I closed:q"
MANIFEST = "SAMMANI", 64, IDS + "short:s generation:I disks:*40 envelopes:*32 leans_on:*16 carried:32 root:32 across:B key_tested:B sealed:q"
ENVELOPE = "SAMENVL", 64, "snapshot:16 machine:16 domain:32 seq:Q previous:16 set:s base:16 kind:B begin:q end:q root:32 refs_digest:32 refs:Q image:16"
CUSTODY = "SAMCUST", 64, "image:16 by_vault:B signer:16 signer_pub:32 number:I previous:32 event:B disk:I time:q note:s"
KEYS = {"slots": ("SAMDKEY", 0, "vault:16 machine:16 domain:32 openable:B blob:b"),
        "regist": ("SAMREGI", 64, "credential:16 vault:16 machine:16 name:s machine_pub:32 domain_desc:b membership:b slots:b made:q mac:32"),
        "domain": ("SAMDOMN", 64, "domain_pub:32 suite:H average:I created:q"),
        "member": ("SAMMEMB", 64, "domain_pub:32 machine:16 name:s machine_pub:32 from_seq:Q made:q")}


def need(true, what):
    if not true:
        raise ValueError(what)


def parse(kind, data):
    magic, signature, fields = kind
    need(data[:10] == magic.encode() + b"\n\1\0", "magic or version of " + magic)
    at, out = 10, {}
    for name, f in (field.split(":") for field in fields.split()):
        size = {"s": 2, "b": 4, "*": 4}.get(f[0], 0)
        n = int.from_bytes(data[at:at + size], "little") * int(f[1:] or 1 if f[0] == "*" else 1) if size else \
            int(f) if f.isdigit() else struct.calcsize("<" + f)
        piece = data[at + size:at + size + n]
        need(len(piece) == n, f"{magic} cut in {name}")
        out[name] = piece.decode() if f == "s" else piece if f == "b" or f.isdigit() else \
            [piece[i:i + int(f[1:])] for i in range(0, n, int(f[1:]))] if f[0] == "*" else struct.unpack("<" + f, piece)[0]
        at += size + n
    need(at + signature == len(data), "length of " + magic)
    return {**out, "signed": data[:at]}


class Reader:
    def __init__(self, top, sample):
        self.top, self.budget, self.wrong, self.digests, self.packs, self.frames = top, sample, 0, 0, 0, 0

    def guard(self, part, *args):
        try:
            return part(*args)
        except (OSError, ValueError, struct.error) as e:
            self.wrong += 1
            print("wrong", os.path.basename(self.top), part.__name__, *args[:1] * isinstance((args or [0])[0], (str, int)), e)

    def names(self, *where):
        where = os.path.join(self.top, *where)
        return sorted(os.listdir(where)) if os.path.isdir(where) else []

    def read(self, name, second=None):
        """The bytes of a file; what stands twice must be equal."""
        with open(os.path.join(self.top, name), "rb") as f:
            data = f.read()
        need(second is None or self.read(second) == data, name + " differs from its second copy")
        return data

    def twice(self, kind, name):
        where, _, rest = name.partition("/")
        return parse(kind, self.read(name, where + "2" + (rest and "/" + rest)))

    def digest(self, data, want, what):
        if len(data) <= self.budget:
            self.budget, self.digests = self.budget - len(data), self.digests + 1
            need(blake3(data) == want, "digest of " + what)

    def same(self, a, names, b=None):
        for n in names.split():
            need(n not in a or a[n] == (b or self.label)[n], n + " is another's")

    def image(self):
        self.label = self.twice(LABEL, "label")
        need(os.path.basename(self.top) == self.label["short"].lower(), "directory is not named after the label")
        if "stmt" not in self.names():
            return print("open", self.label["short"], "no statement: the disk is not closed")
        self.stmt = s = self.twice(STATEMENT, "stmt")
        self.same(s, "vault machine domain image disk")
        self.digest(self.read("label"), s["label_digest"], "label")
        for name in self.names("keys"):
            self.guard(self.key, name)
        envelopes = [self.guard(self.snapshot, n) for n in self.names("snap") if n.endswith(".env")]
        for name in self.names("manif"):
            self.guard(self.manifest, name, envelopes)
        self.guard(self.custody)
        self.guard(self.index)  # last: frames take what is left of the sample

    def key(self, name):
        k = self.twice(KEYS[name], "keys/" + name)
        self.same(k, "vault machine domain machine_pub")
        if "domain_pub" in k:
            self.digest(k["domain_pub"], self.label["domain"], "domain key")

    def snapshot(self, name):
        e = parse(ENVELOPE, self.read("snap/" + name, f"snap2/{name}" if name in self.names("snap2") else None))
        self.same(e, "machine domain image")
        parts = [n for n in self.names("snap") if re.fullmatch(re.escape(name[:-3]) + r"r\d\d", n)]
        lists = [self.refs(n, i, len(parts), e) for i, n in enumerate(parts)]
        need(lists, "no reference list")
        ids, n = b"".join(rest for _, rest in lists), lists[0][0] * 32
        added, removed = ([ids[i:i + 32] for i in range(a, b, 32)] for a, b in ((0, n), (n, len(ids))))
        need(added == sorted(set(added)) and removed == sorted(set(removed)), "ids are not sorted")
        if len(added) == e["refs"]:  # a whole list
            need(e["root"] in added, "root is not in its list")
            leaves = {}
            for i in added:
                leaves[i[:2]] = leaves.get(i[:2], b"") + i
            if len(ids) + 65536 * 32 <= self.budget:
                self.digest(b"samara refs v1".ljust(32, b"\0") + e["domain"] + struct.pack("<Q", len(added)) + b"".join(
                    blake3(leaves[k]) if k in leaves else bytes(32) for k in (bytes((i >> 8, i & 255)) for i in range(65536))),
                    e["refs_digest"], "list")
        return blake3(e["signed"])

    def refs(self, name, part, parts, e):
        data = self.read("snap/" + name)
        magic, version, kind, zero, number, n, domain, digest, count, base, added, removed = struct.unpack_from(
            "<8sHBBHH32s32sQ32sQQ", data)
        need((magic, version, zero) == (b"SAMREFS\n", 1, 0) and kind < 2, "head of " + name)
        need((number, n, domain, digest, count) == (part, parts, self.label["domain"], e["refs_digest"], e["refs"]), name + " is of another list")
        need(kind == 1 or (added, removed, base) == (count, 0, bytes(32)), "counts of " + name)
        whole = ((1 << 30) - 136) // 32
        need(len(data) == 136 + 32 * min(whole, added + removed - part * whole), "length of " + name)
        return added, data[136:]

    def manifest(self, name, envelopes):
        m = self.twice(MANIFEST, "manif/" + name)
        self.same(m, "vault machine domain image short")
        need(name == f"g{m['generation']:04d}", "generation")
        mine = [d[8:] for d in m["disks"] if d[:4] == struct.pack("<I", self.label["disk"])]
        need(mine == [blake3(self.stmt["signed"])], "this disk")
        all_of = m["envelopes"]
        need(all_of == sorted(set(all_of)) and set(envelopes) <= set(all_of), "envelopes")
        need(m["root"] == blake3(b"samara root v1".ljust(32, b"\0") + m["vault"] + m["image"] + struct.pack("<I", len(all_of)) +
                                 b"".join(all_of) + m["carried"]), "root")

    def custody(self):
        last = {}
        for name in self.names("custody"):
            c = parse(CUSTODY, data := self.read("custody/" + name))
            self.same(c, "image")
            number, digest = last.get(c["signer"], (0, bytes(32)))
            need((c["number"], c["previous"]) == (number + 1, digest), "chain at " + name)
            last[c["signer"]] = c["number"], blake3(data)

    def index(self):
        s, stream, digests = self.stmt, b"", b""
        for part in range(s["index_parts"]):
            data = self.read(f"index/p{part:04d}", f"index2/p{part:04d}")
            head = struct.unpack_from("<8sHHI16sIQ", data)
            need(head == (b"SAMDIDX\n", 1, part, 0, self.label["image"], self.label["disk"], len(data) - 44), f"head of part {part}")
            stream, digests = stream + data[44:], digests + (blake3(data) if len(data) <= self.budget else b"")
        if len(digests) == 32 * s["index_parts"]:
            self.digest(digests, s["index_digest"], "index")
        at, last, total = 0, -1, 0
        while at < len(stream):
            number, file_len, table_len = struct.unpack_from("<III", stream, at)
            row, at = stream[at + 12:at + 12 + table_len + 176], at + 12 + table_len + 176
            need(number > last and len(row) == table_len + 176, "rows")
            self.guard(self.pack, number, file_len, row[:-176], row[-176:])
            last, total, self.packs = number, total + file_len, self.packs + 1
        need((len(stream), self.packs, total, self.frames) == (s["index_bytes"], s["packs"], s["pack_bytes"], s["chunks"]), "totals")
        need(sum(len(self.names("packs", d)) for d in self.names("packs")) == self.packs, "files below packs/")

    def pack(self, number, file_len, table, foot):
        magic, version, zero, count, table_len, body_len, domain, maker, pack_id = struct.unpack_from("<8sHHIII32s16s32s", foot)
        need((magic, version, zero) == (b"SAMPEND\n", 1, 0), "footer")
        need(table_len == len(table) == 64 + 80 * count and count > 0 and file_len == 64 + body_len + table_len + 176, "lengths in footer")
        need((domain, maker) == (self.label["domain"], self.label["machine"]), "of another")
        need(struct.unpack_from("<8sHHI32s16s", table) == (b"SAMPACK\n", 1, 0, 0, domain, maker), "header")
        self.digest(table, pack_id, "table")
        with open(os.path.join(self.top, f"packs/{number // 1000:04d}/{number:08d}.pk"), "rb") as f:
            need(os.fstat(f.fileno()).st_size == file_len <= 16 << 20, "length of file")
            need(f.read(64) == table[:64], "header and table disagree")
            for i in range(count):
                chunk, kind, zero, length, digest, xxh = struct.unpack_from("<32sHHI32sQ", table, 64 + 80 * i)
                data = f.read(length)
                need(len(data) == length >= 137 and zero == 0 and 1 <= kind <= 6, f"row {i}")
                need(struct.unpack_from("<4sBBHI32sI32s", data) == (b"SMCK", 1, 1, kind, 1, domain, length - 112, chunk), f"head of frame {i}")
                need(data[-8:] == struct.pack("<Q", xxh), f"checksum of frame {i}")
                e = (length - 128).bit_length() - 1
                need((length - 128) % (1 << e - e.bit_length()) == 0, f"padding of frame {i}")
                self.digest(data, digest, f"frame {i}")
            need(f.read() == table + foot, "table or footer is not the one in the index")
        self.frames += count


def main(argv):
    sample = int(argv.pop(argv.index("--sample") + 1)) if "--sample" in argv else 4000000
    dirs, wrong = [a for a in argv[1:] if not a.startswith("--")], 0
    if len(dirs) != 1:
        sys.exit(__doc__)
    top = os.path.join(dirs[0], "samara")
    for name in sorted(n for n in os.listdir(top) if os.path.isdir(os.path.join(top, n))):
        r = Reader(os.path.join(top, name), sample)
        r.guard(r.image)
        print(f"image {name}: packs={r.packs} frames={r.frames} digests={r.digests} wrong={r.wrong}")
        wrong += r.wrong
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
