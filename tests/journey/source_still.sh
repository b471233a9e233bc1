#!/bin/sh
# A source that is held still while it is walked: by a hook of one's own, by
# lvm (its programs are stood in for: what they are called with is compared);
# programs around the walk; nothing is left behind, after a kill either.
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir disk src src/sub snap
echo then >src/a
echo then >src/sub/b
build='samara-seed build --plain-directory --to disk --passphrase-file pass'

# --- programs around the walk, and a hook that copies

cat >around <<'END'
#!/bin/sh
echo "$(basename "$0") $SAMARA_SET $SAMARA_IMAGE" >>"$WORK/around.log"
[ ! -e "$WORK/refuse" ] || exit 3
END
chmod +x around
ln -s around before
ln -s around after
cat >hook <<'END'
#!/bin/sh
echo "$*" >>"$WORK/hook.log"
case $1 in
take) cp -a "$2" "$WORK/snap/copy"; echo now >"$2/a"; echo new >"$2/later"; echo "$WORK/snap/copy" ;;
remove) rm -rf "$WORK/snap/copy" ;;
esac
END
chmod +x hook
$build --snapshot hook --hook ./hook --before ./before --after ./after "$WORK/src" >log 2>&1 || fail "with a hook" log
[ "$(cat hook.log)" = "take $WORK/src
remove $WORK/src $WORK/snap/copy" ] || fail "how the hook was called" hook.log
[ "$(cut -d' ' -f1,2 around.log)" = "before files
after files" ] || fail "how the programs around were called" around.log
[ -z "$(ls snap)" ] && [ -z "$(ls state/views)" ] || fail "something is left behind"
samara-seed restore latest --to back --from disk >log 2>&1 || fail "restore" log
[ "$(cat "back$WORK/src/a")" = then ] || fail "the live file was read, not the snapshot's"
[ ! -e "back$WORK/src/later" ] || fail "what came later is in the snapshot"
[ "$(cat "back$WORK/src/sub/b")" = then ] || fail "below a directory of the snapshot"
[ "$(cat src/a)" = now ] || fail "the source"

# --- the one before fails: nothing is read, the one after still runs

: >refuse
: >around.log
rc=0
$build --full --before ./before --after ./after src >log 2>&1 || rc=$?
[ "$rc" = 1 ] || fail "a program before that fails: $rc" log
grep -q 'S-1109' log || fail "does not say why" log
[ "$(cut -d' ' -f1 around.log | tr '\n' ' ')" = 'before after ' ] || fail "around a failure" around.log
rm refuse

# --- resumed, it remembers what was asked for

: >around.log
samara-seed build --resume --to disk --passphrase-file pass >log 2>&1 || fail "resume" log
[ "$(cut -d' ' -f1 around.log | tr '\n' ' ')" = 'before after ' ] || fail "a resumed build forgets its hooks" around.log

# --- killed while the snapshot is there: the next build removes it, whatever it is

: >hook.log
head -c 20000000 /dev/urandom >src/long
$build --full --read-limit 200K --snapshot hook --hook ./hook "$WORK/src" >log 2>&1 &
pid=$!
reads() { grep -q take hook.log && ls state/images/*/items.* && [ -e snap/copy ] && [ -e src/later ]; }
until_so $pid reads || fail "it ended before it was killed" log
kill -KILL $pid
wait $pid 2>/dev/null || true
[ -e snap/copy ] || fail "it was not killed in the middle"
: >hook.log
samara-seed build --resume --read-limit 1G --to disk --passphrase-file pass >log 2>&1 || fail "after the kill" log
[ "$(cut -d' ' -f1 hook.log | tr '\n' ' ')" = 'remove take remove ' ] || fail "after a kill" hook.log
[ -z "$(ls snap)" ] && [ -z "$(ls state/views)" ] || fail "something is left behind after a kill"

# --- words that make no sense

for bad in '--snapshot zfs' '--snapshot hook' '--hook ./hook'; do
	rc=0
	$build --full $bad src >log 2>&1 || rc=$?
	[ "$rc" = 2 ] || fail "$bad: $rc" log
	! samara-seed images --json | grep -q '"building"' || fail "$bad: an image was begun"
done

# --- lvm: programs of our own in its place, and a small file system for the snapshot

[ "$(id -u)" = 0 ] || { echo "hooks; lvm needs root"; exit 0; }
# shellcheck source=tests/journey/lvm_stand_in.sh
. "$TOP/tests/journey/lvm_stand_in.sh"
rc=0
PATH=$WORK/bin:$PATH $build --full --snapshot lvm "$WORK/src" >log 2>&1 || rc=$?
if grep -q 'does not lie on a volume' log; then
	echo "hooks; the file system here has no device"
	exit 0
fi
[ "$rc" = 0 ] || fail "lvm: $rc" log lvm.log
grep -qE '^lvcreate --snapshot --extents 10%ORIGIN --permission r --name samara-[0-9a-f]+ vg0/data$' lvm.log || fail "lvcreate" lvm.log
grep -qE '^mount -o ro,nodev,nosuid,noexec /dev/vg0/samara-[0-9a-f]+ .*/state/views/[0-9a-f]+\.mnt$' lvm.log || fail "mount" lvm.log
grep -qE '^umount .*/state/views/[0-9a-f]+\.mnt$' lvm.log || fail "umount" lvm.log
grep -qE '^lvremove --yes vg0/samara-[0-9a-f]+$' lvm.log || fail "lvremove" lvm.log
[ ! -e lv ] && [ -z "$(ls state/views)" ] || fail "something is left of lvm"
samara-seed restore latest --to back2 --from disk >log 2>&1 || fail "restore" log
[ "$(cat "back2$WORK/src/a")" = still ] || fail "the live file was read, not the volume's snapshot"
echo "hooks, lvm by its command lines"
