#!/bin/sh
# A registration, a pledge, the answer to a receipt, a backup and a read over the
# line are cut at single bytes of what either side sends: each goes on, and
# whoever said that it was done was right.  At each how manyth byte is the argument
# (1: at every one); 97 without one, and what after it, all without.
set -eu

echo 'correct horse battery staple' >pass
every=${1:-97}
[ $# -eq 0 ] || shift
exec python3 "$TOP/tests/journey/line_cuts.py" "$every" "$@"
