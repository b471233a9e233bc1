#!/bin/sh
# Backups through a proxy that refuses, cuts, slows, doubles and changes what
# goes over the line: each ends done or to be gone on with, and all that was
# acknowledged is there.  How many is the argument; 500 without one.
set -eu

samara-import create vault --name dc-north --key-copy key.copy >log 2>&1 || { cat log; exit 1; }
echo 'correct horse battery staple' >pass
exec python3 "$TOP/tests/journey/line_faults.py" proxy "${1:-500}"
