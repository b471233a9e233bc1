#!/bin/sh
# The README's first command, on a small tree with odd names in it: every step
# has its line, everything comes back, and the reader's own files are untouched.
set -eu

mkdir -p source/deep/er
cp -R "$TOP/formats" "$TOP/docs" source/
printf 'x' >"source/a name with blanks"
printf 'y' >"source/$(printf 'new\nline')"
printf 'z' >"source/$(printf 'bytes-\377\376')"
: >source/empty
ln source/empty source/deep/same
ln -s nowhere source/deep/er/dangling
mkfifo source/deep/fifo
dd if=/dev/urandom of=source/deep/random bs=65536 count=40 2>/dev/null
truncate -s 50M source/deep/hole
touch -d '1969-07-20 20:17:40.123456789' source/deep/old
chmod 2755 source/deep
chmod 000 source/deep/old

ls -lRn --time-style=full-iso source >before
sh "$TOP/docs/quickstart.sh" "$WORK/source" >out 2>&1 || { cat out; exit 1; }
ls -lRn --time-style=full-iso source >after
cmp before after

for step in packages build files vault register seed verify damage increment ingest checkup refused restore network; do
	grep -q "^$step " out || { echo "no line for $step:"; cat out; exit 1; }
done
[ "$(grep -c '^restore .* \([0-9,]*\) of \1 equal' out)" = 2 ] || { cat out; exit 1; }

# What the README shows is what this prints: line by line, but for numbers, sizes, times and names.
# plain: of each step's line on stdin what does not change from run to run
plain() {
	sed -E 's/^(files +)[^:]*:/\1DIR:/
		s/ [A-Z0-9]{4}-1 sealed/ IMAGE-1 sealed/; s/, [0-9,]+ files? could not be read \(see log\/seed\)//
		s/[0-9][0-9,.]*( [kMGT]?B| s| MB\/s)?/N/g; s/ +/ /g; s/ $//'
}
steps='packages|build|files|vault|register|seed|verify|damage|increment|ingest|checkup|refused|restore|network'
sed -nE "s/^    (($steps) .*)/\\1/p" "$TOP/README.md" | plain >shown
grep -E "^($steps) " out | plain >printed
diff shown printed || { echo "the README shows something else than the quickstart prints"; cat out; exit 1; }

# Again: the demo of last time makes room.  Somebody else's directory does not.
mkdir -p elsewhere/samara-demo
echo mine >elsewhere/samara-demo/file
if (cd elsewhere && sh "$TOP/docs/quickstart.sh" "$WORK/source") >refused 2>&1; then
	echo "took somebody else's directory"
	exit 1
fi
[ "$(cat elsewhere/samara-demo/file)" = mine ]
cat out
