#!/bin/sh
# sh tests/bench/make_trees.sh OUT [SCALE]
#
# Makes the trees that bench.sh works on, from Debian packages and fixed seeds:
#
#   OUT/mixed/tree   small files: kernel source and a handful of packages, unpacked
#   OUT/mixed/big    noise.bin (does not compress), machine.img (an ext4 file
#                    system full of programs), orders.db (an SQLite database)
#   OUT/v2           the same some time later: about 2 % of it changed
#
# SCALE 1 makes 6 GB each; 0.1 a tenth of that (from 0.02 on).  What a tree is
# made of is written to OUT/made-of, so that two of them can be compared.
# Needs apt with a source of Debian packages, dpkg, xz-utils, e2fsprogs, python3,
# and room for three times the tree; no rights but those to write OUT.
set -eu
unset CDPATH
export LC_ALL=C TZ=UTC
here=$(cd "$(dirname "$0")" && pwd)

fail() { echo "make_trees.sh: $*" >&2; exit 1; }
case $# in
1|2) ;;
*) sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0" >&2; exit 2 ;;
esac
out=$1 scale=${2:-1}
PATH=$PATH:/usr/sbin:/sbin
missing=''
for need in apt-get:apt dpkg-deb:dpkg xz:xz-utils mkfs.ext4:e2fsprogs python3:python3; do
	command -v "${need%:*}" >/dev/null || missing="$missing ${need#*:}"
done
[ -z "$missing" ] || fail "missing:$missing"
[ ! -e "$out" ] || fail "$out is there already"
mkdir -p "$out/packages"
out=$(cd "$out" && pwd)
megabytes() { awk -v mb="$1" -v s="$scale" 'BEGIN { printf "%d", mb * s }'; }

# fetch PACKAGE: its file's name
fetch() {
	(cd "$out/packages" && apt-get -q download "$1") >/dev/null 2>"$out/apt-said" ||
	    { cat "$out/apt-said" >&2; fail "could not get the package $1"; }
	find "$out/packages" -name "$1_*.deb"
}
# unpack INTO MEGABYTES NAMED PACKAGE...: as many of them as fit, each in a directory of its own if NAMED
unpack() {
	into=$1 room=$(megabytes "$2") named=$3
	shift 3
	for package; do
		kb=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Installed-Size: //p' | head -n 1)
		[ $((${kb:-0} / 1024)) -le "$room" ] || continue
		room=$((room - kb / 1024))
		mkdir -p "$into/$([ "$named" = 0 ] || echo "$package")"
		dpkg-deb -x "$(fetch "$package")" "$into/$([ "$named" = 0 ] || echo "$package")"
	done
}

tree=$out/mixed/tree big=$out/mixed/big
mkdir -p "$tree/linux" "$big"

# Kernel source: 1.26 GB of it at scale 1, whole directories in this order.
kernel=$(fetch linux-source-6.1)
dpkg-deb --fsys-tarfile "$kernel" | tar -xO ./usr/src/linux-source-6.1.tar.xz | xz -dc | tar -x -C "$tree/linux" --strip-components=1
room=$(megabytes 1300)
for part in "$tree"/linux/Documentation "$tree"/linux/fs "$tree"/linux/kernel "$tree"/linux/include "$tree"/linux/net \
    "$tree"/linux/sound "$tree"/linux/tools "$tree"/linux/arch/* "$tree"/linux/drivers/*; do
	[ -d "$part" ] || continue
	mb=$(du -sm --apparent-size "$part" | cut -f1)
	if [ "$mb" -le "$room" ]; then room=$((room - mb)); else rm -rf "$part"; fi
done
unpack "$tree" 900 1 openjdk-17-doc libstd-rust-dev hedgewars-data libboost1.74-dev texlive-latex-extra adwaita-icon-theme \
    libx11-doc python3-doc perl-modules-5.36

unpack "$out/machine" 1350 0 llvm-14-dev libreoffice-core wesnoth-1.16-data openjdk-17-jdk-headless libllvm14 golang-1.19-src \
    cppreference-doc-en-html python3.11-doc perl-base coreutils
id=11111111-2222-4333-8444-555555555555
E2FSPROGS_FAKE_TIME=1700000000 mkfs.ext4 -q -b 4096 -U $id -E "hash_seed=$id,lazy_itable_init=0,root_owner=0:0" \
    -d "$out/machine" "$big/machine.img" "$(($(megabytes 1470) + 30))M"
rm -rf "$out/machine"

python3 "$here/make_trees_data.py" first "$out/mixed" "$scale"
cp -a "$out/mixed" "$out/v2"
python3 "$here/make_trees_data.py" later "$out/v2" "$scale"

{
	for t in mixed v2; do
		find "$out/$t" -type f -printf '%s\n' | awk -v t=$t '{ s += $1 } END { printf "%s: %d files, %.0f bytes\n", t, NR, s }'
	done
	(cd "$out/packages" && sha256sum -- *.deb)
	(cd "$out" && sha256sum mixed/big/* v2/big/*)
} >"$out/made-of"
rm -rf "$out/packages" "$out/apt-said"
head -n 2 "$out/made-of"
