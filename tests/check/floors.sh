#!/bin/sh
# Who may include whom (docs/design.md, "The house"): sideways in the own
# folder, down, or to formats/; never up, never between two rooms of one floor.
# An outside library's headers stand in its own room alone and in no header of
# samara.  formats/ knows nothing but memory.  The check first shows that it
# catches each of these in a small tree of its own.
set -eu

# includes DIR: file, kind (q or a) and header of every #include of the product
includes() {
	(cd "$1" && find formats common seed import verify -name '*.[ch]' 2>/dev/null | sort |
	    xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null)
}

# floors DIR: print each include that should not be; 1 if there is one
floors() {
	includes "$1" | awk '
	BEGIN {
		rank["formats"] = -1; rank["common/base"] = 0
		rank["common/crypto"] = rank["common/chunk"] = rank["common/walk"] = 1
		rank["common/catalog"] = rank["common/net"] = 1
		rank["common/pack"] = 2
		rank["common/disk"] = rank["common/store"] = 3
		rank["common/check"] = 4; rank["common/flow"] = 5
		rank["seed"] = rank["import"] = rank["verify"] = 6

		home["sodium"] = "common/base common/crypto"
		home["blake3"] = "common/crypto"
		home["zstd"] = home["zdict"] = home["xxhash"] = "common/chunk"
		home["sqlite3"] = "common/catalog"
		home["archive"] = home["archive_entry"] = "common/walk"
		home["jansson"] = "common/base"
		home["isa-l"] = "common/pack"
		home["microhttpd"] = home["curl"] = home["gnutls"] = "common/net"
		home["blkid"] = home["libmount"] = "common/disk"

		split("assert inttypes limits stdalign stdbool stddef stdint string", w, " ")
		for (i in w) plain[w[i]] = 1
	}
	function room(path,   p) {
		split(path, p, "/")
		return p[1] == "common" ? "common/" p[2] : p[1]
	}
	function bad(why) {
		printf "%s: #include %s: %s\n", place, header, why
		rc = 1
	}
	{
		file = $0; sub(/:.*/, "", file)
		place = $0; sub(/:[ \t]*#.*/, "", place)
		header = $0; sub(/.*#[ \t]*include[ \t]*/, "", header)
		name = header; sub(/^["<]/, "", name); sub(/[">].*/, "", name)
		from = room(file)
		if (!(from in rank)) { bad("\"" from "\" is no room of the house"); next }
		if (header ~ /^</) {
			lib = name; sub(/\.h$/, "", lib); sub(/\/.*/, "", lib)
			if (lib in home) {
				if (index(" " home[lib] " ", " " from " ") == 0)
					bad("belongs in " home[lib])
				else if (file ~ /\.h$/)
					bad("an outside library in a header")
			}
			if (from == "formats" && !(name ~ /\.h$/ && lib in plain))
				bad("formats knows nothing but memory")
			next
		}
		to = room(name)
		if (!(to in rank) || name !~ /\//) bad("not a path from the top")
		else if (to != from && rank[to] > rank[from]) bad("up")
		else if (to != from && rank[to] == rank[from]) bad("between two rooms of one floor")
	}
	END { exit rc }'
}

# caught FILE LINE: floors must object to this line in this file, and to nothing without it
caught() {
	rm -rf seeded
	mkdir -p seeded/formats "seeded/$(dirname "$1")"
	printf '#include <stdint.h>\n#include "formats/fmt.h"\n' | tee seeded/formats/good.c \
	    >"seeded/$(dirname "$1")/good.h"
	[ "$1" = common/cellar/x.c ] || floors seeded >seeded.out ||
	    { echo "objects to a good file:"; cat seeded.out; exit 1; }
	printf '%s\n' "$2" >"seeded/$1"
	if floors seeded >seeded.out; then
		echo "did not catch in $1: $2"
		exit 1
	fi
	n=$((n + 1))
}
n=0
caught common/base/x.c '#include "common/crypto/key.h"'
caught common/pack/x.c '#include "common/disk/disk.h"'
caught common/chunk/x.h '	#  include "common/crypto/key.h"'
caught common/disk/x.c '#include "common/store/store.h"'
caught common/check/x.c '#include "common/flow/build.h"'
caught common/flow/x.c '#include "seed/seed_build.h"'
caught seed/x.c '#include "import/import_main.h"'
caught formats/x.c '#include "common/base/err.h"'
caught formats/x.c '#include <stdio.h>'
caught formats/x.c '#include <sys/stat.h>'
caught common/cellar/x.c '#include "common/base/err.h"'
caught common/base/x.c '#include "err.h"'
caught common/pack/x.c '#include <zstd.h>'
caught common/flow/x.c '#include <sqlite3.h>'
caught verify/x.c '#include <sodium.h>'
caught common/crypto/x.h '#include <sodium/crypto_kdf.h>'
caught common/walk/x.h '#include <archive.h>'
caught common/flow/x.c '#include <libmount.h>'
caught common/disk/x.h '#include <blkid.h>'
caught common/flow/x.c '#include <curl/curl.h>'
caught common/net/x.h '#include <microhttpd.h>'

floors "$TOP"
echo "floors hold; $n kinds of mistake are caught"
