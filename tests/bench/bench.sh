#!/bin/sh
# sh tests/bench/bench.sh TREES [--runs N] [--only mixed|tree] [--tools DIR] [--keep-docs]
#
# Runs samara, restic and borg in turn on the trees that make_trees.sh made and
# prints time, CPU, memory and size as ratios against what is aimed at.  Takes
# about a quarter of an hour a run at scale 1, and free space of four times the trees.
#
# In each run every job goes through all tools one after the other before the
# next job begins, and they take turns in being first.  Everything is encrypted.
# Before each measurement what it reads is read once, so that the page cache is
# warm, and what others wrote is synced.  A job that fails ends the benchmark;
# what was restored is compared with the source in the first run.
#
# Needs restic, borgbackup, time, python3 and what samara is built with.
# Writes TREES/bench-results.tsv (one line a measurement) and, but for
# --keep-docs, the figures in docs/benchmarks.md.
set -eu
unset CDPATH
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
export LC_ALL=C.UTF-8
program=bench.sh
. "$here/measure.sh"

usage() { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$here/bench.sh" >&2; exit 2; }

runs=3 which='mixed tree' tools='' docs=1 trees=''
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=${2:?}; shift ;;
	--only) which=${2:?}; shift ;;
	--tools) tools=$(cd "${2:?}" && pwd); shift ;;
	--keep-docs) docs=0 ;;
	-*) usage ;;
	*) [ -z "$trees" ] || usage; trees=$1 ;;
	esac
	shift
done
[ -n "$trees" ] || usage
trees=$(cd "$trees" && pwd -P)
trees_check
for p in restic borg python3 /usr/bin/time; do
	command -v "$p" >/dev/null || fail "$p is missing: apt-get install restic borgbackup time python3"
done

tools_build
PATH=$tools:$PATH

scratch=$trees/bench-scratch
results=$trees/bench-results.tsv
[ ! -e "$scratch" ] || fail "$scratch is there: another run, or one that was killed.  If it was killed: mv what is in
$scratch/source back beside $trees/mixed, and remove $scratch"
mkdir "$scratch" "$scratch/source" "$scratch/over"
here_now=''

# Increments are compared by path, so the tree at hand always stands at one place.
now=$scratch/source/now
place() {
	[ "$here_now" != "$1" ] || return 0
	[ -z "$here_now" ] || mv "$now" "$trees/$here_now"
	here_now=''
	[ -z "$1" ] || { mv "$trees/$1" "$now"; here_now=$1; }
}
leave() {
	rc=$?
	trap - EXIT INT TERM
	place ''
	rm -rf "$scratch"
	exit "$rc"
}
trap leave EXIT
trap 'exit 130' INT TERM

# --- the tools: each has new, build, check, blind, restore, increment ---

samara_new() {
	samara-import create "$d/vault" --name bench --key-copy "$d/vault-key"
	samara-import credential "$d/vault" bench --out "$d/credential"
	export SAMARA_STATE="$d/state" SAMARA_PASSPHRASE_FILE="$d/passphrase"
	samara-seed register "$d/credential" --offline --generate-passphrase "$d/passphrase" --kit "$d/kit"
	mkdir "$d/disk1" "$d/disk2" "$d/disk3"
}
samara_build() { measure "${2:-build}" samara samara-seed build --plain-directory --no-read-back --to "$d/disk$1" "$src"; }
samara_increment() {
	measure increment samara samara-seed build --plain-directory --no-read-back \
	    --ignore-inode --ignore-ctime --to "$d/disk2" "$src"
}
samara_check() { measure check samara samara-verify disk "$d/disk1"; }
samara_blind() { measure blind samara samara-verify disk --without-key "$d/disk1"; }
samara_restore() { measure restore samara samara-seed restore latest --from "$d/disk1" --to "$out"; }
samara_size() { bytes_below "$d"/disk*; }

restic_new() {
	export RESTIC_PASSWORD=a-long-enough-passphrase RESTIC_REPOSITORY="$d/restic" RESTIC_CACHE_DIR="$d/restic-cache"
	restic init
}
restic_build() { measure build restic restic backup "$src"; }
restic_increment() { measure increment restic restic backup --ignore-inode --ignore-ctime "$src"; }
restic_check() { measure check restic restic check --read-data; }
restic_blind() { :; }
restic_restore() { measure restore restic restic restore latest --target "$out"; }
restic_size() { bytes_below "$d/restic"; }

borg_new() {
	export BORG_PASSPHRASE=a-long-enough-passphrase BORG_REPO="$d/borg" BORG_BASE_DIR="$d/borg-base"
	mkdir "$d/borg-base"
	borg init -e repokey-blake2
}
borg_build() { measure build borg borg create -C lz4 ::first "$src"; }
borg_increment() { measure increment borg borg create -C lz4 --files-cache mtime,size ::second "$src"; }
borg_check() { measure check borg borg check --verify-data; }
borg_blind() { :; }
borg_restore() { mkdir "$out" && measure restore borg sh -c 'cd "$1" && borg extract ::first' sh "$out"; }
borg_size() { bytes_below "$d/borg"; }

cp_restore() { measure restore cp cp -a "$src" "$out"; }

# --- one run over one tree ---

new() { "${tool}_new" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; fail "$tool could not begin"; }; }
build() {
	warm "$src"
	"${tool}_build" 1
	note size "$tool" "$("${tool}_size")"
}
check() {
	warm_repository
	"${tool}_check"
	"${tool}_blind"
}
increment() {
	before=$("${tool}_size")
	warm "$src"
	"${tool}_increment"
	note added "$tool" $(($("${tool}_size") - before))
}
restore() {
	out=$scratch/restored
	[ "$tool" = cp ] || warm_repository
	"${tool}_restore"
	# Where the tree is in there: samara, restic and borg keep its whole path.
	[ "$tool" = cp ] || [ "$run" -gt 1 ] || diff -rq --no-dereference "$src" "$out$src" ||
	    fail "$tool did not bring back what was there"
	# What is large goes, to have room.  Small files stay till the run's end: ext4
	# passes over each inode that was freed a short time ago, when it makes a new
	# one, and whoever restored next would pay for it.
	find "$out" -type f -size +1M -delete
	mv "$out" "$scratch/over/$tree-$tool"
}
warm_repository() {
	case $tool in
	samara) warm "$d"/disk* ;;
	*) warm "$d/$tool" ;;
	esac
}

one_tree() {
	d=$scratch/repositories
	mkdir "$d"
	place mixed
	src=$now
	[ "$tree" = mixed ] || src=$now/$tree
	note source - "$(bytes_below "$src")"
	for_each new
	for_each build
	for_each check
	warm "$src"
	tool=cp
	restore
	for_each restore
	place v2
	for_each increment
	# What reading back from the medium adds: a whole image again, onto the third disk.
	place mixed
	warm "$src"
	measure read-back-build samara samara-seed build --full --plain-directory --to "$d/disk3" "$src"
	remove "$d"
}

results_begin "$(restic version | awk '{ print $1, $2 }'), $(borg --version), cp of coreutils $(cp --version | awk '{ print $NF; exit }')"

run=1
while [ "$run" -le "$runs" ]; do
	for tree in $which; do
		echo "run $run of $runs, $tree (seconds, of CPU in user space, in the kernel, KB)"
		one_tree
	done
	remove "$scratch"/over/*
	run=$((run + 1))
done

python3 "$here/bench_report.py" "$results"
[ "$docs" -eq 0 ] || python3 "$here/bench_report.py" --into "$top/docs/benchmarks.md" "$results" >/dev/null
