#!/bin/sh
# A machine whose state has lost what it knew of its snapshots: the next backup fetches the
# listing of the newest one back over the line and merges with it, so that what did not
# change is not read again; ls, find, diff and restore need nothing but the line; what is made
# again from a fetched listing is what it was.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }
# number NAME FILE: a number from the last object of --json
number() { tail -n 1 "$2" | tr ',{}' '\n\n\n' | sed -n "s/^ *\"$1\": *//p"; }
trap 'kill "$server" 2>/dev/null || :' EXIT

mkdir -p src/dir/deep
python3 - <<'END2'
import os, random
r = random.Random(3)
for name, n in [("src/big", 16000000), ("src/mid", 300000)]:
    with open(name, "wb") as f:
        f.write(r.randbytes(n))
for i in range(200):
    with open("src/dir/f%d" % i, "wb") as f:
        f.write(r.randbytes(i * 31))
try:
    for i in range(3):
        os.setxattr("src/mid", "user.long%d" % i, r.randbytes(900))
except OSError:
    pass
END2
ln src/dir/f7 src/dir/deep/hard
ln src/big src/dir/deep/again
ln -s ../mid src/dir/link
say samara-import create vault --name dc-north --key-copy key.copy
samara-import serve vault --listen 127.0.0.1:0 --json >serve.out 2>serve.log &
server=$!
until grep -q listening serve.out || ! kill -0 "$server" 2>/dev/null; do sleep 0.05; done
grep -q listening serve.out || fail "the server ended" serve.log
port=$(tr ',{}' '\n\n\n' <serve.out | sed -n 's/^ *"port": *//p')
say samara-import url vault "https://127.0.0.1:$port"
say samara-import credential vault db1 --out db1.crd
echo 'correct horse battery staple' >pass
# Small chunks: the extents of the large file do not fit into its entry.
say samara-seed register db1.crd --machine db1 --passphrase-file pass --kit kit.txt --chunk-size 64Ki
# What is younger than two seconds when it is read is read again.
n=0
echo '{"unchanged": 0}' >out
until [ "$(number unchanged out)" -ge 200 ]; do
	say samara-seed backup src --max-upload none --json
	n=$((n + 1))
done
newest=$(printf '%08d' "$n")
cp -a state state.before

rm -r state/snaps
echo new >src/new
say samara-seed ls latest "$WORK/src/dir" --from line
grep -q f150 out || fail "ls without a listing here" out
say samara-seed find 'f150'
say samara-seed backup src --max-upload none --json
grep -q "listing of snapshot $n was fetched" log || fail "nothing was fetched" log
[ "$(number unchanged out)" -ge 200 ] || fail "what did not change was read again" out log
cmp state/snaps/$newest.root state.before/snaps/$newest.root || fail "another root"
cmp state/snaps/$newest.env state.before/snaps/$newest.env || fail "another envelope"
cmp state/snaps/$newest.r00 state.before/snaps/$newest.r00 || fail "another reference list"
samara-import list vault snapshots >out
[ "$(grep -c whole out)" = $((n + 1)) ] || fail "not all are whole" out
say samara-seed restore latest --to back
diff -r src "back$WORK/src" || fail "restored otherwise" out log
[ "$(stat -c %i "back$WORK/src/big")" = "$(stat -c %i "back$WORK/src/dir/deep/again")" ] || fail "the hard link"
say samara-seed snapshots --from line
earlier=$(sed -n $((n + 1))p out | cut -d ' ' -f 1)
say samara-seed diff "$earlier" latest
grep -q '/new$' out || fail "diff" out

# With the listing alone that was fetched: what rots is made again.
find state/snaps -name "$(printf '%08d' $((n + 1))).*" -exec mv {} . \;
pack=$(find vault/packs -type f -printf '%s %p\n' | sort -rn | sed -n '1s/^[0-9]* //p')
printf 'ROTROTROT' | dd of="$pack" bs=1 seek=900000 conv=notrunc 2>/dev/null
rc=0
samara-seed restore latest --to bad >out 2>log || rc=$?
[ "$rc" = 4 ] || fail "rot: exit $rc" out log
grep -q '(disputed)' log || fail "the rot is not disputed" log
say samara-seed refill --json
[ "$(number given_up out)" = 0 ] || fail "something was given up" out log
samara-import list vault snapshots >out
grep -q gap out && fail "the gap stays" out log
echo "fetched back: the listing, and what hangs on it"
