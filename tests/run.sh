#!/bin/sh
# sh tests/run.sh [--only PART]... [--skip PART]... [--jobs N]
#
# Builds samara with sanitizers and runs every test; installs what is missing
# first (Debian 12, as root; otherwise names it and stops with 2).  The parts:
#
#   unit      the CMocka programs, under AddressSanitizer and UBSan
#   clang     everything compiles with clang without a warning
#   fuzz      each decoder's fuzz target, a short fixed number of runs
#   tsan      the tests that use threads, under ThreadSanitizer
#   journey   tests/journey/*.sh with the release tools
#   crash     power cuts replayed (10,000 at least), failing calls, flipped bits, release build
#   check     tests/check/*.sh: floors, headers, symbols, names, documents
#   package   the Debian packages, unpacked into a clean tree
#
# Each part builds in a directory of its own below build/.  The last line is
# "ok N, failed M, skipped K (which)"; the exit status is 0 only if M is 0.
set -eu
unset CDPATH
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
exec </dev/null

parts='unit clang fuzz tsan journey crash check package'
only='' skip=''
jobs=$(nproc 2>/dev/null || echo 2)
[ "$jobs" -le 8 ] || jobs=8

usage() {
	sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$top/tests/run.sh"
}
part_known() {
	case " $parts " in
	*" $1 "*) ;;
	*) echo "tests/run.sh: no part called \"$1\"; there are: $parts" >&2; exit 2 ;;
	esac
}
while [ $# -gt 0 ]; do
	case $1 in
	--only|--skip|--jobs)
		[ $# -ge 2 ] || { usage >&2; exit 2; }
		case $1 in
		--only) part_known "$2"; only="$only $2" ;;
		--skip) part_known "$2"; skip="$skip $2" ;;
		--jobs) jobs=$2 ;;
		esac
		shift 2 ;;
	--help|-h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done

# Nothing of the person who runs this leaks into the tests.
for v in $(env | sed -n 's/^\(SAMARA_[A-Z_]*\)=.*/\1/p'); do
	unset "$v"
done
export LC_ALL=C.UTF-8 CMOCKA_MESSAGE_OUTPUT=STDOUT
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

# shellcheck source=cmake/packages.sh
. "$top/cmake/packages.sh"
packages_need build test || exit 2

# A journey waits for much that is no work: files that must be some seconds old,
# limits, kills; so there is one more of them than there are cores.
journeys_at_once=$((jobs + 1))
# None of them takes longer than two minutes; what hangs is ended, and fails.
longest=1800

log=$top/build/log
mkdir -p "$log" || { echo "tests/run.sh builds below $top/build, which this user may not write" >&2; exit 2; }
n_ok=0 n_failed=0 n_skipped=0 skipped='' failed=''
now() { date +%s; }
began=$(now)

# result ok|failed|skipped COUNT NAME [WHY]
result() {
	case $1 in
	ok)	n_ok=$((n_ok + $2)) ;;
	failed)	n_failed=$((n_failed + $2))
		failed="$failed${failed:+, }$3" ;;
	skipped) n_skipped=$((n_skipped + $2))
		skipped="$skipped${skipped:+, }$3${4:+: $4}" ;;
	esac
}

# say STATE NAME [NOTE]: one line for one thing that was tried
say() {
	printf '%-8s%s%s\n' "$1" "$2" "${3:+  ($3)}"
}

# one STATE NAME [NOTE]: say it and count it
one() {
	say "$@"
	result "$1" 1 "$2" "${3:-}"
}

# build PRESET [cmake -D...] [-- TARGET...]: configure and build; the log's end on failure
build() {
	build_preset=$1
	shift
	build_log=$log/build-$build_preset.log
	build_args=''
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		build_args="$build_args $1"
		shift
	done
	[ $# -eq 0 ] || shift
	# shellcheck disable=SC2086 # -D options without blanks
	if cmake --preset "$build_preset" -DSAMARA_WERROR=ON $build_args >"$build_log" 2>&1 &&
	    cmake --build --preset "$build_preset" -j "$jobs" ${1:+--target "$@"} >>"$build_log" 2>&1; then
		return 0
	fi
	grep -E '(error|warning):|undefined reference|CMake Error|Missing|apt-get' "$build_log" | head -n 20 || true
	echo "all of it is in build/log/${build_log##*/}"
	return 1
}

# tally OUTPUT LASTTEST.LOG: add up what the programs said.  A CMocka program
# counts each of its tests, any other program counts as one; only ctest's own
# output says which program skipped itself altogether.
tally() {
	awk '
	function close_program() {
		if (name == "") return
		f = 0; for (t in bad) f++
		s = 0; for (t in left) { s++; print "S", name "/" t }
		if (name in skips) { print "S", name; name = ""; return }
		if (state == "fail" && f == 0) f = 1
		if (state == "pass" && good == 0 && s == 0) good = 1
		print "N", good + 0, f
		if (state == "fail") print "F", name
		name = ""
	}
	FNR == NR {
		if (/\*\*\*Skipped/) { sub(/.*Test +#[0-9]+: /, ""); sub(/ .*/, ""); skips[$0] = 1 }
		next
	}
	/^[0-9]+\/[0-9]+ Test: / {
		close_program(); name = $3; good = 0; state = "fail"
		delete bad; delete left; next
	}
	/\[       OK \]/ { good++ }
	/\[  FAILED  \]/ && !/test\(s\)/ { sub(/.*\[  FAILED  \] /, ""); bad[$0] = 1 }
	/\[  SKIPPED \]/ && !/test\(s\)/ { sub(/.*\[  SKIPPED \] /, ""); left[$0] = 1 }
	/^Test Passed\./ { state = "pass" }
	END { close_program() }' "$1" "$2"
}

# programs BUILD-DIR ctest-options...: run registered tests and count them
programs() {
	programs_dir=$1
	shift
	rm -f "$programs_dir/Testing/Temporary/LastTest.log"
	ctest --test-dir "$programs_dir" -j "$jobs" --output-on-failure --no-label-summary --no-tests=ignore \
	    "$@" 2>&1 | tee "$log/ctest.out"
	[ -e "$programs_dir/Testing/Temporary/LastTest.log" ] || return 0
	tally "$log/ctest.out" "$programs_dir/Testing/Temporary/LastTest.log" >"$log/tally"
	while read -r kind a b; do
		case $kind in
		N) result ok "$a" - ; n_failed=$((n_failed + b)) ;;
		S) result skipped 1 "$a" ;;
		F) failed="$failed${failed:+, }$a" ;;
		esac
	done <"$log/tally"
}

# script NAME COMMAND...: a test that is a program; 77 is "skipped", its last line the reason
script() {
	script_began=$(now)
	script_log=$(log_of "$1")
	script_run "$@"
	script_end "$1" "$script_rc" $(($(now) - script_began))
}
log_of() { echo "$log/$(echo "$1" | tr '/ ' '--').log"; }

# script_run NAME COMMAND...: its exit status in $script_rc, what it says in its log
script_run() {
	script_log=$(log_of "$1")
	shift
	script_rc=0
	timeout -k 60 "$longest" "$@" >"$script_log" 2>&1 || script_rc=$?
}

# script_end NAME STATUS SECONDS: say and count how it ended
script_end() {
	script_log=$(log_of "$1")
	case $2 in
	0)	one ok "$1" "$3 s" ;;
	77)	one skipped "$1" "$(tail -n 1 "$script_log")" ;;
	*)	why="exit $2"
		[ "$2" != 124 ] || why="not over after $longest s"
		one failed "$1" "$why, all of it in build/log/${script_log##*/}"
		tail -n 60 "$script_log" | sed 's/^/    /' ;;
	esac
}

# Scripts that run beside each other: at_once N NAME COMMAND... begins one as
# soon as fewer than N run, all_over waits for the rest.  Each says that it has
# ended by one line in a pipe, and is told of and counted here, one by one.
at_once_running=0
at_once() {
	at_once_most=$1
	shift
	while [ "$at_once_running" -ge "$at_once_most" ]; do one_over; done
	(
		script_began=$(now)
		script_run "$@"
		printf '%s %s %s\n' "$script_rc" $(($(now) - script_began)) "$1" >&9
	) &
	at_once_running=$((at_once_running + 1))
}
one_over() {
	read -r over_rc over_took over_name <&9
	at_once_running=$((at_once_running - 1))
	script_end "$over_name" "$over_rc" "$over_took"
}
all_over() { while [ "$at_once_running" -gt 0 ]; do one_over; done; }
rm -f "$log/over"
mkfifo "$log/over"
exec 9<>"$log/over"

part_unit() {
	# Warnings are the release build's and clang's: what gcc guesses at -O1 is none.
	build asan -DSAMARA_WERROR=OFF || { one failed "unit: build with AddressSanitizer"; return; }
	programs build/asan
}

part_clang() {
	# Its warnings do not depend on how it optimizes, and the time does.
	if build clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0; then
		one ok "clang: builds without a warning"
	else
		one failed "clang: build"
	fi
}

part_fuzz() {
	ls tests/fuzz/fuzz_*.c >/dev/null 2>&1 || return 0
	build fuzz -DSAMARA_TESTS=ON -- fuzz_targets || { one failed "fuzz: build"; return; }
	for target in build/fuzz/tests/fuzz/fuzz_*; do
		if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
		name=${target##*/}
		mkdir -p "build/fuzz/found/$name"
		corpus=tests/fuzz/corpus/$name
		[ -d "$corpus" ] || corpus=''
		runs=${FUZZ_RUNS:-20000}
		[ "$name" != fuzz_serve ] || runs=$((runs / 10))	# each may be a whole session with a vault
		# shellcheck disable=SC2086 # may be empty
		script "fuzz $name" "$target" -runs="$runs" -seed=1 -max_len=65536 -timeout=20 \
		    -artifact_prefix="build/fuzz/found/$name-" "build/fuzz/found/$name" $corpus
	done
}

part_tsan() {
	cmake --preset tsan >"$log/build-tsan.log" 2>&1 ||
	    { tail -n 15 "$log/build-tsan.log"; one failed "tsan: configure"; return; }
	threaded=$(ctest --test-dir build/tsan -N -L tsan | sed -n 's/^ *Test *#[0-9]*: *//p')
	[ -n "$threaded" ] || return 0
	# shellcheck disable=SC2086 # a list of names
	build tsan -DSAMARA_WERROR=OFF -- $threaded || { one failed "tsan: build"; return; }
	programs build/tsan -L tsan
}

need_release() {
	[ -z "${release_built:-}" ] || return "$release_built"
	release_built=0
	build release || release_built=1
	return "$release_built"
}

long_journeys='line_faults line_kills line_cuts line_hostile quickstart_runs hostile_disk repair swapped_disks there_and_back resume real_disks many_disks bad_targets'
part_journey() {
	begun=''
	need_release || { one failed "journey: release build"; return; }
	# The long ones first, so that none of them is left over at the end.
	for name in $long_journeys $(for j in tests/journey/*.sh; do echo "${j##*/}"; done); do
		name=${name%.sh}
		case " $begun " in
		*" $name "*) continue ;;
		esac
		begun="$begun $name"
		[ "$(head -c 2 "tests/journey/$name.sh")" = '#!' ] || continue		# a part of others
		at_once "$journeys_at_once" "journey $name" sh tests/with-tools.sh build/release "tests/journey/$name.sh"
	done
	all_over
}

least_cuts=10000
# They make and remove thousands of small trees, and what a sync does they know
# themselves: in memory where there is room, the disk only holds them up.
part_crash() {
	need_release || { one failed "crash: release build"; return; }
	if [ -w /dev/shm ] && [ "$(df -P -k /dev/shm | awk 'END { print $4 + 0 }')" -gt 4000000 ]; then
		TMPDIR=/dev/shm programs build/release -L crash
	else
		programs build/release -L crash
	fi
	cuts=$(awk '/^\[ RUN/ { counts = $4 ~ /^every_power_cut/ }
		counts && / states$/ { n += $(NF - 1) }
		END { print n + 0 }' build/release/Testing/Temporary/LastTest.log 2>/dev/null || echo 0)
	if [ "$cuts" -ge "$least_cuts" ]; then
		one ok "crash: power cuts replayed" "$cuts"
	else
		one failed "crash: power cuts replayed" "$cuts of at least $least_cuts"
	fi
}

part_check() {
	need_release || { one failed "check: release build"; return; }
	for check in tests/check/*.sh; do
		name=${check##*/}
		[ "$name" != packaging.sh ] || continue
		script "check ${name%.sh}" sh tests/with-tools.sh build/release "$check"
	done
}

part_package() {
	need_release || { one failed "package: release build"; return; }
	script "package" sh tests/with-tools.sh build/release tests/check/packaging.sh
}

for part in $parts; do
	case " $only " in
	'  ' | *" $part "*) ;;
	*) continue ;;
	esac
	case " $skip " in
	*" $part "*) result skipped 1 "$part" "asked for"; continue ;;
	esac
	part_began=$(now)
	printf '== %s\n' "$part"
	"part_$part"
	printf '== %s: %d s\n' "$part" "$(($(now) - part_began))"
done

took=$(($(now) - began))
printf 'took %d min %d s\n' $((took / 60)) $((took % 60))
[ -z "$failed" ] || printf 'failed: %s\n' "$failed"
printf 'ok %d, failed %d, skipped %d%s\n' "$n_ok" "$n_failed" "$n_skipped" "${skipped:+ ($skipped)}"
[ "$n_failed" -eq 0 ]
