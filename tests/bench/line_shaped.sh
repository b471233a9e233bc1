#!/bin/sh
# sh tests/bench/line_shaped.sh DIR [--only 'whole lost late both throttle'] [--mb N] [--late MS] [--congestion NAME]
#                               [--tools DIR] [--keep-docs]
#
# How much of a line of 20 Mbit/s backups and restores use, and whether they keep to
# the rate that is set.  Two network namespaces of their own, client and server, with
# a link between them that takes 20 Mbit/s each way (tbf, segments of 1,500 bytes);
# in turn
#
#   whole     nothing else is done to it
#   lost      0.5 % of the packets that come in are dropped, at both ends (nft)
#   late      what is sent comes 80 ms later, each way, through the proxy of
#             tests/journey/line_proxy.py: 160 ms more from question to answer
#   both      the two together
#   throttle  nothing done to the line; half of it set by `policy set`, then a
#             quarter while the transfer runs
#
# Each is a first backup of N MB (80: two large files and 3,000 small ones that do
# not compress) by a machine of its own, and a restore, which is compared.  What is
# used is what arrived, IP heads included and what was dropped not, of what the
# line could have carried from the start of the program to its end.  The rate is
# that of the same bytes, over the seconds between; the first two seconds after
# something was set are left out, as a change is seen once a second.
#
# Needs root, util-linux, iproute2, nftables, ethtool, python3 and what samara is
# built with.  DIR: where there is room for ten times N MB; DIR/line-shaped is made
# and removed again.  About six minutes.  Puts its table into docs/benchmarks.md
# but for --keep-docs.
set -eu
unset CDPATH
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
export LC_ALL=C.UTF-8
program=line_shaped.sh
. "$here/measure.sh"

usage() { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$here/line_shaped.sh" >&2; exit 2; }

if [ "${1:-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || fail "needs root, for network namespaces"
	for p in unshare nsenter ip tc nft ethtool python3; do
		command -v "$p" >/dev/null || fail "$p is missing: apt-get install util-linux iproute2 nftables ethtool python3"
	done
	exec unshare --net --mount --propagation private sh "$here/line_shaped.sh" --inside "$@"
fi
shift

which='whole lost late both throttle' mb=80 late=80 congestion=cubic tools='' docs="--into $top/docs/benchmarks.md" dir=''
while [ $# -gt 0 ]; do
	case $1 in
	--only) which=${2:?}; shift ;;
	--mb) mb=${2:?}; shift ;;
	--late) late=${2:?}; shift ;;
	--congestion) congestion=${2:?}; shift ;;
	--tools) tools=$(cd "${2:?}" && pwd); shift ;;
	--keep-docs) docs='' ;;
	-*) usage ;;
	*) [ -z "$dir" ] || usage; dir=$1 ;;
	esac
	shift
done
[ -n "$dir" ] || usage
dir=$(cd "$dir" && pwd -P)
tools_build
PATH=$tools:$PATH
scratch=$dir/line-shaped
mkdir "$scratch" || fail "$scratch is there: another run, or one that was killed; then remove it"

# The server's namespace lives as long as this does.
unshare --net sleep infinity &
far=$!
leave() {
	rc=$?
	trap - EXIT INT TERM
	kill "$far" 2>/dev/null || :
	rm -rf "$scratch"
	exit "$rc"
}
trap leave EXIT
trap 'exit 130' INT TERM
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done

# end DEVICE ADDRESS PREFIX...: one end of the link, as shaped as the other
end() {
	device=$1 address=$2
	shift 2
	"$@" ip link set lo up
	"$@" ethtool -K "$device" tso off gso off gro off >/dev/null
	"$@" ip address add "$address/24" dev "$device"
	"$@" ip link set "$device" mtu 1500 up
	"$@" ip route replace 10.77.0.0/24 dev "$device" src "$address" congctl "$congestion"
	"$@" tc qdisc add dev "$device" root tbf rate 20mbit burst 32kb latency 200ms
	"$@" nft "add table ip line; add chain ip line in { type filter hook input priority 0; };
	    add chain ip line lose; add rule ip line in iifname $device jump lose;
	    add counter ip line here; add rule ip line in iifname $device counter name here"
}
ip link add name near0 type veth peer name far0
ip link set far0 netns "$far"
end near0 10.77.0.1 env
end far0 10.77.0.2 nsenter --target "$far" --net

cd "$scratch"
# shellcheck disable=SC2086
python3 "$here/line_shaped.py" --far "$far" --mb "$mb" --late "$late" --congestion "$congestion" $docs $which
