#!/bin/sh
# sh tests/fuzz/fuzz.sh [SECONDS] [NAME...]
#
# Builds the fuzz targets with clang and libFuzzer and runs each for SECONDS
# (default 20), or only those named.  What is new in coverage is kept in
# build/fuzz/found/NAME for the next run; an input that fails stays there too.
set -eu
unset CDPATH
cd "$(dirname "$0")/../.."
seconds=${1:-20}
[ $# -eq 0 ] || shift
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target fuzz_targets
failed=0
for target in build/fuzz/tests/fuzz/fuzz_*; do
	if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
	name=${target##*/}
	case " $* " in
	"  "|*" ${name#fuzz_} "*|*" $name "*) ;;
	*) continue ;;
	esac
	found=build/fuzz/found/$name
	mkdir -p "$found"
	echo "$name, $seconds s"
	if ! "$target" -max_total_time="$seconds" -max_len=65536 -timeout=20 -print_final_stats=0 \
	    -artifact_prefix="$found/../$name-" "$found" "tests/fuzz/corpus/$name" >"$found.log" 2>&1; then
		tail -n 40 "$found.log"
		failed=$((failed + 1))
	fi
done
echo "$failed failed"
[ "$failed" -eq 0 ]
