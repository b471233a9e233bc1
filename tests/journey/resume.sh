#!/bin/sh
# A build that is killed at any of its calls, again and again, while its source
# changes, goes on each time and ends in an image of what is there at the end.
# One that is asked to stop says how to go on, and keeps what it has read.
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
here=$TOP/tests/journey
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
number() { python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")][-1][sys.argv[2]])' "$1" "$2"; }

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir disk

# A source that takes some seconds: many files and a few large ones.
python3 - <<'END'
import os, random
r = random.Random(5)
os.mkdir("src")
for d in range(40):
    os.mkdir("src/d%02d" % d)
    for f in range(60):
        with open("src/d%02d/f%03d" % (d, f), "wb") as o:
            o.write(r.randbytes(r.randrange(40000)))
for i in range(12):
    with open("src/big%d" % i, "wb") as o:
        o.write(r.randbytes(8 << 20))
END
total=$(find src -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')

# --- killed at calls that leave something, one further on than the other

kills=0
rounds=0
build='samara-seed build --plain-directory --passphrase-file pass --to disk src'
while :; do
	rounds=$((rounds + 1))
	[ "$rounds" -lt 200 ] || fail "it never ends" build.log
	at=$((rounds * 37 % 11))
	case $((rounds % 4)) in
	0)	at="renameat2 $((at * 2 + 1))" ;;
	1)	at="pwrite64 $((at + 1))" ;;
	2)	at="fsync $((at * 5 + 1))" ;;
	3)	at="pread64 $((at * 200 + 1))" ;;
	esac
	# shellcheck disable=SC2086 # words
	if killed_at $at $build >build.out 2>build.log; then
		kills=$((kills + 1))
	fi
	case $rc in
	137) ;;
	0) [ "$kills" -lt 15 ] || break
		# It was too quick: another image, of all of it.
		build='samara-seed build --full --plain-directory --passphrase-file pass --to disk src'
		continue ;;
	10) build='samara-seed build --full --plain-directory --passphrase-file pass --to disk src'
		continue ;;
	*) fail "exit $rc after $kills kills from $build" build.out build.log ;;
	esac
	# Killed before there was an image, or after: the next one goes on with what there is.
	if samara-seed images --json 2>/dev/null | grep -q '"building"'; then
		build='samara-seed build --resume --passphrase-file pass --to disk'
	fi
	# Meanwhile the source changes: before and behind what was read already.
	case $((rounds % 4)) in
	0) head -c $((rounds * 1000)) src/big3 >src/d05/f010 ;;
	1) rm -f src/d$((10 + rounds % 30))/f003 src/d00/f001 ;;
	2) head -c 3000 src/big4 >src/d20/new$rounds
		mkdir -p src/a$rounds
		cp src/d01/f002 src/a$rounds/copy ;;
	3) printf 'x' >>src/big7
		mv src/d39/f0$((10 + rounds % 40)) src/d38/moved$rounds 2>/dev/null || true ;;
	esac
done
[ "$kills" -ge 15 ] || fail "only $kills kills" build.log

# What changed behind a resumed build's back is in the next increment: one more, undisturbed.
samara-seed build --plain-directory --passphrase-file pass --to disk src >build.out 2>build.log || fail "increment" build.out build.log
samara-verify disk disk >out 2>log || fail "verify" out log
samara-seed restore "latest:$WORK/src" --from disk --to back >out 2>log || fail "restore" out log
python3 "$here/compare_trees.py" --inside src back >out || fail "what came back" out
rm -r back disk
echo "killed $kills times, then whole"

# --- asked to stop: within ten seconds, with the command that goes on, and nothing read twice

for signal in INT TERM; do
	mkdir disk
	python3 - <<'END'
import os, random
for i in range(12):
    with open("src/big%d" % i, "wb") as o:
        o.write(random.randbytes(8 << 20))
END
	# What is younger than two seconds would be read again in any case.
	while [ -n "$(find src -newerct '3 seconds ago' -print -quit)" ]; do sleep 0.02; done
	# Some packs are written, not yet published.
	stopped_at pwrite64 5 samara-seed build --full --plain-directory --workers 1 --passphrase-file pass --to disk --json src \
	    >first.out 2>first.log || fail "SIG$signal: it ended before, with $rc" first.out first.log
	kill -$signal "$pid"
	begin=$(date +%s)
	goes_on
	[ $(($(date +%s) - begin)) -le 10 ] || fail "SIG$signal: it took too long" first.log
	[ "$rc" = 130 ] || fail "SIG$signal: exit $rc" first.log
	next=$(sed -n 's/^ *go on with: //p' first.log)
	[ "$next" = "samara-seed build --resume --to disk" ] || fail "SIG$signal: the command that goes on" first.log
	if [ $signal = TERM ]; then
		# It knows where its disk was; elsewhere it has to be told.
		next="samara-seed build --resume"
		mv disk elsewhere
		rc=0
		SAMARA_PASSPHRASE_FILE=pass $next >second.out 2>second.log || rc=$?
		[ "$rc" = 13 ] && grep -q 'is where it was' second.log || fail "a disk that is not there: $rc" second.out second.log
		mv elsewhere disk
	fi
	SAMARA_PASSPHRASE_FILE=pass $next --json >second.out 2>second.log || fail "SIG$signal: $next" second.out second.log
	again=$(number second.out read_bytes)
	all=$(find src -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')
	[ "$again" -lt "$all" ] || fail "SIG$signal: $again of $all bytes were read in the second run" second.out
	echo "SIG$signal: $((again * 100 / all)) % of the source was left to read"
	samara-seed restore "latest:$WORK/src" --from disk --to back >out 2>log || fail "SIG$signal: restore" out log
	python3 "$here/compare_trees.py" --inside src back >out || fail "SIG$signal: what came back" out
	rm -r back disk
done

# --- a terminal that goes away ends nothing

mkdir disk
stopped_at pwrite64 2 samara-seed build --full --plain-directory --passphrase-file pass --to disk src >out 2>log ||
    fail "it ended before, with $rc" out log
kill -HUP "$pid"
goes_on
[ "$rc" = 0 ] || fail "SIGHUP ended it" out log
echo "source of $total bytes: kill, stop and hang-up"
