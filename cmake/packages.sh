# Which packages samara needs, and how to see whether each is there.  Sourced
# by docs/quickstart.sh and tests/run.sh; the one list of them.
#
#   packages_need build|test...
# Look for every package of these groups.  What is missing is installed on
# Debian 12 as root; anywhere else, and for any other user, it is named and the
# answer is 2.  A probe is cmd:PROGRAM, pc:MODULE (pkg-config) or file:PATTERN.

packages_list='
build	gcc			cmd:cc
build	libc6-dev		file:/usr/include/stdio.h
build	cmake			cmd:cmake
build	ninja-build		cmd:ninja
build	pkg-config		cmd:pkg-config
build	libsodium-dev		pc:libsodium
build	libsqlite3-dev		pc:sqlite3
build	libxxhash-dev		pc:libxxhash
build	libzstd-dev		pc:libzstd
build	libarchive-dev		pc:libarchive
build	libisal-dev		pc:libisal
build	libjansson-dev		pc:jansson
build	libblkid-dev		pc:blkid
build	libmount-dev		pc:mount
build	libmicrohttpd-dev	pc:libmicrohttpd
build	libcurl4-gnutls-dev	pc:libcurl
build	libgnutls28-dev		pc:gnutls
build	librust-blake3-dev	pc:libblake3 file:/usr/share/cargo/registry/blake3-1*/c/blake3.h
test	libcmocka-dev		pc:cmocka
test	clang			cmd:clang
test	libclang-rt-14-dev	file:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer*
test	scdoc			cmd:scdoc
test	python3			cmd:python3
test	binutils		cmd:nm
test	dpkg-dev		cmd:dpkg-shlibdeps
test	file			cmd:file
test	git			cmd:git
test	attr			cmd:setfattr
test	acl			cmd:setfacl
test	util-linux		file:/sbin/losetup file:/usr/sbin/losetup
test	mount			cmd:mount
test	e2fsprogs		file:/sbin/mkfs.ext4 file:/usr/sbin/mkfs.ext4
test	xfsprogs		file:/sbin/mkfs.xfs file:/usr/sbin/mkfs.xfs
test	btrfs-progs		file:/sbin/mkfs.btrfs file:/usr/sbin/mkfs.btrfs
test	exfatprogs		file:/sbin/mkfs.exfat file:/usr/sbin/mkfs.exfat
test	exfat-fuse		file:/sbin/mount.exfat-fuse file:/usr/sbin/mount.exfat-fuse
test	ntfs-3g			file:/sbin/mkfs.ntfs file:/usr/sbin/mkfs.ntfs
test	nbdkit			cmd:nbdkit
test	nbdfuse			cmd:nbdfuse
test	fuse3			cmd:fusermount3
'

# packages_is_file PATTERN: something matches it.
packages_is_file() {
	# shellcheck disable=SC2086 # expanded on purpose
	set -- $1
	[ -e "$1" ]
}

# packages_there PROBE...: one of them is met.
packages_there() {
	for packages_probe; do
		case $packages_probe in
		cmd:*)	command -v "${packages_probe#cmd:}" >/dev/null 2>&1 && return 0 ;;
		pc:*)	pkg-config --exists "${packages_probe#pc:}" 2>/dev/null && return 0 ;;
		file:*)	packages_is_file "${packages_probe#file:}" && return 0 ;;
		esac
	done
	return 1
}

# packages_missing GROUP...: their names, a line each.
packages_missing() {
	printf '%s\n' "$packages_list" | while read -r packages_group packages_name packages_probes; do
		case " $* " in
		*" $packages_group "*) ;;
		*) continue ;;
		esac
		# shellcheck disable=SC2086 # several probes, split on purpose
		[ -z "$packages_name" ] || packages_there $packages_probes || echo "$packages_name"
	done
}

packages_are_debian_12() {
	[ -r /etc/os-release ] && (
		# shellcheck disable=SC1091
		. /etc/os-release
		[ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]
	)
}

packages_need() {
	packages_wanted=$(packages_missing "$@" | tr '\n' ' ')
	packages_wanted=${packages_wanted% }
	[ -n "$packages_wanted" ] || return 0
	if ! packages_are_debian_12; then
		echo "missing, by their names in Debian 12: $packages_wanted" >&2
		echo "Install what your system calls them, then run this again." >&2
		return 2
	fi
	if [ "$(id -u)" -ne 0 ]; then
		echo "missing: $packages_wanted" >&2
		echo "Install them as root, then run this again:  apt-get install $packages_wanted" >&2
		return 2
	fi
	# shellcheck disable=SC2086 # a list of names
	packages_log=$( (apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
	    --no-install-recommends $packages_wanted) </dev/null 2>&1) || {
		printf '%s\n' "$packages_log" | tail -n 20 >&2
		echo "could not install: $packages_wanted" >&2
		return 2
	}
	packages_wanted=$(packages_missing "$@" | tr '\n' ' ')
	[ -z "$packages_wanted" ] || {
		echo "installed, and still not found: $packages_wanted" >&2
		return 2
	}
}
