#!/bin/sh
# Every row of docs/reliability.md has a figure that is enough, and the suite
# replays as many power cuts as the page says.
set -eu
cd "$TOP"
exec python3 tests/reliability.py --check
