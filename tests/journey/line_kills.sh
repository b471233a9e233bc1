#!/bin/sh
# The server is killed again and again under sixteen clients, with prune and gc
# beside it: nothing that was acknowledged is lost.  How often is the argument;
# 200 without one.
set -eu

samara-import create vault --name dc-north --key-copy key.copy >log 2>&1 || { cat log; exit 1; }
echo 'correct horse battery staple' >pass
exec python3 "$TOP/tests/journey/line_faults.py" kills "${1:-200}"
