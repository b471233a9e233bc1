#!/bin/sh
# Reading back over the line: everything and a part, by name and by difference, a
# stream, mixed with a disk that has only half of it; the server reads nothing that is
# not needed, a machine sees no other machine's bytes, and a restore that is stopped goes on.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }
serving() {
	rm -f serve.out
	samara-import serve vault --listen "127.0.0.1:${port:-0}" --json >serve.out 2>serve.log &
	server=$!
	until grep -q listening serve.out || ! kill -0 "$server" 2>/dev/null; do sleep 0.05; done
	grep -q listening serve.out || fail "the server ended" serve.log
	port=$(tr ',{}' '\n\n\n' <serve.out | sed -n 's/^ *"port": *//p')
}
trap 'kill "$server" 2>/dev/null || :' EXIT
got() { sed -n 's/.* out \([0-9]*\) .*/\1/p' serve.log | awk '{ n += $1 } END { print n + 0 }'; }

say samara-import create vault --name dc-north --key-copy key.copy
serving
say samara-import url vault "https://127.0.0.1:$port"
say samara-import credential vault db1 --out db1.crd
say samara-import credential vault db2 --out db2.crd
echo 'correct horse battery staple' >pass
say samara-seed register db1.crd --offline --machine db1 --passphrase-file pass --kit kit.txt
say samara-seed register db2.crd --offline --machine db2 --passphrase-file pass --state state2

mkdir -p src/dir/deep src/empty disk1 disk2 disk3 other
python3 - <<'END'
import random
r = random.Random(11)
for name, n in [("src/big", 9000000), ("src/dir/mid", 700000), ("other/secret", 300000)]:
    with open(name, "wb") as f:
        f.write(r.randbytes(n))
for i in range(150):
    with open("src/dir/small%d" % i, "wb") as f:
        f.write(r.randbytes(i * 41))
END
ln src/dir/small7 src/dir/deep/hard
ln -s ../big src/dir/link
say samara-seed build --to disk1 --plain-directory --passphrase-file pass src
say samara-import ingest vault disk1
say samara-seed build --to disk3 --plain-directory --passphrase-file pass --state state2 other
say samara-import ingest vault disk3
cp -a src before
echo changed >src/dir/small3
rm src/dir/small9
echo new >src/newfile
say samara-seed build --to disk2 --plain-directory --passphrase-file pass src
say samara-import ingest vault disk2

# What there is, and where nothing is said the line is meant.
say samara-seed snapshots --from line --json
[ "$(grep -c '"state": *"whole"' out)" = 2 ] || fail "two whole snapshots" out
first=$(sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' out | sed -n 1p)
say samara-seed ls latest "$WORK/src/dir"
grep -q small3 out || fail "ls over the line" out
say samara-seed find small3 'newf*'
[ "$(grep -c /src/dir/small3 out)" = 2 ] || fail "small3 is in both" out
[ "$(grep -c /src/newfile out)" = 1 ] || fail "newfile is in one" out
say samara-seed find '/**/deep/' --snapshot "$first"
grep -q '/src/dir/deep/$' out || fail "a directory by its path" out
rc=0
samara-seed diff "$first:$WORK/src" "latest:$WORK/src" >out 2>log || rc=$?
[ "$rc" = 0 ] || fail "diff: exit $rc" out log
printf '+  /newfile\nM  /dir/small3\n-  /dir/small9\n' | sort >want
grep -E '^[-+MTU]  ' out | sort >have
cmp -s want have || fail "the difference" out
say samara-seed diff "$first" latest --metadata
grep -q '^U  ' out || fail "directories have other times" out
samara-seed dump latest "$WORK/src/big" 2>log | cmp - src/big || fail "dump over the line" log

# A part costs a part.
was=$(got)
say samara-seed restore "latest:$WORK/src/dir/small8" --to part
cmp -s part/small8 src/dir/small8 || fail "one file" out log
cost=$(($(got) - was))
[ "$cost" -lt 1500000 ] || fail "one small file cost $cost bytes" out
grep -q '^from  *line, vault dc-north at https://127.0.0.1' out || fail "where it comes from is said first" out

# Everything, twice: the second time nothing but the listing comes.
say samara-seed restore latest --to back
diff -r src "back$WORK/src" || fail "everything" out log
grep -q 'compared: 152 of 152' out || fail "compared" out
say samara-seed restore latest --to back --overwrite if-different
grep -q '152 files were there already' out || fail "what is there is not written again" out
[ "$(stat -c %i "back$WORK/src/dir/small7")" = "$(stat -c %i "back$WORK/src/dir/deep/hard")" ] || fail "the hard link" out

# Disks first: of the increment the line gives only what the older disk has not.
was=$(got)
say samara-seed restore latest --to mixed --from disk1 --from line
diff -r src "mixed$WORK/src" || fail "mixed" out log
grep -q '^from  *disk ' out || fail "the disk is named" out
cost=$(($(got) - was))
[ "$cost" -lt 400000 ] || fail "with the disk at hand the line gave $cost bytes" out

# An image on two disks, of which one has come: its snapshot is pending, and says so; latest is the newest whole one.
mkdir -p src/later disk4 disk5
python3 - <<'END'
import random
r = random.Random(12)
for i in range(24):
    with open("src/later/f%02d" % i, "wb") as f:
        f.write(r.randbytes(2000000))
END
say samara-seed build --to disk4 --to disk5 --spread --plain-directory --passphrase-file pass src
name=$(sed -n 's/^image \([A-Z0-9]*\) sealed.*/\1/p' out)
# How the two share it is theirs to find out: the one with less of it comes first.
here=disk4 away=disk5
[ "$(du -s disk4/samara | cut -f 1)" -le "$(du -s disk5/samara | cut -f 1)" ] || here=disk5 away=disk4
# The listing may lie on either disk; the pledge brings it.
say samara-seed ship "$name" --carrier C --tracking 1
say samara-import ingest vault $here
say samara-seed snapshots --from line
grep -q 'pending on [A-Z0-9]\{4\}$' out || fail "the third is pending" out
third=$(tail -n 1 out | cut -d ' ' -f 1)
samara-seed restore latest --to newest --dry-run >out 2>log || fail "latest is the newest whole one" out log
grep -q 'number 2,' out || fail "latest is not the pending one" out
grep -q "snapshot $third .* is newer, but not all of it is here: pending on" log || fail "the newer one is named" log
rc=0
samara-seed restore "$third" --to half --from line >out 2>log || rc=$?
[ "$rc" = 3 ] || fail "a pending snapshot: exit $rc" out log
grep -q '^state  *pending on' out || fail "what is pending is said" out
grep -q 'waits for what image' log || fail "why it is pending is said" log
cmp -s "half$WORK/src/newfile" src/newfile || fail "what is there comes back" out log
lost=$(cd src/later && for f in *; do [ -e "../../half$WORK/src/later/$f" ] || echo "$f"; done)
[ -n "$lost" ] || fail "something of a pending snapshot is not there" out
for f in $lost; do
	grep -q "/src/later/$f: " log || fail "$f is missing and was not named" log
done
for f in "half$WORK"/src/later/*; do
	[ ! -e "$f" ] || cmp -s "$f" "src/later/${f##*/}" || fail "wrong bytes in $f" log
done
say samara-seed restore "$third" --to half --from $away --from line
diff -r src "half$WORK/src" || fail "the disk that is still here brings the rest" out log
say samara-import ingest vault $away
say samara-seed snapshots --from line
grep -q "^$third .*whole$" out || fail "it is whole when its disks are in" out
rm -r half disk4 disk5

# Another machine of the vault sees nothing of it.
say samara-seed snapshots --from line --state state2 --json
[ "$(grep -c '"type": *"snapshot"' out)" = 1 ] || fail "db2 has one snapshot" out
pack=$(cd vault/packs && for p in */*; do
	head -c 48 "$p" | tail -c 32 | od -An -tx1 | tr -d ' \n'
	echo " $p"
done | sort | awk '{ n[$1]++; p[$1] = $2 } END { for (d in n) print n[d], p[d] }' | sort -n | sed -n '$s/.* //p')
token=$(cat state2/token)
python3 - "$port" "$token" "${pack#*/}" <<'END' || fail "a pack of another machine was given" serve.log
import http.client, ssl, sys
c = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[1]), context=ssl._create_unverified_context())
for token, pack, want in [(sys.argv[2], sys.argv[3], 404), ("00" * 32, sys.argv[3], 401), (sys.argv[2], "../../local/vault.key", None)]:
    c.request("GET", "/v1/vaults/dc-north/packs/" + pack, headers={"Authorization": "Bearer " + token})
    r = c.getresponse()
    r.read()
    assert r.status == want or (want is None and r.status >= 400), (pack, r.status)
END

# The server goes away for a moment: what waits goes on.
samara-seed restore latest --to again >out 2>log &
restore=$!
kill "$server"
wait "$server" 2>/dev/null || :
serving
rc=0
wait "$restore" || rc=$?
[ "$rc" = 0 ] || fail "a restore that met a server on its way down: exit $rc" out log
diff -r src "again$WORK/src" || fail "after the break" out log

# Nobody there: said so, and nothing is made.
kill "$server"
wait "$server" 2>/dev/null || :
rc=0
timeout 100 samara-seed ls latest >out 2>log || rc=$?
[ "$rc" = 15 ] || fail "without a server: exit $rc" out log
grep -q 'S-1701' log || fail "the vault is out of reach" log
