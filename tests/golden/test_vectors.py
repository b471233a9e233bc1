#!/usr/bin/env python3
"""The vectors of golden version 1, recomputed from docs/formats/chunk.md with Python's own library alone."""
import hashlib
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.dont_write_bytecode = True
from plain_blake3 import blake3  # noqa: E402

ALL = 0xFFFFFFFF


def rounds(state):
    """The 20 rounds of ChaCha (RFC 8439), without the addition at the end."""
    x = list(state)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            for i, j, k, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[i] = x[i] + x[j] & ALL
                w = x[k] ^ x[i]
                x[k] = (w << n | w >> 32 - n) & ALL
    return x


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def block(key, count, nonce):
    s = SIGMA + struct.unpack("<8I", key) + (count,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *(a + b & ALL for a, b in zip(s, rounds(s))))


def xchacha20_poly1305(key, nonce, plain, ad):
    """Sealed text and tag (draft-irtf-cfrg-xchacha-03)."""
    x = rounds(SIGMA + struct.unpack("<8I", key) + struct.unpack("<4I", nonce[:16]))
    key, nonce = struct.pack("<8I", *x[:4], *x[12:]), bytes(4) + nonce[16:]
    stream = b"".join(block(key, 1 + i, nonce) for i in range(-(-len(plain) // 64)))
    sealed = bytes(a ^ b for a, b in zip(plain, stream))
    one = block(key, 0, nonce)[:32]
    r, s = int.from_bytes(one[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, int.from_bytes(one[16:], "little")
    text = (ad + bytes(-len(ad) % 16) + sealed + bytes(-len(sealed) % 16) + struct.pack("<QQ", len(ad), len(sealed)))
    acc = 0
    for i in range(0, len(text), 16):
        acc = (acc + int.from_bytes(text[i:i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return sealed + (acc + s & (1 << 128) - 1).to_bytes(16, "little")


def subkey(parent, number, context=b"samara01"):
    return hashlib.blake2b(key=parent, digest_size=32, salt=struct.pack("<QQ", number, 0),
                           person=context.ljust(16, b"\0")).digest()


def padme(n):
    e = n.bit_length() - 1
    step = 1 << e - e.bit_length()
    return -(-n // step) * step


def read_vectors():
    """Sections of name = value; bytes from hex, but for what is not."""
    sections = []
    with open(os.path.join(HERE, "1", "vectors.txt"), encoding="ascii") as f:
        for line in f:
            if line.startswith("#"):
                sections.append({})
                continue
            name, _, value = line.rstrip("\n").partition(" = ")
            plain = name in ("kind", "passphrase", "xxh")
            sections[-1][name] = value if plain else bytes.fromhex(value)
    return sections


def main():
    sections, wrong, checked = read_vectors(), [], 0

    def same(what, got, want):
        nonlocal checked
        checked += 1
        if got != want:
            wrong.append(f"{what}: {got.hex()}, not {want.hex()}")

    keys = next(s for s in sections if "master" in s)
    chunks = [s for s in sections if "plain" in s]
    master = keys["master"]
    for name, number in (("cutting", 3), ("slots", 4), ("trust", 5), ("domain_seed", 6)):
        same(name, subkey(master, number), keys[name])
    same("domain_id", blake3(keys["domain_pub"]), keys["domain_id"])
    epoch = subkey(master, 1, b"samaraEp")
    same("epoch", epoch, keys["epoch"])
    same("sealing", subkey(epoch, 1), keys["sealing"])
    same("nonce_key", subkey(epoch, 2), keys["nonce_key"])
    for kind in range(1, 7):
        same(f"id_key_{kind}", subkey(master, 256 + kind), keys[f"id_key_{kind}"])
    for n, c in enumerate(chunks):
        kind, frame = int(c["kind"]), c["frame"]
        same(f"id {n}", blake3(c["plain"], keys[f"id_key_{kind}"]), c["id"])
        plain, packed, codec = struct.unpack_from("<IIB", c["inner"])
        if plain != len(c["plain"]) or len(c["inner"]) != padme(9 + packed) or any(c["inner"][9 + packed:]):
            wrong.append(f"inner {n}")
        if codec == 0:
            same(f"inner {n}", c["inner"][9:9 + packed], c["plain"])
        head = struct.pack("<4sBBHI32sI", b"SMCK", 1, 1, kind, 1, keys["domain_id"], len(c["inner"]) + 16)
        nonce = hashlib.blake2b(c["random"] + head + c["id"] + blake3(c["inner"]), key=keys["nonce_key"],
                                digest_size=24).digest()
        same(f"nonce {n}", nonce, c["nonce"])
        sealed = xchacha20_poly1305(keys["sealing"], nonce, c["inner"], head + c["id"])
        same(f"frame {n}", head + c["id"] + nonce + sealed + bytes.fromhex(c["xxh"])[::-1], frame)
        same(f"digest {n}", blake3(frame), c["digest"])
    if len(chunks) != 4 or checked != 33:
        wrong.append(f"{len(chunks)} chunks, {checked} values")
    print(f"{checked} values, {len(wrong)} wrong")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    # draft-irtf-cfrg-xchacha-03, appendix A.3.1: the tag
    TEXT = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
            b"sunscreen would be it.")
    assert xchacha20_poly1305(bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58)), TEXT,
                              bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    sys.exit(main())
