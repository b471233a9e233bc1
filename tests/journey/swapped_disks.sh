#!/bin/sh
# A snapshot on three disks comes back through one port: each disk is asked for
# by its short name, none twice; off a terminal by the same command again, on a
# terminal by answers; files that lie on two disks, a wrong disk, a kill.
set -eu

# shellcheck source=tests/loop/loop.sh
. "$TOP/tests/loop/loop.sh"
# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
why=$(loop_need ext4) || { echo "$why"; exit 77; }
here=$TOP/tests/journey
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
trap loop_end EXIT

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
echo 'correct horse battery staple' >pass
for m in db1 db2; do
	samara-import credential vault $m --out $m.crd >log 2>&1 || fail "credential" log
	samara-seed register $m.crd --offline --passphrase-file pass --kit $m.txt --state $m >log 2>&1 || fail "register" log
done

mkdir -p src/deep/er
python3 - <<'END'
import os, random
r = random.Random(11)
for i in range(9):
    open("src/big%02d" % i, "wb").write(r.randbytes(17 << 20))
for i in range(400):
    open("src/deep/small%03d" % i, "wb").write(r.randbytes(r.randrange(40000)))
open("src/twice", "wb").write(open("src/big00", "rb").read())
os.link("src/big08", "src/deep/er/linked")
os.symlink("../big00", "src/deep/er/symlink")
os.chmod("src/deep/er", 0o500)
END
while [ -n "$(find src -newerct '3 seconds ago')" ]; do sleep 0.05; done

for n in 1 2 3; do
	loop_attach "disk$n" "$([ $n = 3 ] && echo 150M || echo 75M)"
	eval "device$n=\$loop"
	loop_format "$loop" ext4
	loop_mount "$loop" "bay$n"
done
samara-seed build --to bay1 --to bay2 --to bay3 src --state db1 --passphrase-file pass >out 2>log || fail "build" out log
name=$(grep -o 'image [A-Z0-9]* sealed: 3 disks' out | cut -d' ' -f2)
[ -n "$name" ] || fail "not three disks" out log
for n in 1 2 3; do
	loop_unmount "bay$n"
done
mkdir foreign src2
echo other >src2/file
samara-seed build --to foreign --plain-directory src2 --state db2 --passphrase-file pass >log 2>&1 || fail "build of another machine" log

# put N: it is in the bay, alone
put() { eval "loop_mount \"\$device$1\" bay ro"; in=$1; }
away() { loop_unmount bay; }
# restore WANTED-STATUS TARGET [ARG...]
restore() {
	want=$1 to=$2
	shift 2
	rc=0
	samara-seed restore latest --from bay --to "$to" --kit db1.txt --passphrase-file pass "$@" >out 2>log || rc=$?
	[ "$rc" = "$want" ] || fail "restore with disk $in ended with $rc, not $want" out log
}
whole() {
	python3 "$here/compare_trees.py" src "$1$WORK/src" || fail "what came back is different"
	[ "$(stat -c %i "$1$WORK/src/big08")" = "$(stat -c %i "$1$WORK/src/deep/er/linked")" ] || fail "the link is none"
	[ -z "$(find "$1" -name '.samara-*')" ] || fail "something is left: $(find "$1" -name '.samara-*')"
	grep -qE '^compared: ([0-9,]+) of \1$' out || fail "no comparison" out log
}

# --- off a terminal: the same command with the next disk

put 3
restore 13 back
grep -q "$name-2 is needed next" log || fail "the next disk is not named" out log
grep -q "samara-seed restore latest --from DISK --to back --kit db1.txt --passphrase-file pass" log || fail "the command that goes on is not named" log
restore 13 back
grep -q "$name-2 is needed next; $name-3 has given all it has" log || fail "a disk that was there already is not named" log
away
rc=0
samara-seed restore latest --from foreign --to back --kit db1.txt --passphrase-file pass >out 2>log || rc=$?
[ "$rc" = 14 ] || fail "another machine's disk: $rc" out log
grep -q 'which has another key' log || fail "the wrong disk is not named" log
put 2
restore 13 back
grep -q "$name-1 is needed next" log || fail "the next disk is not named" out log
[ -n "$(find back -name 'big*')" ] || fail "nothing is back after two disks"
away
put 1
restore 0 back
away
whole back
chmod -R u+w back
rm -rf back

# --- another order, and kills in the middle of each disk: at its first write, at later ones; what was done counts

put 3
restore 13 back
away
for n in 1 2; do
	put $n
	for at in 1 5 11; do
		! killed_at pwrite64 $at samara-seed restore latest --from bay --to back --kit db1.txt --passphrase-file pass >out 2>log ||
		    continue
		# All files of the disk in between may need the last one too: then it is kept, and nothing is written into them.
		[ "$n$rc" = 113 ] || fail "disk $n: it was to be killed at write $at, and ended with $rc" out log
	done
	restore "$([ $n = 1 ] && echo 13 || echo 0)" back
	away
done
whole back
chmod -R u+w back
rm -rf back

# --- one that does not come: what the others have, and each file that is missing by name

put 3
restore 13 back
restore 3 back --no-more-disks
grep -q 'NOT BACK' out || fail "nothing is said of what is missing" out log
away
put 2
restore 13 back
away
put 1
restore 0 back
away
whole back
chmod -R u+w back
rm -rf back

# --- on a terminal: answers; a wrong one first

cat >talk.py <<'END'
import os, pty, subprocess, sys
# talk.py STATUS COMMAND...: ANSWERS has lines "what is asked|shell command|answer"
master, slave = pty.openpty()
answers = [l.rstrip("\n").split("|") for l in open("answers")]
def mine():
    os.setsid()
    import fcntl, termios
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
p = subprocess.Popen(sys.argv[2:], stdin=slave, stdout=slave, stderr=slave, preexec_fn=mine)
os.close(slave)
seen, all = b"", b""
while True:
    try:
        piece = os.read(master, 4096)
    except OSError:
        break
    if not piece:
        break
    seen += piece
    all += piece
    if answers and answers[0][0].encode() in seen:
        what, before, answer = answers.pop(0)
        if before:
            subprocess.check_call(before, shell=True)
        seen = b""
        os.write(master, answer.encode() + b"\n")
sys.stdout.write(all.decode(errors="replace"))
rc = p.wait()
if answers or rc != int(sys.argv[1]):
    sys.exit("ended with %d; not asked: %r" % (rc, answers))
END
put 3
cat >answers <<END
$name-2 is needed next. Disk? [bay]|true|foreign
$name-2 is needed next. Disk? [foreign]|umount bay && mount -o ro $device2 bay|bay
$name-1 is needed next. Disk? [bay]|umount bay && mount -o ro $device1 bay|
END
python3 talk.py 0 samara-seed restore latest --from bay --to back --kit db1.txt --passphrase-file pass >out 2>log ||
    fail "on a terminal" out log
tr -d '\r' <out >out.text && mv out.text out
grep -q 'which has another key' out || fail "the wrong answer is not refused by name" out
[ "$(grep -o 'is needed next' out | wc -l)" = 3 ] || fail "a disk was asked for twice" out
whole back
away

# --- all at once: nothing is asked and nothing is kept

for n in 1 2 3; do
	eval "loop_mount \"\$device$n\" bay$n ro"
done
samara-seed restore latest --from bay1 --from bay2 --from bay3 --to all --kit db1.txt --passphrase-file pass >out 2>log ||
    fail "all disks at once" out log
! grep -q 'still away' out || fail "a disk counts as away" out
python3 "$here/compare_trees.py" src "all$WORK/src" || fail "what came back is different"

# --- written at the same time: the listing too lies on all of them, and still none is asked for twice

chmod -R u+w back
rm -rf back
python3 - <<'END'
import random
r = random.Random(12)
for i in range(12000):
    open("src/deep/a name that makes the listing long, as listings of real machines are %05d" % i, "wb").write(r.randbytes(r.randrange(900)))
END
while [ -n "$(find src -newerct '3 seconds ago')" ]; do sleep 0.05; done
for n in 4 5; do
	loop_attach "disk$n" 350M
	eval "device$n=\$loop"
	loop_format "$loop" ext4
	loop_mount "$loop" "bay$n"
done
samara-seed build --full --spread --to bay4 --to bay5 src --state db1 --passphrase-file pass >out 2>log || fail "build" out log
spread=$(grep -o 'image [A-Z0-9]* sealed: 2 disks' out | cut -d' ' -f2)
[ -n "$spread" ] || fail "not two disks" out log
first=4 second=5
[ -e "bay4/samara/$(echo "$spread" | tr A-Z a-z)/snap" ] || first=5 second=4
loop_unmount bay4
loop_unmount bay5
put $first
restore 13 back
grep -q "$spread-[12] is needed next" log || fail "the next disk is not named" out log
away
put $second
restore 0 back
away
whole back
echo "three disks came back through one port"
