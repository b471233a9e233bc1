#!/bin/sh
# The vault's program has no way to open a chunk or a machine's key slots: the
# code for it is not in the program.  Read off its symbols; that the reading
# works is shown on samara-verify, which has all of it.  (What is sealed to the
# vault itself is another matter: crypto_box_seal_open is allowed.)
set -eu

# openers PROGRAM: the symbols in it that open what belongs to a machine
openers() {
	nm "$1" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u |
	    grep -E '^(chunk_open|slots_open|slot_unwrap|crypto_aead_xchacha20poly1305_ietf_decrypt)' || true
}

for tool in import verify; do
	if [ ! -x "$BUILD/samara-$tool" ]; then
		echo "no samara-$tool in $BUILD"
		exit 1
	fi
done
found=$(openers "$BUILD/samara-verify")
for want in chunk_open slot crypto_aead_xchacha20poly1305_ietf_decrypt; do
	case $found in
	*"$want"*) ;;
	*) echo "samara-verify should open chunks and slots, but shows no $want: the check sees nothing"; exit 1 ;;
	esac
done
found=$(openers "$BUILD/samara-import")
if [ -n "$found" ]; then
	echo "samara-import can open what it must not:"
	echo "$found"
	exit 1
fi
echo "samara-import opens no chunk and no slot"
