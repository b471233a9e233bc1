#!/bin/sh
# cmake --install with DESTDIR, and the three Debian packages, each unpacked
# into a clean tree of its own: the files are there, nothing else is, and the
# program runs from there.
set -eu
man=''
[ ! -e "$BUILD/man/samara-seed.1.gz" ] || man=yes

# files_of TOOL: what its package must hold, below /usr
files_of() {
	echo "usr/bin/samara-$1"
	echo "usr/share/bash-completion/completions/samara-$1"
	echo "usr/share/doc/samara-$1/copyright"
	[ -z "$man" ] || echo "usr/share/man/man1/samara-$1.1.gz"
	case $1 in
	seed) echo usr/share/doc/samara-seed/restore.md ;;
	import) echo usr/share/doc/samara-import/operations.md ;;
	verify) [ -z "$man" ] || echo usr/share/man/man7/samara.7.gz ;;
	esac
}
# holds TREE TOOL...: TREE holds the files of these tools and no other
holds() {
	tree=$1
	shift
	for t; do files_of "$t"; done | sort >want
	(cd "$tree" && find . -type f | sed 's|^\./||' | sort) >got
	diff want got || { echo "$tree does not hold what it should (<) but (>)"; exit 1; }
	for t; do
		"$tree/usr/bin/samara-$t" --version | grep -q '^samara-'"$t"' [0-9]' ||
		    { echo "$tree: samara-$t --version"; exit 1; }
	done
}

DESTDIR=$WORK/dest cmake --install "$BUILD" --prefix /usr >install.log 2>&1 || { cat install.log; exit 1; }
holds dest seed import verify
echo "installed with DESTDIR"

command -v dpkg-deb >/dev/null || { echo "no dpkg-deb here"; exit 77; }
cpack --config "$BUILD/CPackConfig.cmake" -G DEB -B "$WORK/deb" >cpack.log 2>&1 || { cat cpack.log; exit 1; }
for tool in seed import verify; do
	set -- deb/samara-"$tool"_*.deb
	[ -e "$1" ] || { echo "no package of samara-$tool:"; cat cpack.log; exit 1; }
	dpkg-deb -x "$1" "tree-$tool"
	holds "tree-$tool" "$tool"
	[ "$(dpkg-deb -f "$1" Package)" = "samara-$tool" ] || { echo "$1 has another name inside"; exit 1; }
	depends=$(dpkg-deb -f "$1" Depends)
	for library in libc6 libsodium libzstd libblkid libmount; do
		case $depends in
		*"$library"*) ;;
		*) echo "$1 does not depend on $library but: $depends"; exit 1 ;;
		esac
	done
	# It just runs: nothing is executed at installation, nothing needs a service.
	dpkg-deb -e "$1" "control-$tool"
	for f in control-"$tool"/*; do
		case ${f##*/} in
		control|md5sums) ;;
		*) echo "$1 has a ${f##*/}"; exit 1 ;;
		esac
	done
	echo "${1##*/}: $(du -k "$1" | cut -f1) KiB, needs $depends"
done
[ -n "$man" ] || echo "without man pages: scdoc was not there"
