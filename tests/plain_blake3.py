"""BLAKE3 as its paper has it, in plain Python: slow, and no line of anybody's library."""
import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
MIX = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
ORDER, ALL = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8), 0xFFFFFFFF


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
    base, mode = (struct.unpack("<8I", key), 16) if key else (IV, 0)

    def node(at, length, root):  # a power of two of chunks on the left, the rest on the right
        if length <= 1024:
            cv, ends = base, range(0, max(1, length), 64)
            for i in ends:
                block = data[at + i:at + min(i + 64, length)]
                cv = compress(cv, block, at // 1024, len(block), mode | (i == 0) | (i == ends[-1]) * (2 | root))
            return cv
        left = 1024 << ((length - 1) // 1024).bit_length() - 1
        both = node(at, left, 0) + node(at + left, length - left, 0)
        return compress(base, struct.pack("<16I", *both), 0, 64, 4 | mode | root)
    return struct.pack("<8I", *node(0, len(data), 8))
