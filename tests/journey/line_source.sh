#!/bin/sh
# A backup over the line of a source that is held still: programs around it, a hook of
# one's own, lvm (stood in for), a real snapshot of btrfs; in the background, watched and
# cancelled; stopped by signals, with the one command that goes on.  Killed in the
# middle it leaves nothing behind that the next run does not take away.
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
field() { python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")][-1][sys.argv[2]])' "$1" "$2"; }
# say COMMAND...: it ends well
say() { "$@" >out 2>log || fail "$*" out log serve.log; }

port=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
answers() { python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()' "$port" 2>/dev/null; }
serve() {
	samara-import serve vault --listen "127.0.0.1:$port" >>serve.log 2>&1 &
	server=$!
	until_so $server answers || fail "the server" serve.log
}
top=
clean() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	[ -z "$top" ] || umount "$top" 2>/dev/null || umount -l "$top"
}
server=
trap clean EXIT
: >serve.log
say samara-import create vault --name dc-north --key-copy key.copy --url "https://127.0.0.1:$port"
say samara-import credential vault db1 --out db1.crd
echo 'correct horse battery staple' >pass
say samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt
say samara-seed policy set initial=network
backup='samara-seed backup --max-upload none'

mkdir -p src/sub snap late
echo then >src/a
echo then >src/sub/b
echo late >late/file
cat >around <<'END'
#!/bin/sh
echo "$(basename "$0") $SAMARA_SET" >>"$WORK/around.log"
[ ! -e "$WORK/refuse" ] || exit 3
END
chmod +x around
ln -s around before
ln -s around after
cat >hook <<'END'
#!/bin/sh
echo "$*" >>"$WORK/hook.log"
case $1 in
take) rm -rf "$WORK/snap/copy"; cp -a "$2" "$WORK/snap/copy"; echo now >"$2/a"; echo new >"$2/later"; echo "$WORK/snap/copy" ;;
remove) rm -rf "$WORK/snap/copy" ;;
esac
END
chmod +x hook
nothing_left() { [ -z "$(ls snap)" ] && [ -z "$(ls state/views 2>/dev/null)" ]; }

# --- stopped before the vault was ever reached: the command that it names goes on, and knows what was asked for

$backup --set late --retry-for 1h late >out 2>log &
pid=$!
until_so $pid grep -q 'trying again' log || fail "it does not wait for the vault" log
kill -INT $pid
rc=0
wait $pid || rc=$?
[ "$rc" = 130 ] || fail "stopped while it waits: $rc" log
grep -q 'go on with: samara-seed backup --set late --max-upload none$' log || fail "it does not say how to go on" log
serve
say samara-seed backup --set late --max-upload none
say samara-seed restore latest:late --to back0 --from line
cmp late/file "back0$WORK/late/file" || fail "what was gone on with"

# --- programs around the walk, and a hook that copies

say $backup --snapshot hook --hook ./hook --before ./before --after ./after "$WORK/src"
[ "$(cat hook.log)" = "take $WORK/src
remove $WORK/src $WORK/snap/copy" ] || fail "how the hook was called" hook.log
[ "$(cat around.log)" = "before files
after files" ] || fail "how the programs around were called" around.log
nothing_left || fail "something is left behind"
say samara-seed restore latest --to back --from line
[ "$(cat "back$WORK/src/a")" = then ] || fail "the live file was read, not the snapshot's"
[ ! -e "back$WORK/src/later" ] || fail "what came later is in the snapshot"
[ "$(cat "back$WORK/src/sub/b")" = then ] || fail "below a directory of the snapshot"

# --- the one before fails: nothing is read, the one after still runs; the same without paths does as it was told

: >refuse
: >around.log
rc=0
$backup --before ./before --after ./after src >out 2>log || rc=$?
[ "$rc" = 1 ] || fail "a program before that fails: $rc" log
grep -q 'S-1109' log || fail "does not say why" log
[ "$(cut -d' ' -f1 around.log | tr '\n' ' ')" = 'before after ' ] || fail "around a failure" around.log
rm refuse
: >around.log
say $backup
[ "$(cut -d' ' -f1 around.log | tr '\n' ' ')" = 'before after ' ] || fail "a backup without paths forgets its hooks" around.log
: >around.log
say $backup src
[ ! -s around.log ] || fail "a backup that says what is read runs another one's hooks" around.log

# --- killed while the snapshot is there: the next run takes it away, and its own too

: >hook.log
python3 -c 'import random; open("src/long", "wb").write(random.Random(5).randbytes(20000000))'
rm -f src/later
$backup --read-limit 200K --snapshot hook --hook ./hook "$WORK/src" >out 2>log &
pid=$!
holds() { grep -q take hook.log && ls state/sets/files/backup/items.* && [ -e snap/copy ] && [ -e src/later ]; }
until_so $pid holds || fail "it ended before it was killed" log
kill -KILL $pid
wait $pid 2>/dev/null || true
[ -e snap/copy ] || fail "it was not killed in the middle"
: >hook.log
say $backup --read-limit 1G
[ "$(cut -d' ' -f1 hook.log | tr '\n' ' ')" = 'remove take remove ' ] || fail "after a kill" hook.log
nothing_left || fail "something is left behind after a kill"

# --- words that make no sense: refused before the vault is asked

for bad in '--snapshot zfs' '--snapshot hook' '--hook ./hook'; do
	rc=0
	$backup $bad src >out 2>log || rc=$?
	[ "$rc" = 2 ] || fail "$bad: $rc" log
done

# --- stopped by signals: soon, cleanly, with the one command that goes on; hung up it goes on by itself

for signal in INT TERM; do
	python3 -c 'import random, sys; open("src/" + sys.argv[1], "wb").write(random.Random(sys.argv[1]).randbytes(12000000))' $signal
	: >hook.log
	rm -f src/later
	$backup --read-limit 400K --snapshot hook --hook ./hook "$WORK/src" >out 2>log &
	pid=$!
	until_so $pid holds || fail "it ended before it was stopped" log
	kill -$signal $pid
	asked=$(date +%s)
	rc=0
	wait $pid || rc=$?
	[ "$rc" = 130 ] || fail "stopped by SIG$signal: $rc" log
	[ $(($(date +%s) - asked)) -le 10 ] || fail "it took longer than ten seconds"
	grep -q 'go on with: samara-seed backup --max-upload none$' log || fail "SIG$signal: it does not say how to go on" log
	nothing_left || fail "SIG$signal: something is left behind"
	samara-seed backup --max-upload none --read-limit 1G --json >out 2>log || fail "SIG$signal: it does not go on" log
	[ "$(tail -n 1 hook.log | cut -d' ' -f1)" = remove ] || fail "without the hook" hook.log
done
python3 -c 'import random; open("src/hup", "wb").write(random.Random(6).randbytes(3000000))'
$backup --read-limit 2M "$WORK/src" >out 2>log &
pid=$!
reads() { ls state/sets/files/backup/items.*; }
until_so $pid reads || fail "it ended before it was hung up" log
kill -HUP $pid
wait $pid || fail "hung up, it ended" log
say samara-seed restore latest --to back3 --from line
diff -r src "back3$WORK/src" >out || fail "after all of that" out

# --- in the background: watched, asked to stop, gone on with

python3 -c 'import random; open("src/back", "wb").write(random.Random(7).randbytes(12000000))'
runs() { samara-seed jobs "$1" --json | grep -q '"state":"running"'; }
$backup --background --json --read-limit 400K src >began 2>log || fail "in the background" began log
job=$(field began job)
[ "$(field began background)" = True ] || fail "does not say that it is in the background" began
until [ -s "state/jobs/$(printf %08d "$job").now" ] || ! runs "$job"; do sleep 0.05; done
samara-seed jobs watch "$job" --json >watched 2>log &
pid=$!
until_so $pid test -s watched || fail "nothing to watch" watched log
rc=0
$backup src >out 2>log || rc=$?
[ "$rc" = 11 ] || fail "another one of the same set beside it: $rc" log
say samara-seed jobs cancel "$job"
rc=0
wait $pid || rc=$?
[ "$rc" = 130 ] || fail "watch of a job that was cancelled ends with $rc" watched
grep -q 'go on with: samara-seed backup --max-upload none' "state/jobs/$(printf %08d "$job").out" ||
	fail "what a cancelled job says is not kept" "state/jobs/$(printf %08d "$job").out"
$backup --background --json --read-limit 100M >began 2>log || fail "go on in the background" began log
job=$(field began job)
say samara-seed jobs watch "$job"
grep -q '"state":"whole"' "state/jobs/$(printf %08d "$job").out" || fail "what it printed is not kept" "state/jobs/$(printf %08d "$job").out"
rc=0
samara-seed backup --background nowhere >out 2>log || rc=$?
[ "$rc" != 0 ] && [ "$rc" != 130 ] || fail "what cannot begin: $rc" log
grep -q 'S-1' log || fail "the error of a job that never began is not shown" log

# --- lvm by its command lines, and a real snapshot of btrfs

done='hooks, signals, background'
[ "$(id -u)" = 0 ] || { echo "$done; the rest needs root"; exit 0; }
# shellcheck source=tests/journey/lvm_stand_in.sh
. "$TOP/tests/journey/lvm_stand_in.sh"
rc=0
PATH=$WORK/bin:$PATH $backup --snapshot lvm "$WORK/src" >out 2>log || rc=$?
if ! grep -q 'does not lie on a volume' log; then
	[ "$rc" = 0 ] || fail "lvm: $rc" log lvm.log
	grep -qE '^lvremove --yes vg0/samara-[0-9a-f]+$' lvm.log || fail "lvremove" lvm.log
	[ ! -e lv ] && [ -z "$(ls state/views)" ] || fail "something is left of lvm"
	say samara-seed restore latest --to back4 --from line
	[ "$(cat "back4$WORK/src/a")" = still ] || fail "the live file was read, not the volume's snapshot"
	done="$done, lvm"
fi

command -v mkfs.btrfs >/dev/null && command -v btrfs >/dev/null || { echo "$done; no btrfs-progs"; exit 0; }
truncate -s 400M volume.img
mkdir top
mkfs.btrfs -q volume.img >log 2>&1 && mount -o loop volume.img top 2>log || { echo "$done; no btrfs here"; exit 0; }
top=top
btrfs subvolume create top/data >log
mkdir -p top/data/dir
btrfs subvolume create top/data/dir/nested >>log
echo nested >top/data/dir/nested/file
for i in 1 2 3 4 5; do head -c 300000 /dev/urandom >top/data/dir/$i; done
cat >marks <<'END'
#!/bin/sh
ls -a "$WORK/top/data" | grep -c '^\.samara' >>"$WORK/marks.log" || true
END
chmod +x marks
written=$(date +%s)
until [ "$(date +%s)" -gt $((written + 3)) ]; do sleep 0.05; done
say $backup --set tree --json --snapshot btrfs --before ./marks --after ./marks "$WORK/top/data"
[ "$(tr '\n' ' ' <marks.log)" = '0 0 ' ] || fail "the snapshot is there when it should not be" marks.log
ls -a top/data | grep '^\.samara' && fail "the snapshot is left"
say samara-seed restore latest:tree --to back5 --from line
for f in dir/1 dir/5 dir/nested/file; do cmp "top/data/$f" "back5$WORK/top/data/$f" || fail "$f"; done
echo more >top/data/more
say $backup --set tree --json
[ "$(field out read_bytes)" -lt 100000 ] || fail "unchanged files were read again" out
python3 -c 'import random; open("top/data/long", "wb").write(random.Random(8).randbytes(12000000))'
$backup --set tree --read-limit 200K --snapshot btrfs "$WORK/top/data" >out 2>log &
pid=$!
reads() { ls -d top/data/.samara-* && ls state/sets/tree/backup/items.*; }
until_so $pid reads || fail "it ended before it was killed" log
kill -KILL $pid
wait $pid 2>/dev/null || true
[ -n "$(ls -d top/data/.samara-*)" ] || fail "it was not killed in the middle"
say $backup --set tree --read-limit 1G
ls -a top/data | grep '^\.samara' && fail "the snapshot of the killed one is left"
nothing_left || fail "a note of the killed one is left"
say samara-seed restore latest:tree --to back6 --from line
cmp top/data/long "back6$WORK/top/data/long" || fail "long"
echo "$done, btrfs"
