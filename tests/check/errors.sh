#!/bin/sh
# Every error has one number, one exit status, one cause and one cure, and they
# are the same in common/base/errors.def, in docs/errors.md, in a message and in
# --json.
set -eu

sh "$TOP/docs/make-errors.sh" >errors.md
if ! diff -u "$TOP/docs/errors.md" errors.md; then
	echo "docs/errors.md is not what common/base/errors.def says:  sh docs/make-errors.sh >docs/errors.md"
	exit 1
fi
twice=$(grep -oE '^\| S-[0-9]{4} ' errors.md | sort | uniq -d)
[ -z "$twice" ] || { echo "given twice: $twice"; exit 1; }
rows=$(grep -c '^| S-' errors.md)
# agree TOOL ARGS...: fails, and says the same number in words, in JSON and by its exit status
agree() {
	rc=0
	"$@" >text 2>&1 || rc=$?
	code=$(grep -oE 'S-[0-9]{4}' text | head -n 1)
	[ -n "$code" ] || { echo "no number in what \"$*\" says:"; cat text; exit 1; }
	want=$(sed -n "s/^| $code | \([0-9]*\) |.*/\1/p" errors.md)
	[ "$rc" = "$want" ] || { echo "$*: exit $rc, but $code is $want"; exit 1; }
	tool=$1
	shift
	json_rc=0
	"$tool" "$@" --json >json 2>&1 || json_rc=$?
	[ "$json_rc" = "$rc" ] || { echo "$tool $* --json: exit $json_rc, without --json $rc"; exit 1; }
	grep -q "\"$code\"" json || { echo "$tool $* --json does not say $code:"; cat json; exit 1; }
}
agree samara-verify disk ./nowhere
agree samara-verify vault ./nowhere
agree samara-import list ./nowhere machines
agree samara-seed ls latest
agree samara-seed snapshots
agree samara-import create ./v --name 1
echo "$rows errors; table, page, message, --json and exit status agree"
