#!/bin/sh
# Every prototype in a header has a contract: a comment right above it, or above
# the run of prototypes, or the struct and its prototypes, without a blank line,
# that it speaks of.
set -eu
cd "$TOP"
find common formats seed import verify -name '*.h' | sort | xargs awk '
FNR == 1 { over = 0; deep = 0; comment = 0; going = 0 }
# A macro goes on while its lines end in a backslash, and is nothing of ours.
macro { macro = /\\$/; next }
/^#/ { macro = /\\$/; if (!/^#define/) over = 0; next }
comment { if (/\*\//) { comment = 0; over = 1 } next }
/^\/\*/ { comment = !/\*\//; over = !comment; next }
/^[ \t]*$/ { over = 0; next }
going { going = !/;[ \t]*(\/\*.*)?$/; next }
deep { deep += gsub(/\{/, "{") - gsub(/\}/, "}"); next }
/\{/ { deep += gsub(/\{/, "{") - gsub(/\}/, "}"); next }
/^(extern|typedef)/ || /^(struct|enum|union) [a-z_]+;/ { next }
/^[a-z].*[a-z_0-9*]\(/ {
	all++
	if (!over) {
		print FILENAME ":" FNR ": no contract: " $0
		bad++
	}
	going = !/;[ \t]*(\/\*.*)?$/
	next
}
END { print all " prototypes, " bad + 0 " without a contract"; exit bad > 0 }'
