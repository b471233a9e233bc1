#!/bin/sh
# Bytes rot in the vault before anything of its own has looked: whoever reads them back
# finds out.  The machine says so, disputes the copy at the vault, names the files that
# did not come; the next backup replaces it, and the next restore is equal.  So it
# goes for a restore, for a dump, for a check with the key, over the line and from the vault's
# directory.  Who may only read disputes nothing, and a rotten copy of the
# vault's directory takes nothing from the vault.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }
ends() { want=$1; shift; rc=0; "$@" >out 2>log || rc=$?; [ "$rc" = "$want" ] || fail "$*: exit $rc, not $want" out log; }
trap 'kill "$server" 2>/dev/null || :' EXIT
# rot OFFSET DIR: bytes of the largest pack change in place, at another offset each time
rot() {
	pack=$(find "$2/packs" -type f -printf '%s %p\n' | sort -rn | sed -n '1s/^[0-9]* //p')
	printf 'ROTROTROT' | dd of="$pack" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
healed() {
	say samara-seed backup src --max-upload none
	samara-import list vault snapshots >out
	grep -q gap out && fail "the gap stays after a backup" out log serve.log
	rm -rf back
	say samara-seed restore latest --to back --from line
	diff -r src "back$WORK/src" >out || fail "restored otherwise" out log
	if grep -q disputed log; then fail "something is disputed still" log; fi
}

say samara-import create vault --name dc-north --key-copy key.copy
samara-import serve vault --listen 127.0.0.1:0 --json >serve.out 2>serve.log &
server=$!
until grep -q listening serve.out || ! kill -0 "$server" 2>/dev/null; do sleep 0.05; done
grep -q listening serve.out || fail "the server ended" serve.log
port=$(tr ',{}' '\n\n\n' <serve.out | sed -n 's/^ *"port": *//p')
say samara-import url vault "https://127.0.0.1:$port"
say samara-import credential vault db1 --out db1.crd
echo 'correct horse battery staple' >pass
say samara-seed register db1.crd --offline --machine db1 --passphrase-file pass --kit kit.txt
mkdir -p src disk1
python3 - <<'END2'
import random
r = random.Random(31)
for i in range(9):
    with open("src/f%d" % i, "wb") as f:
        f.write(r.randbytes(4000000))
END2
say samara-seed build --to disk1 --plain-directory --passphrase-file pass src
say samara-import ingest vault disk1
samara-import list vault snapshots >out
grep -q whole out || fail "not whole at first" out
cp -a vault copied

# A restore over the line.
rot 700000 vault
ends 4 samara-seed restore latest --to bad --from line
grep -q '(disputed)' log || fail "the copy is not disputed" log serve.log
grep -q 'next backup' log || fail "what happens now is not said" log
[ "$(grep -c "$WORK/src/f[0-9]: " log)" = 1 ] || fail "not exactly one file is named" log
grep -q 'NOT BACK  *1;' out || fail "not exactly one is not back" out
samara-import list vault snapshots >out
grep -q gap out || fail "the vault calls it whole still" out serve.log
# The disk that is still here has it: nothing is missing.
say samara-seed restore latest --to bad --from line --from disk1
diff -r src "bad$WORK/src" >out || fail "with the disk restored otherwise" out log
healed

# A dump; a check with the key.
rot 2700000 vault
rc=0
for f in src/f*; do
	samara-seed dump latest "$WORK/$f" --from line >have 2>log || rc=$?
	[ "$rc" = 0 ] || break
	cmp -s have "$f" || fail "dump of $f gave other bytes" log
done
[ "$rc" = 4 ] || fail "a dump of rot: exit $rc" log
grep -q '(disputed)' log || fail "a dump disputes nothing" log
healed
rot 4700000 vault
ends 4 samara-verify snapshot latest --from line
grep -q '(disputed)' log || fail "a check with the key disputes nothing" out log
healed

# From the directory: disputed where the vault itself gives it so.
rot 6700000 vault
rm -rf bad
ends 4 samara-seed restore latest --to bad --from vault
grep -q 'disputed: they count as held no more' log || fail "from the directory nothing is disputed" log
samara-import list vault snapshots >out
grep -q gap out || fail "the vault calls it whole still" out
healed

# A copy of the directory rots: the vault's own is good.
rot 8700000 copied
rm -rf bad
first=$(samara-seed snapshots --from line | sed -n 2p | cut -d ' ' -f 1)
ends 4 samara-seed restore "$first" --to bad --from copied
grep -q 'good over the line' log || fail "the copy is not told from the vault" log
samara-import list vault snapshots >out
grep -q gap out && fail "the vault lost something to a rotten copy of it" out

# Who may only read says so, and changes nothing.
rot 10700000 vault
say samara-import credential vault db1 --restore-only --out look.crd
rm -rf bad
ends 4 samara-seed restore latest --to bad --from line --kit kit.txt --credential look.crd --passphrase-file pass --state nowhere
grep -q 'the machine itself says that' log || fail "who may only read does not say so" log
samara-import list vault snapshots >out
grep -q gap out && fail "who may only read has disputed" out
echo "disputed and replaced: restore, dump, check; over the line and from the directory"
