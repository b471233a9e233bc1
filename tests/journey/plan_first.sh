#!/bin/sh
# A plan before anything is registered, as any user: every figure that was not
# counted is a range, the end is one recommendation and a command.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
mkdir src src/log src/empty
head -c 3000000 /dev/urandom >src/noise
cp src/noise src/again
seq 200000 >src/words
ln src/words src/second-name
truncate -s 1T src/holes
for i in 1 2 3 4 5 6 7 8 9 a b c; do head -c 2000000 /dev/urandom >src/log/$i; done
touch -d '400 days ago' src/noise src/again src/words
touch -d '3 days ago' src/log/2
printf 'x' >"src/$(printf 'odd\nname')"

# --- all is said, in this order

samara-seed plan src --line 20M --disk 18T >plan 2>log || fail "plan" plan log
[ "$(cut -c1-12 plan | sed 's/ *$//' | grep -v '^$' | head -5 | tr '\n' ' ')" = 'source on disk by disk by line changes ' ] || fail "the rows" plan
grep -qE '^source +[0-9.]+ MB in 18 files \(all names, all of the data read, ' plan || fail "source" plan
grep -qE '^on disk .* – .* after dedup and compression, \+ 5 % parity +1 × 18 TB$' plan || fail "on disk" plan
grep -qE '^by line .* at 20 Mbit/s, all day, nothing else on it$' plan || fail "by line" plan
grep -qE '^changes .* a day \(last .*\), .* to send  →  .* of line a day: fits$' plan || fail "changes" plan
tail -1 plan | grep -qE ' Next: samara-seed register CREDENTIAL --offline$' || fail "the end" plan
[ ! -e "$SAMARA_STATE" ] || fail "a plan makes a state"

# --- nothing said: usual lines and disks

samara-seed plan src >plan 2>log || fail "plan without figures" plan log
for words in '10 Mbit/s' '100 Mbit/s' '1,000 Mbit/s' '× 8 TB' '× 16 TB' '× 24 TB'; do
	grep -qF "$words" plan || fail "nothing about $words" plan
done

# --- as a program reads it

samara-seed plan src --json --line 1kbit/s >plan 2>log || fail "plan --json" plan log
python3 - <<'END' || fail "json" plan
import json
rows = [json.loads(l) for l in open("plan")]
by = {r["type"]: r for r in rows}
assert rows[-1]["type"] == "summary" and by["summary"]["next"].startswith("samara-seed register")
s = by["source"]
assert s["files"] == 18 and s["whole"] and 31000000 < s["bytes"] < 33000000, s
t = by["stored"]
assert 27000000 < t["low"] < t["high"] < 29000000, t          # the copy and the second name cost nothing
assert t["with_parity_low"] > t["low"]
assert len([r for r in rows if r["type"] == "disks"]) == 3
c = by["changes"]
assert c["changed_1_day"] == 22000001 and c["changed_7_days"] == c["changed_30_days"] == 24000001, c
assert by["increments"]["fit"] is False
assert rows[[r["type"] for r in rows].index("changes_most")]["path"].endswith("src/log")
END
samara-seed plan src --line 1kbit/s >plan 2>log || fail "plan on a thin line" plan log
grep -qE 'increments do not fit: a disk of 8 TB every [0-9]+ weeks, or exclude what changes most:$' plan || fail "does not fit" plan
grep -qE ' a day  .*/src/log$' plan || fail "what changes most" plan

# --- left out is left out

samara-seed plan src --exclude again --exclude log/ --json >plan 2>log || fail "plan --exclude" plan log
python3 -c 'import json
assert json.loads(open("plan").readline())["files"] == 5' || fail "exclude" plan

# --- an empty tree, no tree, bad words

samara-seed plan src/empty --line 20MB/s --disk 500G --transit 0 >plan 2>log || fail "an empty tree" plan log
for bad in '' 'src --line 0' 'src --line fast' 'src --disk 12' 'src --transit 1000'; do
	rc=0
	# shellcheck disable=SC2086 # words
	samara-seed plan $bad >log 2>&1 || rc=$?
	[ "$rc" = 2 ] || fail "plan $bad: $rc" log
done
rc=0
samara-seed plan nowhere >log 2>&1 || rc=$?
[ "$rc" = 1 ] && grep -q S-1102 log || fail "nowhere: $rc" log

# --- a user who may not read everything

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 . && chmod 600 src/noise
	rc=0
	setpriv --reuid 65534 --regid 65534 --clear-groups samara-seed plan "$PWD/src" >plan 2>log || rc=$?
	[ "$rc" = 3 ] && grep -q '1 files not read' plan || fail "unreadable: $rc" plan log
	chmod 644 src/noise
fi

# --- registered, the next command is a build

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
samara-seed plan src >plan 2>log || fail "plan of a registered machine" plan log
tail -1 plan | grep -qE ' Next: samara-seed build --to /mnt/usb1 src$' || fail "the next command" plan
echo "planned"
