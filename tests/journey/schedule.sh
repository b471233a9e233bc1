#!/bin/sh
# A schedule is written for systemd and for cron, wakes one backup however many
# were missed, and takes away nothing that it did not write.
set -eu

fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
echo 'correct horse battery staple' >pass
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir "src 50%" units cron
echo hello >"src 50%/file"

samara-seed schedule install --at 13:00 --at 01:00 --days mon-fri --directory units "src 50%" >out 2>log || fail "install" out log
grep -q '^schedule    set files, next run ' out || fail "the next run is not said" out
for f in units/samara-backup-files.service units/samara-backup-files.timer; do
	[ -f "$f" ] || fail "no $f" out log
done
grep -qx 'OnCalendar=Mon,Tue,Wed,Thu,Fri \*-\*-\* 01:00:00' units/samara-backup-files.timer || fail "timer" units/samara-backup-files.timer
grep -qx 'Persistent=yes' units/samara-backup-files.timer || fail "timer" units/samara-backup-files.timer
if command -v systemd-analyze >/dev/null 2>&1; then
	systemd-analyze verify units/samara-backup-files.timer >log 2>&1 || fail "systemd does not take the units" log
	if [ -s log ]; then fail "systemd objects" log; fi
fi

# Nothing is due before the next time; nothing runs, and that is no failure.
samara-seed schedule run >out 2>log || fail "run" out log
[ ! -s out ] || fail "something was run" out log

# What is somebody else's is neither replaced nor removed.
cp units/samara-backup-files.timer kept
echo '# mine' >units/samara-backup-files.timer
if samara-seed schedule install --directory units >out 2>log; then fail "another's unit was replaced" log; fi
grep -q 'was not written by samara' log || fail "no reason" log
if samara-seed schedule remove --directory units >out 2>log; then fail "another's unit was removed" log; fi
[ "$(cat units/samara-backup-files.timer)" = '# mine' ] || fail "another's unit was changed"
cp kept units/samara-backup-files.timer

# Cron, for a set of its own.
samara-seed schedule install --cron --directory cron --set other.set --at 3:15 >out 2>log || fail "cron" out log
[ "$(ls cron)" = samara-backup-other_set ] || fail "cron passes over names with dots" out
grep -q '^\*/5 \* \* \* \* ' cron/samara-backup-other_set || fail "crontab" cron/samara-backup-other_set

# A time that was missed twice is due once; the marker is as a run leaves it.
python3 - "$SAMARA_STATE" <<'END'
import json, sys, time
name = sys.argv[1] + "/sets/files/schedule"
s = json.load(open(name))
s["made"] = int(time.time()) - 20 * 86400
open(name, "w").write(json.dumps(s))
END
samara-seed schedule run -n >out 2>log || fail "dry run" out log
[ "$(cat out)" = 'a run is due' ] || fail "what was missed is not due" out log
date +%s >"$SAMARA_STATE/sets/files/ran"
samara-seed schedule run -n >out 2>log || fail "dry run" out log
[ ! -s out ] || fail "due a second time" out log

samara-seed schedule remove --directory units >out 2>log || fail "remove" out log
[ -z "$(ls units)" ] || fail "units are left" out
samara-seed schedule remove --cron --directory cron --set other.set >out 2>log || fail "remove cron" out log
[ -z "$(ls cron)" ] || fail "a crontab is left" out
rc=0
samara-seed schedule run >out 2>log || rc=$?
[ "$rc" = 1 ] || fail "a schedule that is gone: $rc" log
grep -q 'samara-seed schedule install' log || fail "no next step" log

# A scheduled run that finds the machine unprotected tells so, once.
samara-seed schedule install --directory units "src 50%" >out 2>log || fail "install" out log
cat >told.sh <<END
#!/bin/sh
echo "\$SAMARA_ALERT \$SAMARA_ALERT_MACHINE \$SAMARA_ALERT_TEXT" >>$WORK/told
END
chmod +x told.sh
samara-seed policy set "alert-command=$WORK/told.sh" >out 2>log || fail "policy set" log
for run in 1 2; do
	echo 0 >"$SAMARA_STATE/sets/files/ran"
	python3 - "$SAMARA_STATE" <<'END'
import json, sys, time
name = sys.argv[1] + "/sets/files/schedule"
s = json.load(open(name))
s["made"] = int(time.time()) - 20 * 86400
open(name, "w").write(json.dumps(s))
END
	if samara-seed schedule run >out 2>log; then fail "a vault without a line was reached" out log; fi
done
[ "$(grep -c '^raised db1 NOT PROTECTED' told)" = 1 ] || fail "not told, or told twice" told log
[ "$(wc -l <told)" = 1 ] || fail "told twice" told

# Policy: what is set is shown, in the pipe and as JSON; what cannot be is refused.
samara-seed policy set throttle-work=20Mbps work-hours=8-18 'proxy=http://me:geheim@p.example:3128' >out 2>log || fail "policy set" log
grep -q '^throttle-work   20000 Kbps ' out || fail "policy" out
if grep -rq geheim out log; then fail "a password is shown" out log; fi
samara-seed policy show --json >out 2>log || fail "policy show" log
grep -q '"work-hours":"8:00-18:00"' out || fail "policy as JSON" out
[ "$(stat -c %a "$SAMARA_STATE/policy")" = 600 ] || fail "policy can be read by others"
rc=0
samara-seed policy set throttle-work=1Kbps >out 2>log || rc=$?
[ "$rc" = 2 ] || fail "a rate outside the range: $rc" log
