#!/bin/sh
# A file's name is found once in the tree, so that a name in a message or a
# talk is enough; nothing half-done is left behind; nothing knows the machine it
# was written on; no test waits for the clock instead of for what it wants.
set -eu
cd "$TOP"
rc=0

# What belongs to the tree: git knows, and without git all but what was built.
files() {
	git ls-files -co --exclude-standard 2>/dev/null | sort -u | while read -r f; do
		[ ! -f "$f" ] || echo "$f"
	done >"$WORK/files"
	[ ! -s "$WORK/files" ] || { cat "$WORK/files"; return; }
	find . \( -name .git -o -name build -o -name 'build-*' -o -name samara-demo -o -name __pycache__ \) -prune \
	    -o -type f -print | sed 's|^\./||' | sort
}
# objects TITLE: what stands in $WORK/found should not be there
objects() {
	[ -s "$WORK/found" ] || return 0
	echo "$1"
	cat "$WORK/found"
	rc=1
}
# lines PATTERN: where it stands in the files named on stdin
lines() {
	xargs -d '\n' grep -nIE "$1" /dev/null >"$WORK/found" || true
}

files | grep -vE '^tests/(golden|fuzz/corpus)/' >"$WORK/written"
grep -vE '(^|/)(CMakeLists\.txt|README\.md)$' "$WORK/written" | sed 's|.*/||' | sort | uniq -d >"$WORK/twice"
while read -r name; do
	grep -E "(^|/)$name\$" "$WORK/written"
done <"$WORK/twice" >"$WORK/found"
objects "names found more than once:"

# The words are split, so that this file does not name itself.
lines '\b(TO''DO|FIX''ME|X''XX|HA''CK|not imple''mented)\b' <"$WORK/written"
objects "left behind:"
lines '(^|[^[:alnum:]_.$}])/(ro''ot|ho''me|wo''rk|Us''ers)/[[:alnum:]]' <"$WORK/written"
objects "places on somebody's machine:"
grep -E '^(tests|docs)/.*\.(sh|py|c)$' "$WORK/written" |
    lines '(^|[^#[:alnum:]_])(sl''eep +[0-9.]|(u|nano)?sl''eep *\()'
# Looking again and again for what is waited for is another thing than waiting.
grep -vE '(while|until) .*; do sl''eep 0\.0[0-9]*; done' "$WORK/found" >"$WORK/still" || true
mv "$WORK/still" "$WORK/found"
objects "waiting for the clock:"
[ $rc -ne 0 ] || echo "$(wc -l <"$WORK/written") files"
exit $rc
