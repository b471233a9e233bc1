#!/bin/sh
# What needs a hand is told once to a command and by mail, again after a week,
# and its end too; a way that fails is tried again; nobody is told twice.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
echo 'correct horse battery staple' >pass
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir src disk
echo hello >src/file
samara-seed build --to disk --plain-directory src --passphrase-file pass >log 2>&1 || fail "build" log
samara-import ingest vault disk >log 2>&1 || fail "ingest" log

cat >told.sh <<END
#!/bin/sh
[ ! -e $WORK/deaf ] || exit 7
echo "\$SAMARA_ALERT \$SAMARA_ALERT_KIND \$SAMARA_ALERT_VAULT: \$SAMARA_ALERT_TEXT" >>$WORK/told
END
cat >sendmail <<END
#!/bin/sh
[ "\$*" = "-i -t" ] || exit 9
cat >>$WORK/mail
END
chmod +x told.sh sendmail
SAMARA_SENDMAIL=$WORK/sendmail
export SAMARA_SENDMAIL

# Nobody is told until somebody says whom, and then of what is open already; a test says whether it gets through.
samara-import alerts vault >out 2>log || fail "alerts without anybody to tell" out log
grep -q '^told by     nobody' out || fail "nobody is told, and it is not said" out
rc=0
samara-import alerts vault --test >out 2>log || rc=$?
[ "$rc" = 2 ] || fail "a test without anybody to tell: $rc" log
samara-import alerts vault --command "$WORK/told.sh" --mail ops@dc.example --test >out 2>log || fail "test" out log
grep -q '^raised test dc-north: ' told || fail "the test was not told" told
grep -q '^To: ops@dc.example$' mail || fail "no mail" mail
for bad in '--command told.sh' '--mail -oQ/tmp' '--mail a@b,c@d' '--days 0'; do
	rc=0
	# shellcheck disable=SC2086 # two words
	samara-import alerts vault $bad >out 2>log || rc=$?
	[ "$rc" = 2 ] || fail "$bad: $rc" log
done
rm told mail

# The key has no copy: raised once, whoever looks, and over when there is one.
samara-import alerts vault >out 2>log || fail "alerts" out log
samara-import alerts vault >out 2>log || fail "alerts again" out log
[ "$(grep -c '^raised key ' told)" = 1 ] || fail "not told once" told
[ "$(grep -c '^Subject: samara: vault dc-north: key: raised$' mail)" = 1 ] || fail "not mailed once" mail
rc=0
samara-import status vault >out 2>log || rc=$?
[ "$rc" = 1 ] || fail "status with an open alert: $rc" out

# After a week it is told again.
python3 - <<'END'
import json, re, time
a = json.load(open("vault/local/alerts"))
key, since, told, kind = a["open"][0].split()
a["open"][0] = "%s %d %d %s" % (key, int(since) - 8 * 86400, int(told) - 8 * 86400, kind)
open("vault/local/alerts", "w").write(json.dumps(a))
END
samara-import alerts vault >out 2>log || fail "a week later" out log
[ "$(grep -c '^still open key ' told)" = 1 ] || fail "not told again after a week" told

# Its end is told too, also where the first try fails both ways.
samara-import key copy vault --out copy.key >log 2>&1 </dev/null || fail "key copy" log
touch deaf
chmod -x sendmail
samara-import alerts vault >out 2>log || fail "nobody listens" out log
grep -q 'an alert could not be told' log || fail "not said that nobody heard" log
rm deaf
samara-import alerts vault >out 2>log || fail "somebody listens" out log
[ "$(grep -c '^over key ' told)" = 1 ] || fail "the end is not told" told
samara-import alerts vault >out 2>log || fail "after the end" out log
[ "$(grep -c '^over key ' told)" = 1 ] || fail "the end is told twice" told
samara-import status vault >out 2>log || fail "status when all is well" out log

# A machine that has gone quiet.
python3 - <<'END'
import sqlite3, time
db = sqlite3.connect("vault/local/catalog.db")
db.execute("update snapshots set received = received - 3 * 86400 * 1000000000")
db.commit()
END
samara-import alerts vault --days 2 >out 2>log || fail "stale" out log
grep -q '^raised stale dc-north: machine db1 has had no whole snapshot since ' told || fail "a quiet machine is not told" told out

# A server looks by itself, and its metrics say what is open.
samara-import serve vault --listen 127.0.0.1:0 --json >served 2>log &
server=$!
trap 'kill $server 2>/dev/null || :' EXIT
while ! grep -q '"type":"listening"' served && kill -0 $server 2>/dev/null; do sleep 0.05; done
port=$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' served)
python3 - "$port" <<'END' >metrics
import ssl, sys, urllib.request
c = ssl._create_unverified_context()
print(urllib.request.urlopen("https://localhost:%s/metrics" % sys.argv[1], context=c).read().decode())
END
grep -qx 'samara_alerts_open{vault="dc-north",kind="stale"} 1' metrics || fail "metrics" metrics
