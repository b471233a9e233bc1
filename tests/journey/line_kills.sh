#!/bin/sh
# The server is killed again and again under sixteen clients, with prune and gc
# beside it: nothing that was acknowledged is lost.  FAULT_KILLS says how often; 200
# if it does not.
set -eu

samara-import create vault --name dc-north --key-copy key.copy >log 2>&1 || { cat log; exit 1; }
echo 'correct horse battery staple' >pass
exec python3 "$TOP/tests/journey/line_faults.py" kills "${FAULT_KILLS:-200}"
