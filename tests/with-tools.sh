#!/bin/sh
# sh tests/with-tools.sh BUILD-DIR SCRIPT [ARG...]
#
# Run one shell test with the tools of a build directory, in an empty directory
# of its own that is gone afterwards (kept when the test fails and KEEP is set).
# What the script may rely on:
#
#   cwd, $WORK    the empty directory; $HOME and the state directory are in it
#   $TOP          the source tree
#   $BUILD        the build directory, absolute; its tools come first in PATH
#   exit status   0 passed, 77 skipped (the last line printed says why),
#                 anything else failed
#
# It runs with the shell its first line names, without a terminal, and with no
# SAMARA_* variable set but SAMARA_STATE.
set -eu
unset CDPATH
TOP=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 2 ] || { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0" >&2; exit 2; }
BUILD=$(cd "$1" && pwd)
case $2 in
/*) script=$2 ;;
*) script=$(pwd)/$2 ;;
esac
shift 2

for v in $(env | sed -n 's/^\(SAMARA_[A-Z_]*\)=.*/\1/p'); do
	unset "$v"
done
WORK=$(mktemp -d "${TMPDIR:-/tmp}/samara-test.XXXXXX")
HOME=$WORK/home
XDG_STATE_HOME=$WORK/xdg-state
XDG_CACHE_HOME=$WORK/xdg-cache
SAMARA_STATE=$WORK/state
PATH=$BUILD:$PATH
LC_ALL=C.UTF-8
TZ=UTC
export TOP BUILD WORK HOME XDG_STATE_HOME XDG_CACHE_HOME SAMARA_STATE PATH LC_ALL TZ
mkdir "$HOME"

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	rc=$?
	cd /
	if [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ] && [ -n "${KEEP:-}" ]; then
		echo "kept: $WORK" >&2
	else
		chmod -R u+rwX "$WORK" 2>/dev/null || true
		rm -rf "$WORK"
	fi
	exit "$rc"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

cd "$WORK"
case $(head -n 1 "$script") in
'#!'*bash*) shell=bash ;;
'#!'*python3*) shell=python3 ;;
*) shell='sh' ;;
esac
rc=0
"$shell" "$script" "$@" </dev/null || rc=$?
exit "$rc"
