#!/bin/sh
# An ingest that is killed again and again, at one call after the other of those
# that leave something, with the two disks of an image in turn: the same commands again
# end in a whole snapshot, a vault in which nothing is wrong, and every file.
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
here=$TOP/tests/journey
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir disk1 disk2 src
python3 - <<'END'
import os, random
r = random.Random(6)
for d in range(10):
    os.mkdir("src/d%d" % d)
    for f in range(40):
        with open("src/d%d/f%02d" % (d, f), "wb") as o:
            o.write(r.randbytes(r.randrange(40000)))
for i in range(30):
    with open("src/big%02d" % i, "wb") as o:
        o.write(r.randbytes(4 << 20))
END
samara-seed build --spread --plain-directory --passphrase-file pass --to disk1 --to disk2 src >out 2>log || fail "build" out log
for d in disk1 disk2; do
	[ "$(find $d -name '*.pk' | wc -l)" -ge 2 ] || fail "$d has next to nothing of the image" out
done

# Two out of three times one disk, then the other, killed at another call each time; a vault
# that has it all too soon is followed by another.
cp -a vault empty
kills=0 rounds=0 in1=0 in2=0
while [ $in1 = 0 ] || [ $in2 = 0 ] || [ $kills -lt 12 ]; do
	if [ $in1 = 1 ] && [ $in2 = 1 ]; then
		samara-verify vault vault >out 2>&1 || fail "verify after $kills kills" out
		rm -r vault
		cp -a empty vault
		in1=0 in2=0
	fi
	rounds=$((rounds + 1))
	[ $rounds -lt 100 ] || fail "it never ends" ingest.log
	disk=$([ $((rounds % 3)) = 0 ] && echo 2 || echo 1)
	[ $in1 = 0 ] || disk=2
	at=$((rounds * 37 % 11))
	case $((rounds % 4)) in
	0)	at="renameat2 $((at + 1))" ;;
	1)	at="pwrite64 $((at * 9 + 1))" ;;
	2)	at="fsync $((at * 5 + 1))" ;;
	3)	at="pread64 $((at * 4 + 1))" ;;
	esac
	# shellcheck disable=SC2086 # a call and a number
	killed_at $at samara-import ingest vault disk$disk >ingest.out 2>ingest.log || true
	case $rc in
	137)	kills=$((kills + 1)) ;;
	0)	eval "in$disk=1" ;;
	*)	fail "exit $rc after $kills kills with disk$disk" ingest.out ingest.log ;;
	esac
	# Whatever moment it was: the books can be read, and what they call whole is.
	samara-import list vault snapshots >out 2>log || fail "list after kill $kills" out log
	! grep -q whole out || samara-verify vault vault --quick >out 2>&1 || fail "called whole after kill $kills" out
done

for d in disk1 disk2; do
	samara-import ingest vault $d >out 2>&1 || fail "$d once more" out
done
samara-import list vault snapshots >out 2>&1 || fail "list" out
[ "$(grep -c whole out)" = 1 ] || fail "the snapshot is not whole" out
samara-verify vault vault >out 2>&1 || fail "verify" out
[ -z "$(find vault/tmp -type f)" ] || { find vault/tmp -type f >out; fail "what killed runs left behind is still there" out; }
samara-import rebuild vault >out 2>&1 || fail "rebuild" out
samara-import list vault snapshots | grep -q whole || fail "not whole after a rebuild" out
samara-seed restore "latest:$WORK/src" --from vault --to back >out 2>log || fail "restore" out log
python3 "$here/compare_trees.py" --inside src back >out || fail "what came back" out
echo "killed $kills times in $rounds rounds, then whole"
