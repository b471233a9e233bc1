#!/bin/sh
# The whole road with everything a Linux system can hold: source, disk, vault,
# and on a new machine from recovery kit and passphrase everything as it was.
# Then an increment on a second disk, which arrives first.  As root, then again
# as an ordinary user.
set -eu

here=$TOP/tests/journey
fail() { echo "$who: $1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
# run NAME STATUS COMMAND...: it ends so; what it says is in NAME.out and NAME.log
run() {
	name=$1 want=$2
	shift 2
	rc=0
	"$@" >"$name.out" 2>"$name.log" || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc instead of $want from: $*" "$name.out" "$name.log"
}
gone() { chmod -R u+rwX "$@" && rm -rf "$@"; }
same() { python3 "$here/compare_trees.py" "$@" >same.out 2>&1 || fail "compare $*" same.out; }

if [ "${1:-}" != inner ]; then
	who=$(id -un)
	sh "$0" inner "$WORK/own"
	if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
		mkdir other bin
		cp "$BUILD"/samara-seed "$BUILD"/samara-import "$BUILD"/samara-verify bin/
		cp -R "$here" tests
		chown 65534:65534 other
		chmod 755 "$WORK" bin tests
		mkdir -p other/home
		chown 65534:65534 other/home
		cp "$0" tests/
		PATH=$WORK/bin:$PATH HOME=$WORK/other/home XDG_STATE_HOME=$WORK/other/x XDG_CACHE_HOME=$WORK/other/y \
		    JOURNEY=$WORK/tests setpriv --reuid=65534 --regid=65534 --clear-groups sh tests/there_and_back.sh inner "$WORK/other/own"
	fi
	exit 0
fi
here=${JOURNEY:-$here}
mkdir "$2"
cd "$2"
who="uid $(id -u)"
SAMARA_STATE=$2/state
export SAMARA_STATE

python3 "$here/odd_tree.py" "$2/src" >odd.out
# What was made within the last two seconds is read again by the next build.
aged() { while [ -n "$(find src -newerct '3 seconds ago' -print -quit 2>/dev/null)" ]; do sleep 0.02; done; }
run create 0 samara-import create vault --name dc-north --key-copy key.copy
run credential 0 samara-import credential vault db1 --out db1.crd
run register 0 samara-seed register db1.crd --offline --generate-passphrase pass --kit kit.txt
cp -R vault vault.early

# --- to the disk, and is it whole there?

mkdir disk1
aged
run build 0 samara-seed build --plain-directory --to disk1 --passphrase-file pass "$2/src"
grep -q 'sealed: 1 disk' build.out || fail "no word about the seal" build.out build.log
run again 10 samara-seed build --resume --to disk1
run nokey 0 samara-verify disk disk1 --without-key --json
run quick 0 samara-verify disk disk1 --quick
run keyed 0 samara-verify disk disk1
run against 0 samara-verify snapshot "latest:$2/src" --from disk1 --against "$2/src"
run byhand 0 env SAMARA_STATE="$2/nostate" samara-verify disk disk1 --kit kit.txt --passphrase-file pass

# --- to the vault, which has no key

run ingest 0 samara-import ingest vault disk1
run twice 0 samara-import ingest vault disk1
run vault1 0 samara-verify vault vault --without-key
run vault2 0 samara-verify vault vault --quick
run vault3 0 samara-verify vault vault

# --- on a new machine: kit and passphrase, nothing else

new() { env SAMARA_STATE="$2/nostate" samara-seed restore "$1" --kit kit.txt --passphrase-file pass --to "$3" --from "$4" ${5:-}; }
run restore1 0 new latest "$2" new1 disk1
same src "new1$2/src"
[ ! -e nostate ] || fail "a restore made a state directory"
run restore2 0 new "latest:$2/src" "$2" new2 vault
same --inside src new2
gone new2

# --- a second disk with what changed

cd src
printf 'changed' >files/511
printf 'more' >>files/text
rm many/007 zz-a
mv names/'-rf' names/moved
printf 'new' >'names/new
one'
ln links/small links/other/third
chmod 751 modes/0755
setfattr -n user.n01 -v changed xattrs/file 2>/dev/null || true
ln -sf elsewhere links/dangling
rmdir empty-dir
touch -d '2001-02-03 04:05:06.789' files/65536
cd ..
mkdir disk2
run increment 0 samara-seed build --plain-directory --to disk2 --passphrase-file pass --json "$2/src"
python3 - increment.out <<'END' || fail "the increment" increment.out
import json, sys
s = [json.loads(line) for line in open(sys.argv[1])][-1]
assert s["sealed"] and s["unchanged"] > 450, s
assert s["read_bytes"] < 12 << 20 and s["stored_bytes"] < 12 << 20, s
END

# The second parcel arrives first: nothing is whole until the first is there too.
run early 3 samara-import ingest vault.early disk2
# The disk of the image that it leans on is asked for; without it the rest comes back.
run half 13 new latest "$2" new3 vault.early
run half 3 new latest "$2" new3 vault.early --no-more-disks
gone new3
run late 0 samara-import ingest vault.early disk1
run vault4 0 samara-verify vault vault.early
run second 0 samara-import ingest vault disk2
for v in vault vault.early; do
	run restore4 0 new "latest:$2/src" "$2" new4 $v
	same --inside src new4
	gone new4
done
# Both disks together, and the first snapshot out of the vault.
run restore5 0 env SAMARA_STATE="$2/nostate" samara-seed restore "latest:$2/src" --kit kit.txt --passphrase-file pass --to new5 \
    --from disk1 --from disk2
same --inside src new5
run list 0 env SAMARA_STATE="$2/nostate" samara-seed snapshots --from vault --kit kit.txt --passphrase-file pass --json
first=$(python3 -c 'import json, sys
print([json.loads(l) for l in open("list.out") if "snapshot" in l][0].get("id", ""))')
[ -n "$first" ] || fail "no first snapshot" list.out
run restore6 0 new "$first:$2/src" "$2" new6 vault
same --inside "new1$2/src" new6
echo "$who: a tree with everything in it, there and back; $(wc -l <odd.out) kinds left out"
