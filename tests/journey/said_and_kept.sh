#!/bin/sh
# What the commands say of what they did, and what they keep on record: counts
# of an image, a restore among the jobs, files that changed while they were
# read, patterns that are too long; and the borders of --one-file-system.
set -eu

. "$TOP/tests/loop/loop.sh"
fail() { echo "$1"; shift; for f; do echo "--- $f"; cat "$f"; done; exit 1; }
says() { grep -qF "$1" "$2" || fail "$2 does not say: $1" "$2"; }
# ends STATUS COMMAND...: it ends so; out and err are what it said
ends() {
	want=$1
	shift
	rc=0
	"$@" >out 2>err || rc=$?
	[ "$rc" = "$want" ] || fail "exit $rc, not $want, from $*" out err
}
# value FILE TYPE FIELD: of the last object of that type
value() {
	python3 -c 'import json, sys
print([json.loads(l) for l in open(sys.argv[1]) if "\"type\":\"%s\"" % sys.argv[2] in l][-1][sys.argv[3]])' "$@"
}
build() { samara-seed build --full --plain-directory --passphrase-file pass --to disk "$@"; }

ends 0 samara-import create vault --name dc-north
ends 0 samara-import credential vault db1 --out db1.crd
echo 'correct horse battery staple' >pass
ends 0 samara-seed register db1.crd --offline --passphrase-file pass --kit kit.txt
mkdir disk src src/d
for i in 1 2 3 4 5 6 7; do echo "file $i" >src/d/f$i; done
touch -d '+1 day' src/d/*	# too fresh however long it takes until they are read
ln -s d/f1 src/link

# --- counts of an image

ends 0 build src
ends 0 samara-seed images --json
[ "$(value out image files)" = 7 ] || fail "files of the image" out
[ "$(value out image entries)" -gt 9 ] || fail "entries of the image" out
[ "$(value out image warnings)" = 0 ] || fail "warnings of the image" out
ends 0 samara-seed images
says ' files ' out
[ "$(awk 'NR == 2 { print $8 }' out)" = 7 ] || fail "the column of files" out

# --- a second reader, written from the formats alone, sees the same

PYTHONDONTWRITEBYTECODE=1 python3 "$TOP/tests/second_reader.py" disk >seen || fail "the second reader objects" seen
ends 0 samara-verify disk disk --json
says "packs=$(value out summary packs) frames=$(value out summary chunks) " seen

# --- times too fresh to be sure of are no change while it was read

ends 0 samara-seed ls "latest:$WORK/src/d" --from disk
! grep 'changed while' out || fail "nothing changed" out
ends 0 samara-seed ls "latest:$WORK/src/d" --from disk --json
grep -q '"unsure":true' out || fail "files made a moment ago are unsure" out
! grep '"changed":true' out || fail "and did not change" out

# --- a restore is a job

ends 0 samara-seed restore latest --from disk --to back
ends 0 samara-seed jobs --json
[ "$(value out job kind)" = restore ] || fail "the last job" out
[ "$(value out job state)" = ended ] || fail "it ended" out
ends 0 samara-seed jobs
says "into back: restored 7 files" out
echo mine >"back$WORK/src/d/f1"
ends 3 samara-seed restore latest --from disk --to back --overwrite never
ends 0 samara-seed jobs --json
[ "$(value out job exit)" = 3 ] || fail "the job's exit" out
ends 0 samara-seed jobs "$(value out job job)"
says "src/d/f1" out
ends 1 samara-seed restore latest --from disk --to back
ends 0 samara-seed jobs --json
says "is not empty" out
before=$(grep -c '"type":"job"' out)
ends 0 samara-seed restore latest --from disk --to more --dry-run
ends 0 samara-seed restore latest --from disk --to more --kit kit.txt --passphrase-file pass
ends 0 samara-seed jobs --json
[ "$(grep -c '"type":"job"' out)" = "$before" ] || fail "a dry run, or one with a kit, is among the jobs" out

# --- a pattern that the journal has no room for

ends 2 build src --exclude "$(head -c 65536 /dev/zero | tr '\0' x)"
says "an exclude pattern of 65536 bytes" err
head -c 65536 /dev/zero | tr '\0' x >long
ends 2 build src --exclude-file long
head -c 65535 long >most
for i in 1 2 3; do cat most; echo; done >three
ends 0 build src --exclude-file three
for i in $(seq 33); do cat most; echo; done >many
ends 2 build src --exclude-file many
says "at most 2 MiB" err
ends 0 samara-seed images --json
! grep '"state":"building"' out || fail "an image was begun" out

# --- -n of what writes

ends 0 samara-import key copy vault --out copy.key -n
says "would write a copy of the key of vault dc-north: copy.key" out
[ ! -e copy.key ] || fail "and wrote it"
ends 0 samara-import key copy vault --out copy.key
says "copy of the key of vault dc-north" out

# --- another file system below a path

loop_need ext4 >why || { echo "without other file systems: $(cat why)"; exit 0; }
trap loop_end EXIT
trap 'exit 130' INT TERM
loop_attach inner.img 16M
loop_format "$loop" ext4
loop_mount "$loop" src/inner
echo there >src/inner/below
chmod 0711 src/inner
ends 0 build src --one-file-system
ends 0 samara-seed ls "latest:$WORK/src" --from disk
says inner out
ends 0 samara-seed ls "latest:$WORK/src" --from disk --json
! grep below out || fail "it went into another file system" out
ends 0 build src src/inner --one-file-system
ends 0 samara-seed dump "latest:$WORK/src/inner/below" --from disk
says there out
ends 0 build src
ends 0 samara-seed dump "latest:$WORK/src/inner/below" --from disk
says there out
echo "counts, jobs, patterns, file systems"
