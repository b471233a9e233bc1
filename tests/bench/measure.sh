# What the benchmarks that run programs have in common; read by them with ".", never run.
#
# They set: scratch (a directory), results (a file), run, tree, tools_of_run (the tools, first to last in run 1).

fail() { echo "$program: $*" >&2; exit 1; }

# Nothing of whoever runs this goes into the tools.
for v in $(env | sed -n 's/^\(\(SAMARA\|RESTIC\|BORG\)_[A-Z_]*\)=.*/\1/p'); do
	unset "$v"
done

# trees_check: the trees are there
trees_check() {
	[ -d "$trees/mixed/tree" ] && [ -d "$trees/v2/tree" ] ||
	    fail "$trees has no mixed/tree and v2/tree: make them with tests/bench/make_trees.sh $trees"
}

# tools_build: the programs of $top as they are released, in $tools, unless that names some already
tools_build() {
	[ -z "$tools" ] || return 0
	tools=$top/build/bench
	cmake -S "$top" -B "$tools" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSAMARA_TESTS=OFF >/dev/null
	cmake --build "$tools" >/dev/null
}

bytes_below() { find "$@" -type f -printf '%s\n' | awk '{ s += $1 } END { printf "%.0f", s }'; }
# Where a file system discards what is freed at once, one rm waits for each file.
remove() { find "$@" -type f -print0 | xargs -0 -r -n 200 -P 16 rm -f; rm -rf "$@"; }
warm() { find "$@" -type f -print0 | xargs -0 cat >/dev/null; }

# measure JOB TOOL COMMAND...: run it; figures go to the results
measure() {
	m_job=$1 m_tool=$2
	shift 2
	sync
	/usr/bin/time -q -o "$scratch/time" -f '%e	%U	%S	%M' "$@" >"$scratch/said" 2>&1 </dev/null || {
		tail -n 20 "$scratch/said" >&2
		fail "$m_job on $tree failed: $*"
	}
	printf '%s\t%s\t%s\t%s\t%s\n' "$run" "$tree" "$m_job" "$m_tool" "$(cat "$scratch/time")" >>"$results"
	printf '  %-6s %-16s %-7s %s\n' "$tree" "$m_job" "$m_tool" "$(cat "$scratch/time")"
}
# note WHAT TOOL BYTES
note() { printf '%s\t%s\t%s\t%s\t%s\n' "$run" "$tree" "$1" "$2" "$3" >>"$results"; }

# The tools in the order of this run.
turns() {
	case $((run % 3)) in
	1) echo "samara restic borg" ;;
	2) echo "borg samara restic" ;;
	*) echo "restic borg samara" ;;
	esac
}
for_each() {
	for tool in $(turns); do
		"$@"
	done
}

# results_begin VERSIONS: an empty file of results, with what they are of
results_begin() {
	{
		printf '# date\t%s\n' "$(date -u +%Y-%m-%d)"
		printf '# commit\t%s%s\n' "$(git -C "$top" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)" \
		    "$(git -C "$top" diff --quiet HEAD -- common formats seed import verify 2>/dev/null || echo ', with changes')"
		printf '# machine\t%s, %s processors, %s MB, Linux %s, %s\n' \
		    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
		    "$(awk '/^MemTotal/ { printf "%d", $2 / 1000 }' /proc/meminfo)" "$(uname -r)" \
		    "$(stat -f -c %T "$trees")"
		printf '# versions\tsamara %s, %s\n' "$(samara-seed --version | awk '{ print $2; exit }')" "$1"
	} >"$results"
}
