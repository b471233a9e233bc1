#!/bin/sh
# A machine backs up over the line; another computer restores from it with the
# recovery kit and a credential for reading, which changes nothing for the machine;
# a quota stops what would be more; a new machine takes its place, and the old
# one's token ends with the new one's first backup.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
say() { "$@" >out 2>log || fail "$*" out log; }
refused() {
	want=$1 code=$2
	shift 2
	rc=0
	"$@" >out 2>&1 || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc instead of $want from: $*" out
	grep -q "($code)" out || fail "no $code from: $*" out
}
trap 'kill "$server" 2>/dev/null || :' EXIT

say samara-import create vault --name dc-north --key-copy key.copy
samara-import serve vault --listen 127.0.0.1:0 --json >serve.out 2>serve.log &
server=$!
until grep -q listening serve.out || ! kill -0 "$server" 2>/dev/null; do sleep 0.05; done
port=$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' serve.out)
say samara-import url vault "https://localhost:$port"
echo 'correct horse battery staple' >pass
mkdir src
python3 - <<'END'
import random
r = random.Random(3)
for i in range(20):
    with open("src/f%d" % i, "wb") as f:
        f.write(r.randbytes(40000 + i))
END
say samara-import credential vault db1 --out db1.crd
say samara-seed register db1.crd --state s1 --passphrase-file pass --kit kit.txt
say samara-seed policy set initial=network --state s1
say samara-seed backup --state s1 src

# --- the drill: another computer, kit, passphrase, and a credential for reading

say samara-import credential vault db1 --restore-only --out read.crd
refused 16 S-1601 samara-seed register read.crd --state s9 --passphrase-file pass
say samara-seed snapshots --kit kit.txt --credential read.crd --passphrase-file pass --state s9
[ "$(stat -c %a read.crd.token)" = 600 ] || fail "the token's mode" log
say samara-seed restore latest --kit kit.txt --credential read.crd --passphrase-file pass --state s9 --to new
diff -r src "new$WORK/src" >out 2>&1 || fail "what was restored" out
[ ! -e s9 ] || fail "a state from nowhere" log
cp read.crd again.crd
refused 12 S-1305 samara-seed snapshots --kit kit.txt --credential again.crd --passphrase-file pass --state s9
refused 16 S-1601 samara-seed snapshots --kit kit.txt --credential db1.crd --passphrase-file pass --state s9
echo more >src/new
say samara-seed backup --state s1 src

# --- a quota

say samara-import machine vault db1 quota 850K
python3 -c 'import random; open("src/large", "wb").write(random.Random(4).randbytes(400000))'
refused 13 S-1706 samara-seed backup --state s1 src
samara-seed status --state s1 >out 2>&1 || fail "status near the quota" out
grep -q "^PROTECTED BUT: vault dc-north says: .* of this machine's quota of 850 kB are used" out || fail "status does not speak of the quota" out
say samara-import machine vault db1 quota none
say samara-seed backup --state s1 src

# --- another machine in its place

say samara-import credential vault db1 --replace --out replace.crd
say samara-seed register replace.crd --state s2 --old-kit kit.txt --passphrase-file pass --kit kit2.txt
say samara-seed policy set initial=network --state s2
say samara-seed connection --state s1 --quick
# Both sides hear of it: of other key slots at once, of the takeover with the first backup.
cat >told.sh <<END
#!/bin/sh
echo "\$SAMARA_ALERT \$SAMARA_ALERT_KIND: \$SAMARA_ALERT_TEXT" >>$WORK/told
END
chmod +x told.sh
say samara-import alerts vault --command "$WORK/told.sh"
grep -q '^raised slots: machine db1 was registered anew on .*, with other key slots' told || fail "nobody was told of the slots" told
samara-seed status --state s1 >out 2>&1 || fail "status of the old one" out
grep -q '^PROTECTED BUT: vault dc-north says: this machine was registered anew on ' out || fail "the old machine does not hear of the slots" out
say samara-seed backup --state s2 src
grep -q 'says: this machine was registered anew' log || fail "the backup does not say what the vault says" log
samara-seed status --state s1 >out 2>&1 && fail "the old machine calls itself protected" out
grep -q '^NOT PROTECTED: vault dc-north takes nothing from this machine any more: .*another machine has taken the place' out ||
	fail "the old machine does not hear of the takeover" out
samara-seed status --state s2 >out 2>&1 || fail "status of the new one" out
grep -q 'vault dc-north says: a new machine took the place of the old one on ' out || fail "the new machine does not hear of it" out
say samara-import alerts vault
grep -q '^raised takeover: a new machine took the place of db1 on ' told || fail "nobody was told of the takeover" told
samara-import status vault >out 2>&1 && fail "status ends with 0 while alerts are open" out
grep -q 'took the place of db1' out || fail "status does not name the takeover" out
curl -sk "https://localhost:$port/metrics" >metrics 2>/dev/null || python3 -c "import ssl, urllib.request as u
print(u.urlopen('https://localhost:$port/metrics', context=ssl._create_unverified_context()).read().decode())" >metrics
grep -q 'samara_alerts_open{vault="dc-north",kind="takeover"} 1' metrics || fail "metrics" metrics
say samara-import alerts vault --acknowledge
grep -q '^over takeover: ' told || fail "an alert that was acknowledged is open" told
grep -q '^over slots: ' told || fail "an alert that was acknowledged is open" told
say samara-import status vault
samara-seed status --state s2 >out 2>&1 || fail "status after it was acknowledged" out
grep -q '^PROTECTED: ' out || fail "the new machine hears of it still" out
refused 12 S-1703 samara-seed connection --state s1 --quick
say samara-seed connection --state s2 --quick
say samara-seed snapshots --from line --state s2
[ "$(grep -c ' files ' out)" = 4 ] || fail "the snapshots of both" out log
first=$(awk '$2 == 1 { print $1 }' out)
say samara-seed restore "$first" --state s2 --to old
[ -f "old$WORK/src/f7" ] && [ ! -e "old$WORK/src/large" ] || fail "the old machine's first snapshot" out log
grep -q 'taken over' serve.log || fail "nobody was told" serve.log
kill "$server"
wait "$server" || fail "the server" serve.log
grep -qF "$(cat read.crd.token)" serve.log && fail "a secret in the log" serve.log
say samara-import rebuild vault

# --- both machines' keys count: for who checks the vault, with and without a key, and an export of both machines' snapshots

say samara-verify vault vault
grep -q '^snapshots   4, 4 of them whole here' out log || fail "the snapshots of both" out log
say samara-verify vault vault --state s2 --passphrase-file pass
mkdir disk
say samara-import export vault --machine db1 --to disk --plain-directory
say samara-verify disk disk
grep -q '^snapshots   4, 4 of them whole here' out log || fail "an export of both machines' snapshots" out log
say samara-verify disk disk --state s2 --passphrase-file pass
say samara-seed restore "$first" --from disk --kit kit2.txt --passphrase-file pass --state s8 --to old2
diff -r old old2 >out 2>&1 || fail "the old machine's first snapshot, from an export" out
older=$(echo disk/samara/*/keys/older1)
[ -f "$older" ] || fail "the export does not know the old machine's key"
cp "$older" keep
printf x | dd of="$older" bs=1 seek=40 conv=notrunc 2>/dev/null
samara-verify disk disk >out 2>&1 || fail "one copy of the old key is enough" out
grep -q 'keys/older1: .*' out && grep -q '^repairable' out || fail "a damaged key is not named" out
say samara-verify disk disk --repair-to mended
cmp keep mended/samara/*/keys/older1 || fail "the old key was not repaired"
say samara-verify disk mended
echo 'a backup, a drill on another computer, a quota, a takeover'
