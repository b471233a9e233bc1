#!/bin/sh
# Every header of samara compiles alone, twice in a row, without a warning: who
# includes it needs to know nothing else.
set -eu
cc=${CC:-cc}

# alone DIR HEADER
alone() {
	printf '#include "%s"\n#include "%s"\n' "$2" "$2" | "$cc" -x c -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wundef -Wcast-qual -Wvla \
	    -Werror -fsyntax-only -I "$1" -
}

# Bad ones are refused.
mkdir seeded
echo 'size_t needs_stddef(void);' >seeded/needs.h
echo 'struct twice { int a; };' >seeded/twice.h
for bad in needs twice; do
	if alone seeded "$bad.h" 2>/dev/null; then
		echo "did not catch seeded/$bad.h"
		exit 1
	fi
done

rc=0 n=0
cd "$TOP"
for header in $(find formats common seed import verify -name '*.h' | sort); do
	n=$((n + 1))
	alone "$TOP" "$header" || rc=1
done
echo "$n headers"
exit $rc
