#!/bin/sh
# sh tests/with-tools.sh BUILD-DIR tests/journey/line_scale.sh [FILES EDITS]
#
# Many small files over the line: 20,000 of them, or FILES; unchanged, then with 100
# (EDITS) of them edited here and there.  What goes over the line is held to a figure
# in bytes, and what the machine remembers to one in memory.  A line of figures is the last.
set -eu

files=${1:-20000} edits=${2:-100}
fail() { echo "$1"; shift; for f; do echo "--- $f"; tail -n 40 "$f"; done; exit 1; }
# field FILE KEY: of the summary
field() { python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if "summary" in l][-1][sys.argv[2]])' "$1" "$2"; }
# measured NAME COMMAND...: what it says is in NAME.out and NAME.log, seconds and MB of memory in NAME.use
measured() {
	name=$1
	shift
	python3 - "$name" "$@" <<'END' || fail "failed: $*" "$name.out" "$name.log"
import resource, subprocess, sys, time
name, command = sys.argv[1], sys.argv[2:]
with open(name + ".out", "w") as out, open(name + ".log", "w") as log:
    begun = time.monotonic()
    status = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log)
    seconds = time.monotonic() - begun
with open(name + ".use", "w") as use:
    use.write("%.1f %d\n" % (seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1000))
sys.exit(status)
END
}
seconds() { cut -d' ' -f1 "$1.use"; }
memory() { cut -d' ' -f2 "$1.use"; }
until_true() { until "$@"; do sleep 0.05; done; }
# A file that changes as it is read is read again the next time.
settle() { : >stamp; while [ -n "$(find stamp -newerct '3 seconds ago')" ]; do sleep 0.05; done; }

cat >tree.py <<'END'
import os, random, sys, zlib
what, files, edits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
words = random.Random(7).choices("abcdefghijklmnopqrstuvwxyz", k=40000)
words = ["".join(words[i:i + 3 + i % 7]) for i in range(0, 39000, 10)]
def text(seed):
    r = random.Random(seed)
    return " ".join(r.choices(words, k=r.randrange(20, 240))).encode()
def path(i):
    return "tree/src/%04d/file%04d" % (i // 1000, i % 1000)
if what == "make":
    for i in range(files):
        if i % 1000 == 0:
            os.makedirs(os.path.dirname(path(i)))
        with open(path(i), "wb") as f:
            f.write(text(i))
else:
    packed = 0
    for i in random.Random(3).sample(range(files), edits):
        new = text(files + i)
        packed += len(zlib.compress(new, 6))
        with open(path(i), "wb") as f:
            f.write(new)
    print(packed)
END
: >made; : >edited
for name in first same more; do : >"$name.out"; : >"$name.log"; : >"$name.use"; done
python3 tree.py make "$files" "$edits"

port=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
samara-import create vault --name dc --key-copy key.copy --url "https://127.0.0.1:$port" >made 2>&1 || fail create made
samara-import credential vault web1 --out web1.crd >made 2>&1 || fail credential made
samara-seed register web1.crd --offline --generate-passphrase pass --kit kit.txt >made 2>&1 || fail register made
samara-import serve vault --listen "127.0.0.1:$port" >serve.out 2>serve.log &
server=$!
trap 'kill "$server" 2>/dev/null || :' EXIT
until_true python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()' "$port" 2>made
settle

measured first samara-seed backup tree/src --max-upload none --json
measured same samara-seed backup --json
packed=$(python3 tree.py edit "$files" "$edits")
settle
measured more samara-seed backup --max-upload none --json

sent=$(field same.out line_sent) received=$(field same.out line_received)
grown=$(field more.out line_sent)
echo "$files files first: $(seconds first) s, $(memory first) MB of memory, $(field first.out line_sent) bytes sent"
echo "unchanged: $(seconds same) s, $(memory same) MB of memory, $sent bytes sent and $received received"
echo "$edits edited ($packed bytes compressed): $(seconds more) s, $(memory more) MB of memory, $grown bytes sent"

[ "$(field same.out read_bytes)" = 0 ] || fail "an unchanged tree was read" same.out
[ "$sent" -le 8000 ] && [ "$received" -le 8000 ] || fail "an unchanged tree costs more than a few kB" same.out
# Five times the bytes, and 20 kB a file: 20 MB where a thousand are edited.
[ "$grown" -le $((5 * packed + 20000 * edits)) ] || fail "$grown bytes for $packed bytes of edits" more.out
# What sanitizers add is theirs.
grep -q '^SAMARA_SANITIZE:[A-Z]*=..*' "$BUILD/CMakeCache.txt" 2>/dev/null || for name in first same more; do
	most=60
	[ "$name" != more ] || most=120
	[ "$name" != first ] || most=$((100 + files / 8000))
	[ "$(memory "$name")" -le "$most" ] || fail "$name took $(memory "$name") MB of memory, more than $most"
done
