#!/bin/sh
# sh docs/quickstart.sh [DIR]
#
# The whole way of samara on your own files: build the three programs, make a
# vault, write DIR as an encrypted image onto a "disk", check it, damage a copy,
# write what changed, take both into the vault, bring everything back on a "new
# machine" that has the recovery kit and the passphrase and nothing else, and go on
# over the line: the vault is served on a port of this computer, for a moment.
#
# Disks, vault and machines are directories in ./samara-demo.  DIR is only read.
# Without DIR, a tree that every machine has is taken.
set -eu
unset CDPATH
top=$(cd "$(dirname "$0")/.." && pwd)
demo=$(pwd)/samara-demo
export LC_ALL=C
for v in $(env | sed -n 's/^\(SAMARA_[A-Z_]*\)=.*/\1/p'); do
	unset "$v"
done

case ${1:-} in
-*) sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; exit 2 ;;
esac
[ $# -le 1 ] || { echo "usage: sh docs/quickstart.sh [DIR]" >&2; exit 2; }

# ------------------------------------------------------------------ helpers

ms() { echo $(($(date +%s%N) / 1000000)); }
seconds() { awk -v ms="$1" 'BEGIN { s = ms / 1000; printf((s < 10) ? "%.1f s" : "%.0f s", s) }'; }
# size BYTES: for people
size() {
	awk -v b="$1" 'BEGIN { split("B kB MB GB TB", u, " "); i = 1
		while (b >= 1000 && i < 5) { b /= 1000; i++ }
		printf((i > 1 && b < 10) ? "%.1f %s" : "%.0f %s", b, u[i]) }'
}
speed() { awk -v b="$1" -v ms="$2" 'BEGIN { printf "%.0f MB/s", b / 1000 / (ms > 0 ? ms : 1) }'; }
count() { awk -v n="$1" 'BEGIN { s = sprintf("%d", n); while (match(s, /[0-9][0-9][0-9][0-9]($|,)/))
		s = substr(s, 1, RSTART) "," substr(s, RSTART + 1); print s }'; }
bytes_of() { du -sb "$@" 2>/dev/null | awk '{ s += $1 } END { printf "%.0f", s }'; }
disk_bytes() { du -s --block-size=1 "$@" 2>/dev/null | awk '{ s += $1 } END { printf "%.0f", s }'; }

step=''
# start NAME: what the next line is about
start() {
	step=$1
	began=$(ms)
}
# line TEXT [RIGHT]: the one line of this step
line() {
	printf '%-11s%-76s %s\n' "$step" "$1" "${2:-}"
}
# took: time since start
took() { seconds $(($(ms) - began)); }

fail() {
	echo
	echo "quickstart: the step \"$step\" failed: $1" >&2
	[ ! -s "$demo/log/$step" ] || { echo "what it said:" >&2; tail -n 30 "$demo/log/$step" | sed 's/^/    /' >&2; }
	[ ! -d "$demo/log" ] || echo "everything is still there in $demo (log/ has what each step said)" >&2
	exit 1
}
server=''
serve_end() { [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true; }
trap serve_end EXIT
trap 'echo; echo "stopped; what there is so far: rm -r $demo" >&2; exit 130' INT TERM

# run STATUSES COMMAND...: run it; its exit status must be one of STATUSES
run() {
	run_want=$1
	shift
	echo "\$ $*" >>"$demo/log/$step"
	run_rc=0
	"$@" </dev/null >>"$demo/log/$step" 2>&1 || run_rc=$?
	case " $run_want " in
	*" $run_rc "*) ;;
	*) fail "exit $run_rc from: $*" ;;
	esac
}

# inventory DIR OTHER-NAME: what is in it, one line an object, found without samara: type, mode,
# size, time, link target; a checksum for each file.  Sockets are no data.
inventory() (
	cd "$1"
	# As an ordinary user some things cannot be read, and foreign owners cannot be set.
	what='%P|%y|%m|%s|%T@|%l'
	[ "$(id -u)" -ne 0 ] || what='%P|%y|%m|%U:%G|%s|%T@|%l'
	prune=$demo
	{
		find . -mindepth 1 -path "./${prune#"$1"/}" -prune -o -type f -readable -printf "$what\0" \
		    -o -type d -readable -executable -printf '%P|%y|%m|%T@\0' \
		    -o ! -type f ! -type d ! -type s -printf "$what\0"
		find . -path "./${prune#"$1"/}" -prune -o -type f -readable -print0 | xargs -0 -r sha256sum -b -z
	} 2>/dev/null | tr '\n\0' '?\n' | sort
)

# ----------------------------------------------------------- what to work on

# A tree that every machine has, between 100 MB and 1 GB if there is one.
choose() {
	best='' best_size=0
	for d in /usr/share /usr/include /usr/lib/"$(uname -m)"-linux-gnu /usr/lib/python3 /usr/bin /etc; do
		[ -d "$d" ] || continue
		kb=$(du -sk "$d" 2>/dev/null | cut -f1)
		[ "$kb" -le 1000000 ] || continue
		[ "$kb" -lt 100000 ] || { echo "$d"; return; }
		if [ "$kb" -gt "$best_size" ]; then best=$d best_size=$kb; fi
	done
	echo "${best:-/etc}"
}
if [ $# -eq 1 ]; then
	[ -d "$1" ] || { echo "quickstart: $1 is not a directory" >&2; exit 2; }
	source=$(cd "$1" && pwd -P)
else
	source=$(choose)
fi

if [ -e "$demo" ]; then
	[ -e "$demo/made-by-quickstart" ] ||
	    { echo "quickstart: $demo is there and not mine; run this somewhere else" >&2; exit 1; }
	chmod -R u+rwX "$demo" 2>/dev/null || true
	rm -rf "$demo"
fi
mkdir "$demo" "$demo/log" || exit 1
demo=$(cd "$demo" && pwd -P)
echo "Made by docs/quickstart.sh of samara; remove it when you are done." >"$demo/made-by-quickstart"
chmod 700 "$demo"

# ------------------------------------------------------- packages and build

start packages
# shellcheck source=cmake/packages.sh
. "$top/cmake/packages.sh"
wanted=$(packages_missing build | wc -l)
packages_need build || { rm -rf "$demo"; exit 2; }
if [ "$wanted" -eq 0 ]; then wanted='all there'; else wanted="$wanted installed"; fi
line "$wanted" "$(took)"

start build
tools=$top/build/tools
mkdir -p "$tools" 2>/dev/null && [ -w "$tools" ] || tools=$demo/build
run 0 cmake -S "$top" -B "$tools" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSAMARA_TESTS=OFF
run 0 cmake --build "$tools"
line "samara-seed, samara-import, samara-verify" "$(took)"
PATH=$tools:$PATH

start files
files=$(find "$source" -path "$demo" -prune -o -type f -print 2>/dev/null | wc -l)
total=$(bytes_of --exclude="$demo" "$source")
free=$(df -Pk "$demo" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }')
if [ "$(awk -v f="$free" -v t="$total" 'BEGIN { print f < 4 * t + 2e8 }')" = 1 ]; then
	fail "$source has $(size "$total"); this needs up to four times that, and $(size "$free") are free here. Name a smaller DIR."
fi
line "$source: $(size "$total"), $(count "$files") files, and 20 of our own in samara-demo/diary" "$(took)"

# Our own little files, to have something that may be changed.
mkdir "$demo/diary"
for i in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20; do
	echo "Day $i: nothing happened." >"$demo/diary/day-$i.txt"
done

# What the machine has, and what someone else has: nothing.
machine() { SAMARA_STATE=$demo/machine/state SAMARA_PASSPHRASE_FILE=$demo/passphrase "$@"; }
stranger() { SAMARA_STATE=$demo/stranger/state "$@"; }
newcomer() { SAMARA_STATE=$demo/new-machine/state SAMARA_PASSPHRASE_FILE=$demo/passphrase "$@"; }
mkdir "$demo/machine" "$demo/stranger" "$demo/new-machine" "$demo/vaults" "$demo/disk1" "$demo/disk2"
vault=$demo/vaults/demo

# ------------------------------------------------------------- the way there

# A port of this computer that nobody listens on.
port_find() {
	port=$(($(date +%s) % 20000 + 20000))
	while cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qi ":$(printf %04x "$port") "; do port=$((port + 1)); done
}
start vault
port_find
run 0 samara-import create "$vault" --name demo --url "https://127.0.0.1:$port" --key-copy "$demo/vault-key-copy"
run 0 samara-import credential "$vault" laptop --out "$demo/laptop.credential"
line "\"demo\" created, its key backed up, credential for \"laptop\" (48 h)" "$(took)"

start register
run 0 machine samara-seed register "$demo/laptop.credential" --offline \
    --generate-passphrase "$demo/passphrase" --kit "$demo/kit.txt"
line "laptop, passphrase generated, recovery kit written" "$(took)"

# build_onto DISK: source and diary.  3 says that some files could not be read.
build_onto() {
	set -- samara-seed build --plain-directory --to "$1"
	case $demo/ in
	"$source"/*) set -- "$@" --exclude "/${demo#"$source"/}" ;;
	esac
	run '0 3' machine "$@" "$source" "$demo/diary"
}
start seed
build_onto "$demo/disk1"
ms=$(($(ms) - began))
unread=''
[ "$run_rc" -ne 3 ] || unread=", $(grep -oE '[0-9,]+ files? could not be read' "$demo/log/seed" | head -n 1) (see log/seed)"
image=$(find "$demo/disk1/samara" -mindepth 1 -maxdepth 1 -type d | sed 's|.*/||' | tr '[:lower:]' '[:upper:]')
line "$image-1 sealed: $(size "$(disk_bytes "$demo/disk1")"), read back$unread" "$(seconds $ms), $(speed "$total" $ms)"

start verify
run 0 stranger samara-verify disk "$demo/disk1"
line "without any key: every byte, every signature, every reference" "$(took)"

start damage
cp -al "$demo/disk1" "$demo/damaged" 2>/dev/null || { rm -rf "$demo/damaged"; cp -a "$demo/disk1" "$demo/damaged"; }
pack=$(find "$demo/damaged" -name '*.pk' | sort | awk '{ p[NR] = $0 } END { print p[int((NR + 1) / 2)] }')
[ -n "$pack" ] || fail "no pack on the disk"
cp "$pack" "$pack.copy" && rm "$pack" && mv "$pack.copy" "$pack"	# a file of its own, not the link
packs=$(find "$demo/damaged" -name '*.pk' | wc -l)
middle=$(($(stat -c %s "$pack") / 2))
printf 'a coffee stain' | dd of="$pack" bs=1 seek=$middle conv=notrunc status=none
run 0 stranger samara-verify disk "$demo/damaged" --repair-to "$demo/repaired"
name=${pack##*/}
grep -q "${name%.pk}" "$demo/log/damage" || fail "the damage was found, but not where: ${name%.pk} is not named"
run 0 diff -r "$demo/disk1/samara" "$demo/repaired/samara"
rm -rf "$demo/damaged" "$demo/repaired"
line "14 bytes of one of $packs packs of a copy overwritten: found in pack ${name%.pk}, repaired from parity, equal again" "$(took)"

start increment
for i in 03 07 11 19; do
	echo "Day $i, later: a disk was put into a parcel." >>"$demo/diary/day-$i.txt"
done
for i in 21 22 23; do
	echo "Day $i: the parcel is on its way." >"$demo/diary/day-$i.txt"
done
rm "$demo/diary/day-05.txt"
build_onto "$demo/disk2"
line "8 files changed \"while disk 1 is in the mail\": $(size "$(disk_bytes "$demo/disk2")") on disk 2" "$(took)"

start ingest
run 0 samara-import ingest "$vault" "$demo/disk1"
run 0 samara-import ingest "$vault" "$demo/disk2"
line "both disks; the vault holds $(size "$(disk_bytes "$vault")")" "$(took), $(speed "$(disk_bytes "$demo/disk1" "$demo/disk2")" $(($(ms) - began)))"

start checkup
run 0 stranger samara-verify vault "$vault"
line "the vault, without any key of laptop: complete" "$(took)"

# -------------------------------------------------------------- the way back

start refused
run '10 12' stranger samara-seed restore latest --from "$vault" --to "$demo/stolen"
echo wrong-passphrase-of-somebody >"$demo/stranger/guess"
run 12 stranger samara-seed restore latest --kit "$demo/kit.txt" --passphrase-file "$demo/stranger/guess" \
    --from "$vault" --to "$demo/stolen"
[ -z "$(ls -A "$demo/stolen" 2>/dev/null)" ] || fail "something was restored without the passphrase"
line "the vault cannot restore: it has no key; nor can the kit with a wrong passphrase" "$(took)"

# compare DIR: source and diary against what came back in DIR; says how many are equal
compare() {
	for tree in "$source" "$demo/diary"; do
		inventory "$tree" >"$demo/log/was"
		inventory "$1$tree" >"$demo/log/is"
		comm -23 "$demo/log/was" "$demo/log/is" >>"$demo/log/$step"
		wc -l <"$demo/log/was"
		comm -12 "$demo/log/was" "$demo/log/is" | wc -l
	done | awk 'NR % 2 { was += $1 } NR % 2 == 0 { same += $1 } END { print was, same }'
	rm -f "$demo/log/was" "$demo/log/is"
}
# back NAME FROM...: restore on the new machine, compare, one line
back() {
	start restore
	what=$1
	shift
	set -- samara-seed restore latest --kit "$demo/kit.txt" --to "$demo/restored" "$@"
	run '0 3' newcomer "$@"
	ms=$(($(ms) - began))
	result=$(compare "$demo/restored")
	was=${result% *} same=${result#* }
	verdict="$(count "$same") of $(count "$was") equal"
	if [ "$was" -ne "$same" ]; then
		moved=$(find "$source" -path "$demo" -prune -o -newer "$demo/made-by-quickstart" -print 2>/dev/null | head -n 1)
		[ -n "$moved" ] || fail "$((was - same)) files, names, times or links are not as they were (the end of log/restore)"
		verdict="$verdict (DIR changed meanwhile: $moved)"
	fi
	line "new machine, kit + passphrase, from $what: $verdict" "$(seconds $ms), $(speed "$total" $ms)"
}
back "the vault" --from "$vault"
chmod -R u+rwX "$demo/restored" && rm -rf "$demo/restored"
back "the two disks" --from "$demo/disk1" --from "$demo/disk2"

# ---------------------------------------------------------------- and then

start network
for i in 21 22 23; do
	echo "Day $i, later: the parcel arrived." >>"$demo/diary/day-$i.txt"
done
samara-import serve "$vault" --listen "127.0.0.1:$port" </dev/null >>"$demo/log/serve" 2>&1 &
server=$!
run '0 3' machine samara-seed backup
grep -q 'is at the vault' "$demo/log/network" || fail "the vault has no snapshot from the line"
sent=$(sed -n 's/.* unchanged, \(.*\) sent.*/\1/p' "$demo/log/network" | tail -n 1)
mkdir "$demo/again"
run 0 newcomer samara-seed restore latest --kit "$demo/kit.txt" --to "$demo/again" --from "$vault" "$demo/diary"
run 0 diff -r "$demo/diary" "$demo/again$demo/diary"
serve_end
wait "$server" || fail "the vault's server did not end well (log/serve)"
server=''
line "3 files changed, no disk: $sent over the line, and they come back" "$(took)"

step=''
cat <<END

("equal" compares names, contents, modes, times, links$([ "$(id -u)" -ne 0 ] || printf ', owners'), found with find and sha256sum, not with samara)

All of it is in $demo, $(size "$(disk_bytes "$demo")"): disk1, disk2, vaults, restored, and
the passphrase of this play in a file, where a real one never belongs.
Remove it:  rm -r $demo

Where to go next:
  $top/README.md           the same with real disks
  $top/docs/operations.md  for whoever keeps the machine or the vault
  $top/docs/threat-model.md
  $tools has the programs; try: samara-seed --help
END
