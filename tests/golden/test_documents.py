#!/usr/bin/env python3
"""docs/formats/ and formats/ say the same: magics, contexts, and the fields of each statement, one by one."""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
TYPES = {"BYTES": "len", "STR": "text", "BLOB": "blob", "LIST": "list", "U8": "u8", "U16": "u16", "U32": "u32",
         "U64": "u64", "I64": "i64"}
PROSE = {"rec_image", "rec_disk", "rec_damage", "rec_loss", "rec_note", "rec_received", "rec_refused",
         "rec_parcel", "rec_wiped", "rec_snapshot", "rec_collected", "rec_lease",
         "rec_token", "rec_machine_fate", "rec_takeover"}  # bodies of records stand in sentences, not in tables


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def code():
    """name → (magic, context, [type of each field, with the size of bytes])"""
    out, source = {}, "".join(read(p) for p in sorted(glob.glob(os.path.join(TOP, "formats", "*.c"))))
    for name, magic, version, context in re.findall(
            r'fmt_schema (\w+)_schema = \{\s*"[^"]*", "(SAM\w{4})\\n", (\d+), (NULL|"[^"]*"),', source):
        fields = re.search(r"fmt_field " + name + r"_fields\[\] = \{(.*?)\n\};", source, re.S).group(1)
        sizes = dict(re.findall(r"^(\w+) = ([0-9a-f]*)$", read(os.path.join(HERE, "1", name + ".txt")), re.M))
        rows = []
        for macro, field in re.findall(r"FMT_(\w+)\(\w+, (\w+)", fields):
            rows.append(TYPES[macro] + (f" {len(sizes[field]) // 2}" if macro == "BYTES" else ""))
        out[name] = magic, context.strip('"') if context != "NULL" else None, rows
        assert version == "1", name
    others = set(re.findall(r"magic\[8\] = \{ '(\w)', '(\w)', '(\w)', '(\w)', '(\w)', '(\w)', '(\w)', '\\n' \}", source))
    return out, {"".join(m) for m in others}


def table_after(text, magic):
    """Types in the first table with a column "type" after the magic is named in a text."""
    at = text.index(f"`{magic}\\n`")
    rows = []
    for line in text[text.index("| type |", at):].split("\n")[2:]:
        if not line.startswith("|"):
            break
        for kind in line.split("|")[1].split(", "):
            words = kind.split()
            rows.append(" ".join(words[:2]) if words[0] == "len" else words[0])
    return rows


def main():
    statements, others = code()
    wrong = []
    pages = {os.path.basename(p)[:-3]: read(p) for p in glob.glob(os.path.join(TOP, "docs", "formats", "*.md"))}
    listed = {}
    for magic, context, page in re.findall(r"^\| `(SAM\w{4})\\n` \| 1 \|[^|]*\|([^|]*)\|[^|]*\| ([\w-]+) \|$",
                                           pages["README"], re.M):
        listed[magic] = (context.strip("` ") if "`" in context else None), page
    for name, (magic, context, rows) in sorted(statements.items()):
        if magic not in listed or listed[magic][0] != context:
            wrong.append(f"README.md: {magic}: {listed.get(magic)}, in the code {context}")
            continue
        if name in PROSE:
            continue
        want = rows + (["len 64"] if context else [])
        got = table_after(pages[listed[magic][1]], magic)
        if got != want:
            wrong.append(f"{listed[magic][1]}.md: {name}: {got}, in the code {want}")
    magics = {s[0] for s in statements.values()} | others
    if magics != set(listed):
        wrong.append(f"README.md and the code differ in {sorted(magics ^ set(listed))}")
    print(f"{len(statements)} statements, {len(magics)} magics, {len(wrong)} wrong")
    print("\n".join(wrong))
    return 1 if wrong or len(statements) < 24 else 0


if __name__ == "__main__":
    sys.exit(main())
