#!/bin/sh
# sh tests/bench/line_bench.sh TREES [--runs N] [--only 'mixed tree'] [--tools DIR] [--keep-docs]
#
# Over a line: samara (`samara-import serve`, TLS), restic (over sftp: Debian has
# no rest-server before trixie) and borg (`borg serve` over ssh), each from a
# client to a server on this computer, on the trees that make_trees.sh made.
# Prints time and bytes on the line as ratios against what is aimed at.  Takes
# about seven minutes a run of the mixed tree at scale 1, and free space of
# three times the trees.
#
# All of it runs in a network namespace of its own, in which there are only
# loopback and the two servers.  Bytes on the line are those of IP packets to
# ("sent") and from ("received") the server's port, as a counter of nftables
# sees them, heads and acknowledgements too, the same for all three.  One real
# sshd serves restic and borg, as Debian configures it but for its port, keys and
# PAM.
#
# In each run every job goes through all tools one after the other before the
# next job begins, and they take turns in being first.  Everything is encrypted.
# Before each measurement what it reads is read once, so that the page cache is
# warm, and what others wrote is synced.  A job that fails ends the benchmark;
# what was restored is compared with the source in the first run.
#
# Needs root, restic, borgbackup, openssh-server, openssh-client, nftables,
# iproute2, time, python3 and what samara is built with.  Writes
# TREES/line-results.tsv (one line a measurement) and, but for --keep-docs, the
# figures in docs/benchmarks.md.
set -eu
unset CDPATH
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
export LC_ALL=C.UTF-8
program=line_bench.sh
. "$here/measure.sh"

usage() { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$here/line_bench.sh" >&2; exit 2; }

# Once more, where nobody else is on the line and what is mounted goes away by itself.
if [ "${1:-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || fail "needs root, for a network namespace and sshd"
	for p in unshare ip nft; do
		command -v "$p" >/dev/null || fail "$p is missing: apt-get install util-linux iproute2 nftables"
	done
	exec unshare --net --mount --propagation private sh "$here/line_bench.sh" --inside "$@"
fi
shift

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
for p in restic borg ssh /usr/sbin/sshd /usr/lib/openssh/sftp-server python3 /usr/bin/time; do
	command -v "$p" >/dev/null ||
	    fail "$p is missing: apt-get install restic borgbackup openssh-server openssh-client python3 time"
done

tools_build
PATH=$tools:$PATH

scratch=$trees/line-scratch
results=$trees/line-results.tsv
[ ! -e "$scratch" ] || fail "$scratch is there: another run, or one that was killed; then remove it"
mkdir "$scratch" "$scratch/source" "$scratch/source/now" "$scratch/over"
server='' sshd=''
leave() {
	rc=$?
	trap - EXIT INT TERM
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	[ -z "$sshd" ] || kill "$sshd" 2>/dev/null || :
	wait
	# What is mounted there are the trees themselves: read-only, and never removed with the rest.
	umount --lazy "$now" 2>/dev/null || :
	! mountpoint -q "$now" || fail "$now is still mounted; $scratch is left as it is"
	remove "$scratch"
	exit "$rc"
}
trap leave EXIT
trap 'exit 130' INT TERM

# Increments are compared by path, so the tree at hand always stands at one place.
now=$scratch/source/now
place() {
	umount --lazy "$now" 2>/dev/null || :
	! mountpoint -q "$now" || fail "$now is still mounted"
	mount --bind "$trees/$1" "$now"
	mount -o remount,bind,ro "$now"
}

# --- the line and what listens on it ---

ssh_port=22022 samara_port=8741

ip link set lo up
nft -f - <<END
table inet line {
	counter sent { }
	counter received { }
	chain seen {
		type filter hook input priority 0;
		tcp dport { $ssh_port, $samara_port } counter name sent
		tcp sport { $ssh_port, $samara_port } counter name received
	}
}
END
line_begin() { nft reset counters table inet line >/dev/null; }
# line_note JOB TOOL: what went over the line since line_begin
line_note() {
	for way in sent received; do
		note "$way:$1" "$2" "$(nft list counter inet line "$way" | sed -n 's/.* bytes \([0-9]*\).*/\1/p')"
	done
}

sshd_begin() {
	mkdir -p /run/sshd "$scratch/ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$scratch/ssh/host"
	ssh-keygen -q -t ed25519 -N '' -f "$scratch/ssh/id"
	cp "$scratch/ssh/id.pub" "$scratch/ssh/authorized"
	cat >"$scratch/ssh/sshd_config" <<-END
		Port $ssh_port
		ListenAddress 127.0.0.1
		HostKey $scratch/ssh/host
		AuthorizedKeysFile $scratch/ssh/authorized
		StrictModes no
		PermitRootLogin prohibit-password
		UsePAM no
		PidFile none
		Subsystem sftp /usr/lib/openssh/sftp-server
	END
	cat >"$scratch/ssh/config" <<-END
		Host line
		HostName 127.0.0.1
		Port $ssh_port
		User root
		IdentityFile $scratch/ssh/id
		IdentitiesOnly yes
		UserKnownHostsFile $scratch/ssh/known
		StrictHostKeyChecking accept-new
	END
	/usr/sbin/sshd -D -f "$scratch/ssh/sshd_config" 2>"$scratch/ssh/log" &
	sshd=$!
	until ssh -F "$scratch/ssh/config" line true 2>"$scratch/said" || ! kill -0 "$sshd" 2>/dev/null; do sleep 0.05; done
	kill -0 "$sshd" 2>/dev/null || { cat "$scratch/ssh/log" "$scratch/said" >&2; fail "sshd does not start"; }
}
serve_begin() {
	samara-import serve "$d/vault" --listen "127.0.0.1:$samara_port" --json >"$scratch/serve.out" 2>"$scratch/serve.log" &
	server=$!
	until grep -q listening "$scratch/serve.out" || ! kill -0 "$server" 2>/dev/null; do sleep 0.05; done
	kill -0 "$server" 2>/dev/null || { cat "$scratch/serve.log" >&2; fail "samara-import serve does not start"; }
}
serve_end() {
	kill "$server"
	wait "$server" || :
	server=''
}

# --- the tools: each has new, first, unchanged, restore, increment ---

samara_new() {
	samara-import create "$d/vault" --name bench --url "https://127.0.0.1:$samara_port" --key-copy "$d/vault-key"
	samara-import credential "$d/vault" bench --out "$d/credential"
	export SAMARA_STATE="$d/state" SAMARA_PASSPHRASE_FILE="$d/passphrase"
	samara-seed register "$d/credential" --offline --generate-passphrase "$d/passphrase" --kit "$d/kit"
	samara-seed policy set initial=network
	serve_begin
}
samara_first() { measure first samara samara-seed backup --max-upload none "$src"; }
samara_unchanged() { measure unchanged samara samara-seed backup "$src"; }
samara_increment() { measure increment samara samara-seed backup --ignore-inode --ignore-ctime --max-upload none "$src"; }
samara_restore() { measure restore samara samara-seed restore latest --from line --to "$out"; }
samara_there() { echo "$d/vault"; }

restic_line() {
	m_job=$1
	shift
	measure "$m_job" restic restic -o "sftp.command=ssh -F $scratch/ssh/config line -s sftp" "$@"
}
restic_new() {
	export RESTIC_PASSWORD=a-long-enough-passphrase RESTIC_REPOSITORY="sftp:line:$d/restic" RESTIC_CACHE_DIR="$d/restic-cache"
	restic -o "sftp.command=ssh -F $scratch/ssh/config line -s sftp" init
}
restic_first() { restic_line first backup "$src"; }
restic_unchanged() { restic_line unchanged backup "$src"; }
restic_increment() { restic_line increment backup --ignore-inode --ignore-ctime "$src"; }
restic_restore() { restic_line restore restore latest --target "$out"; }
restic_there() { echo "$d/restic"; }

borg_new() {
	export BORG_PASSPHRASE=a-long-enough-passphrase BORG_REPO="ssh://line$d/borg" BORG_BASE_DIR="$d/borg-base"
	export BORG_RSH="ssh -F $scratch/ssh/config"
	mkdir "$d/borg-base"
	borg init -e repokey-blake2
}
borg_first() { measure first borg borg create -C lz4 ::first "$src"; }
borg_unchanged() { measure unchanged borg borg create -C lz4 ::unchanged "$src"; }
borg_increment() { measure increment borg borg create -C lz4 --files-cache mtime,size ::second "$src"; }
borg_restore() { mkdir "$out" && measure restore borg sh -c 'cd "$1" && borg extract ::first' sh "$out"; }
borg_there() { echo "$d/borg"; }

# --- one run over one tree ---

new() { "${tool}_new" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; fail "$tool could not begin"; }; }
# job NAME: with what it reads warm, the line counted
job() {
	[ "$1" = restore ] || warm "$src"
	[ "$1" = first ] || warm "$("${tool}_there")"
	line_begin
	"${tool}_$1"
	line_note "$1" "$tool"
}
restore() {
	out=$scratch/restored
	job restore
	# Where the tree is in there: all three keep its whole path.
	[ "$run" -gt 1 ] || diff -rq --no-dereference "$src" "$out$src" || fail "$tool did not bring back what was there"
	# What is large goes, to have room.  Small files stay till the run's end: ext4
	# passes over each inode that was freed a short time ago, when it makes a new
	# one, and whoever restored next would pay for it.
	find "$out" -type f -size +1M -delete
	mv "$out" "$scratch/over/$tree-$tool"
}

one_tree() {
	d=$scratch/repositories
	mkdir "$d"
	place mixed
	src=$now
	[ "$tree" = mixed ] || src=$now/$tree
	note source - "$(bytes_below "$src")"
	for_each new
	for_each job first
	for_each job unchanged
	for_each restore
	place v2
	for_each job increment
	serve_end
	remove "$d"
}

sshd_begin
results_begin "$(restic version | awk '{ print $1, $2 }') over sftp, $(borg --version) over ssh, $(ssh -V 2>&1 | sed 's/,.*//')"
printf '# kind\tline\n' >>"$results"

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
