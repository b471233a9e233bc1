#!/bin/sh
# Every page that another page or a comment in the source names is there.
set -eu
cd "$TOP"
rc=0
n=0

# missing FILE TARGET: complain
missing() {
	echo "$1 names $2, which is not there"
	rc=1
}

pages=$(find README.md docs -name '*.md' | sort)
for page in $pages; do
	# shellcheck disable=SC2013 # links have no blanks
	for link in $(grep -oE '\]\([^)#: ]+' "$page" | sed 's/^](//' | sort -u); do
		n=$((n + 1))
		[ -e "$(dirname "$page")/$link" ] || missing "$page" "$link"
	done
done

grep -rnoE '(docs|tests|cmake|common|formats)/[A-Za-z0-9_/.-]+\.(md|sh|def|h|c|py|txt|cmake)\b' README.md docs tests cmake common \
    formats seed import verify CMakeLists.txt --include='*.[ch]' --include='*.md' --include='*.sh' --include='*.py' \
    --include='*.txt' --include='*.cmake' --include='*.scd' |
    grep -vE 'NOUN|^tests/check/|https?://|^tests/fuzz/corpus/|^tests/golden/' >"$WORK/mentions" || true
while IFS=: read -r file _ path; do
	n=$((n + 1))
	[ -e "$path" ] || [ -e "$(dirname "$file")/$path" ] || [ -e "tests/unit/$path" ] ||
	    [ -e "$(dirname "$file")/${path##*/}" ] || missing "$file" "$path"
done <"$WORK/mentions"
echo "$n mentions"
exit $rc
