#!/bin/bash
# slow_disks.sh BUILD-DIR [--only parity|spread] [--rate MB/s] [--spread-rate MB/s] [--spread-mb MB]
#
# What depends on the speed of a disk, on block devices of a known speed: files in
# memory behind nbdkit's rate filter, nbdfuse and a loop device, ext4 on it.
#
#   parity   bench_parity on one disk of --rate (200): reading back with and without parity.  Reads and
#            writes are limited apart, so that what is written costs less time than a disk would take
#   spread   a build of --spread-mb (1000) of noise onto 1, 2 and 4 disks of --spread-rate (5) at
#            once, without reading back
#
# Root, nbdkit and libnbd-bin are needed, and BUILD-DIR built with -DSAMARA_BENCH=ON.
# Prints tables; a machine that is busy makes them worse.
set -euo pipefail

usage() { sed -n '2,/^set -euo/{/^set -euo/d;s/^# \{0,1\}//;p;}' "$0" >&2; exit 2; }

[ $# -ge 1 ] || usage
build=$(cd "$1" && pwd); shift
only=; rate=200 spread_rate=5 spread_mb=1000
while [ $# -gt 0 ]; do
	case $1 in
	--only) only=$2 ;;
	--rate) rate=$2 ;;
	--spread-rate) spread_rate=$2 ;;
	--spread-mb) spread_mb=$2 ;;
	*) usage ;;
	esac
	shift 2
done
[ "$(id -u)" = 0 ] || { echo "slow_disks.sh: devices need root" >&2; exit 2; }
for tool in nbdkit nbdfuse losetup mkfs.ext4; do
	command -v "$tool" >/dev/null || { echo "slow_disks.sh: $tool is missing (nbdkit, libnbd-bin, e2fsprogs)" >&2; exit 2; }
done
PATH=$build:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/samara-slow.XXXXXX")
loops=() disks=()

until_true() {	# until_true COMMAND...: at most ten seconds
	local end=$((SECONDS + 10))
	until "$@" 2>/dev/null || [ "$SECONDS" -gt "$end" ]; do sleep 0.05; done
	[ "$SECONDS" -le "$end" ] || { echo "slow_disks.sh: not in time: $*" >&2; exit 1; }
}

disks_remove() {
	for d in ${disks[@]+"${disks[@]}"}; do
		until_true umount "$d/mnt"
	done
	for l in ${loops[@]+"${loops[@]}"}; do
		losetup -d "$l" 2>/dev/null || true
	done
	for d in ${disks[@]+"${disks[@]}"}; do
		kill "$(cat "$d/nbdkit.pid")" 2>/dev/null || true
		fusermount3 -u "$d/file" 2>/dev/null || umount -l "$d/file" 2>/dev/null || true
		rm -rf "$d"
	done
	loops=() disks=()
}
trap 'disks_remove; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

disk_add() {	# disk_add NAME MB MB/s: $work/NAME/mnt
	local d=$work/$1 loop
	mkdir -p "$d/file" "$d/mnt"
	nbdkit -U "$d/socket" -P "$d/nbdkit.pid" --filter=rate memory "$2M" "rate=$(($3 * 8 * 1000000))" burstiness=0.2
	until_true test -S "$d/socket"
	nbdfuse "$d/file" "nbd+unix://?socket=$d/socket" &
	until_true test -f "$d/file/nbd"
	loop=$(losetup --direct-io=on -f --show "$d/file/nbd")
	loops+=("$loop") disks+=("$d")
	mkfs.ext4 -q -m 0 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 -T largefile4 "$loop"
	mount "$loop" "$d/mnt"
}

parity() {
	echo "one disk of $rate MB/s"
	disk_add one 2600 "$rate"
	bench_parity=$build/tests/bench/bench_parity
	[ -x "$bench_parity" ] || { echo "slow_disks.sh: $bench_parity is not there (-DSAMARA_BENCH=ON)" >&2; exit 2; }
	"$bench_parity" "$work/one/mnt" 100
	disks_remove
}

spread_once() {	# spread_once N: seconds
	local n=$1 to=() began
	for i in $(seq "$n"); do
		disk_add "d$i" $((spread_mb * 2 + 500)) "$spread_rate"
		to+=(--to "$work/d$i/mnt")
	done
	began=$(date +%s.%N)
	samara-seed build --set "s$n" --full --no-read-back --no-progress -q --spread "${to[@]}" "$work/source" >"$work/build.out" 2>&1 ||
		{ cat "$work/build.out" >&2; exit 1; }
	awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f\n", b - a }'
	disks_remove
}

spread() {
	local first='' n s
	printf '%s MB of noise onto disks of %s MB/s\n' "$spread_mb" "$spread_rate"
	mkdir -p "$work/source" "$work/vaults"
	head -c "$((spread_mb * 1000000))" /dev/urandom >"$work/source/noise"
	export SAMARA_STATE=$work/state
	head -c 24 /dev/urandom | base64 >"$work/passphrase"
	export SAMARA_PASSPHRASE_FILE=$work/passphrase
	samara-import create "$work/vaults/v" --name slow --key-copy "$work/key-copy" >/dev/null 2>&1
	samara-import credential "$work/vaults/v" slow --out "$work/credential" >/dev/null
	samara-seed register "$work/credential" --offline --kit "$work/kit" >/dev/null
	for n in 1 2 4; do
		s=$(spread_once "$n")
		first=${first:-$s}
		awk -v n="$n" -v s="$s" -v f="$first" 'BEGIN { printf "%d disks  %6.1f s  %.2f times as fast as one\n", n, s, f / s }'
	done
	rm -rf "$work/source"
}

if [ "$only" != spread ]; then parity; fi
if [ "$only" != parity ]; then spread; fi
