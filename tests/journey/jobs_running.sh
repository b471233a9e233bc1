#!/bin/sh
# A build in the background goes on without its terminal; another one sees how
# far it is, waits for its end, or asks it to stop. Reading is held to a limit.
set -eu

# shellcheck source=tests/journey/at_call.sh
. "$TOP/tests/journey/at_call.sh"
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
field() { python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")][-1][sys.argv[2]])' "$1" "$2"; }

samara-import create vault --name dc-north >log 2>&1 || fail "create" log
samara-import credential vault db1 --out db1.crd >log 2>&1 || fail "credential" log
echo 'correct horse battery staple' >pass
samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt >log 2>&1 || fail "register" log
mkdir disk src
head -c 30000000 /dev/urandom >src/a
head -c 200000 /dev/urandom >src/b

runs() { samara-seed jobs "$1" --json | grep -q '"state":"running"'; }
now_of() { echo "state/jobs/$(printf %08d "$1").now"; }
# until_running JOB: its status is there, so that it can be asked to stop
until_running() {
	until [ -s "$(now_of "$1")" ] || ! runs "$1"; do sleep 0.05; done
	[ -s "$(now_of "$1")" ] || fail "job $1 ended by itself" began log
}

# --- limited, so that it lasts, and held until somebody looks; in the background; its terminal goes away

mkfifo go
cat >hold <<'END'
#!/bin/sh
cat "$WORK/go" >/dev/null
END
chmod +x hold
python3 - >log 2>&1 <<'END' || fail "a terminal that goes away" log
import json, os, pty, subprocess
controller, terminal = pty.openpty()
p = subprocess.Popen(["samara-seed", "build", "--background", "--json", "--read-limit", "6M", "--before", "./hold", "--plain-directory", "--to", "disk",
    "--passphrase-file", "pass", "src"], stdin=terminal, stderr=terminal, stdout=open("began", "wb"), start_new_session=True)
os.close(terminal)
status = p.wait()
os.close(controller)    # hung up: SIGHUP for whoever still holds it
assert status == 0, status
END
job=$(field began job)
[ "$(field began background)" = True ] || fail "does not say that it is in the background" began

# --- followed from here: what is shown rises, and its end is our end

samara-seed jobs watch "$job" --json >watched 2>log &
pid=$!
until_so $pid test -s watched || fail "nothing to watch" watched log
released=$(date +%s)
: >go
rc=0
wait $pid || rc=$?
[ "$rc" = 0 ] || fail "watch ends with $rc" watched log
[ "$(field watched state)" = ended ] || fail "watch does not say the end" watched
python3 - <<'END' || fail "what was watched" watched
import json
rows = [json.loads(l) for l in open("watched")]
seen = [r["bytes"] for r in rows if r["type"] == "progress" and r["title"] == "read"]
assert seen and seen == sorted(seen), seen
assert 0 < max(seen) <= 30200000
END
grep -q 'sealed' "state/jobs/$(printf %08d "$job").out" || fail "what it printed is not kept" "state/jobs/$(printf %08d "$job").out"
[ ! -e "state/jobs/$(printf %08d "$job").now" ] || fail "a job that is over still says how far it is"
python3 - "$job" "$released" <<'END' || fail "30 MB at 6 MB/s took less than four seconds"
import json, sys
j = json.load(open("state/jobs/%08d.json" % int(sys.argv[1])))
assert j["end"] - int(sys.argv[2]) >= 4, j
END

# --- a job that is over cannot be stopped, nor one that never was

for n in "$job" 99; do
	rc=0
	samara-seed jobs cancel "$n" >log 2>&1 || rc=$?
	[ "$rc" = 1 ] || fail "cancel $n ends with $rc" log
done
rc=0
samara-seed jobs watch >log 2>&1 || rc=$?
[ "$rc" = 1 ] || fail "watching nothing ends with $rc" log

# --- asked to stop from another terminal; it ends cleanly and can go on

samara-seed build --full --background --json --read-limit 200K --plain-directory --to disk --passphrase-file pass src >began 2>log ||
    fail "the second one" began log
job=$(field began job)
until_running "$job"
samara-seed jobs cancel "$job" >log 2>&1 || fail "cancel" log
rc=0
samara-seed jobs watch "$job" >log 2>&1 || rc=$?
[ "$rc" = 130 ] || fail "a job that was stopped ends with $rc" log
samara-seed build --resume --read-limit 1G --to disk --passphrase-file pass >log 2>&1 || fail "it does not go on" log

# --- a status that names another process stops nobody

samara-seed build --full --background --json --read-limit 200K --plain-directory --to disk --passphrase-file pass src >began 2>log ||
    fail "the third one" began log
job=$(field began job)
now=$(now_of "$job")
until_running "$job"
pid=$(field "$now" pid)
kill -STOP "$pid"
python3 - "$now" $$ <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
d["pid"] = int(sys.argv[2])
json.dump(d, open(sys.argv[1], "w"))
END
rc=0
samara-seed jobs cancel "$job" >log 2>&1 || rc=$?
[ "$rc" = 11 ] || fail "a status that lies: $rc" log
kill -CONT "$pid"
kill -TERM "$pid"
rc=0
samara-seed jobs watch "$job" >log 2>&1 || rc=$?
[ "$rc" = 130 ] || fail "stopped by a signal: $rc" log

# --- what cannot begin is said where it was asked for

rc=0
samara-seed build --background --plain-directory --to nowhere --passphrase-file pass src >log 2>&1 || rc=$?
[ "$rc" != 0 ] || fail "a build to nowhere" log
grep -q S-1105 log || fail "the error of a job that never began is not shown" log
echo "watched, stopped, resumed"
