# shellcheck shell=sh
# Disks for tests: image files behind loop devices, with the file systems that
# disks are sold with, and the ways in which disks fail.  Sourced by a test,
# as root; the test calls loop_end when it ends (trap loop_end EXIT).
#
#   loop_need [TYPE...]		0 if such disks can be made here; else says what is missing
#   loop_attach FILE [SIZE] [ro]	a device for the file (made with SIZE where given); its name in $loop
#   loop_format DEVICE TYPE		ext4, xfs, btrfs, exfat, ntfs
#   loop_mount DEVICE DIR [ro]	mount what is on it, by its FUSE driver where the kernel has none
#   loop_unmount DIR
#   loop_detach DEVICE		after the last unmount
#   loop_shrink DEVICE FILE SIZE	from now on it holds only SIZE, and still says otherwise
#   loop_slow_attach DIR SIZE WORD...	as loop_attach, a device behind nbdkit: WORDs are its
#				filters' parameters (delay-read=20ms); its file is DIR/disk.img
#   loop_still DIR		the device of loop_slow_attach answers nothing any more
#   loop_pull DIR			the device of loop_slow_attach is gone, as if pulled out
#   loop_cut DIR		power cut: what was not synced is lost when it is mounted again
#   loop_end			unmount, detach and end whatever was begun here

# loop_until COMMAND...: until it is true; five minutes on, nobody believes in it any more
loop_until() {
	loop_began=$(date +%s)
	until "$@" >/dev/null 2>&1 || loop_late; do sleep 0.02; done
	"$@" >/dev/null 2>&1
}
loop_late() { [ $(($(date +%s) - loop_began)) -ge 300 ]; }

loop_devices=''	# of each device:file
loop_mounts='' loop_slow=''

# loop_program TYPE: what makes this file system
loop_program() {
	case $1 in
	ext4|xfs|btrfs|exfat|ntfs) echo "mkfs.$1" ;;
	slow)	echo nbdkit nbdfuse fusermount3 ;;
	*)	echo "no-such-type-$1" ;;
	esac
}

# loop_driver TYPE: what mounts it where the kernel does not
loop_driver() {
	case $1 in
	exfat)	echo mount.exfat-fuse ;;
	ntfs)	echo ntfs-3g ;;
	esac
}

# loop_kernel_knows TYPE
loop_kernel_knows() {
	grep -qE "(^|[[:space:]])$1\$" /proc/filesystems || { modprobe -q "$1" && grep -qE "[[:space:]]$1\$" /proc/filesystems; } 2>/dev/null
}

loop_need() {
	[ "$(id -u)" -eq 0 ] || { echo "only root can make loop devices"; return 1; }
	[ -e /dev/loop-control ] || { echo "no loop devices here"; return 1; }
	command -v losetup >/dev/null || { echo "no losetup"; return 1; }
	for loop_type; do
		for loop_word in $(loop_program "$loop_type"); do
			command -v "$loop_word" >/dev/null || { echo "no $loop_word"; return 1; }
		done
		loop_word=$(loop_driver "$loop_type")
		[ "$loop_type" != ntfs ] || loop_type=ntfs3
		[ "$loop_type" = slow ] || loop_kernel_knows "$loop_type" ||
		    { [ -n "$loop_word" ] && [ -e /dev/fuse ] && command -v "$loop_word" >/dev/null; } ||
		    { echo "this kernel does not know $loop_type${loop_word:+, and there is no $loop_word}"; return 1; }
	done
	loop_probe=$(mktemp "${TMPDIR:-/tmp}/samara-loop.XXXXXX")
	truncate -s 1M "$loop_probe"
	if loop=$(losetup -f --show "$loop_probe" 2>/dev/null); then
		losetup -d "$loop"
		rm -f "$loop_probe"
		return 0
	fi
	rm -f "$loop_probe"
	echo "losetup is not allowed here"
	return 1
}

loop_attach() {
	loop_file=$(realpath -m "$1")
	shift
	case ${1:-} in
	''|ro) ;;
	*)	truncate -s "$1" "$loop_file"
		shift ;;
	esac
	# Another may take the same free device at the same moment.
	loop_left=50
	until loop=$(losetup -f --show ${1:+-r} "$loop_file" 2>loop.log) || loop_enough; do sleep 0.05; done
	[ -n "$loop" ] || { cat loop.log; echo "losetup $loop_file failed"; return 1; }
	loop_devices="$loop:$loop_file $loop_devices"
}
loop_enough() {
	loop_left=$((loop_left - 1))
	[ "$loop_left" -le 0 ]
}

loop_format() {
	case $2 in
	ext4)	mkfs.ext4 -q -F -m 0 "$1" ;;
	xfs|btrfs) "mkfs.$2" -q -f "$1" ;;
	exfat)	mkfs.exfat "$1" ;;
	ntfs)	mkfs.ntfs -q -Q -F "$1" ;;
	esac >loop.log 2>&1 || { cat loop.log; return 1; }
}

loop_mount() {
	mkdir -p "$2"
	loop_type=$(blkid -p -s TYPE -o value "$1")
	loop_options=nodev,nosuid,noexec${3:+,$3}
	loop_word=$loop_type
	[ "$loop_type" != ntfs ] || loop_word=ntfs3
	if loop_kernel_knows "$loop_word"; then
		mount -t "$loop_word" -o "$loop_options" "$1" "$2"
	else
		"$(loop_driver "$loop_type")" -o "$loop_options" "$1" "$2" >loop.log 2>&1
	fi || { cat loop.log; return 1; }
	loop_mounts="$2 $loop_mounts"
}

loop_unmount() {
	umount "$1"
}

# loop_is_ours DEVICE FILE: it still stands for this file, and for nobody else's
loop_is_ours() {
	[ "$(losetup -n -O BACK-FILE "$1" 2>/dev/null)" = "$2" ]
}

loop_is_gone() { ! loop_is_ours "$@"; }

# loop_file_of DEVICE: the file it was attached to here; "" if it was not
loop_file_of() {
	for loop_word in $loop_devices; do
		[ "${loop_word%%:*}" != "$1" ] || { echo "${loop_word#*:}"; return; }
	done
}

# A driver may hold the device a moment longer than its mount is there.
loop_detach() {
	loop_file=$(loop_file_of "$1")
	! loop_is_ours "$1" "$loop_file" || losetup -d "$1"
	loop_until loop_is_gone "$1" "$loop_file"
}

loop_shrink() {
	truncate -s "$3" "$2"
	losetup -c "$1"
}

loop_slow_attach() {
	loop_dir=$1
	mkdir -p "$loop_dir/file"
	[ -z "$2" ] || truncate -s "$2" "$loop_dir/disk.img"
	rm -f "$loop_dir/socket"
	shift 2
	nbdkit -f -U "$loop_dir/socket" --filter=delay file "$loop_dir/disk.img" "$@" >"$loop_dir/nbdkit.log" 2>&1 &
	echo $! >"$loop_dir/nbdkit.pid"
	loop_slow="$loop_dir $loop_slow"
	loop_until test -S "$loop_dir/socket" || { cat "$loop_dir/nbdkit.log"; return 1; }
	nbdfuse "$loop_dir/file" "nbd+unix://?socket=$loop_dir/socket" >"$loop_dir/nbdfuse.log" 2>&1 &
	echo $! >"$loop_dir/nbdfuse.pid"
	loop_until test -f "$loop_dir/file/nbd" || { cat "$loop_dir/nbdfuse.log"; return 1; }
	loop_attach "$loop_dir/file/nbd"
	echo "$loop" >"$loop_dir/loop"
}

loop_still() {
	kill -STOP "$(cat "$1/nbdkit.pid")"
}

loop_pull() {
	kill -KILL "$(cat "$1/nbdkit.pid")"
	wait "$(cat "$1/nbdkit.pid")" 2>/dev/null || true
	# The file behind the loop device has a cache of its own, as no disk has.
	echo 3 2>/dev/null >/proc/sys/vm/drop_caches || true
}

# loop_slow_end DIR: after its device was unmounted; the image file stays
loop_slow_end() {
	[ ! -s "$1/loop" ] || loop_detach "$(cat "$1/loop")"
	kill -KILL "$(cat "$1/nbdkit.pid")" 2>/dev/null || true
	wait "$(cat "$1/nbdkit.pid")" 2>/dev/null || true
	fusermount3 -u "$1/file" 2>/dev/null || umount -l "$1/file" 2>/dev/null || true
	kill "$(cat "$1/nbdfuse.pid")" 2>/dev/null || true
	wait "$(cat "$1/nbdfuse.pid")" 2>/dev/null || true
	: >"$1/loop"
}

# The file system stops at once, without its log (FS_IOC_SHUTDOWN of ext4 and xfs).
loop_cut() {
	python3 - "$1" <<'END'
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587d, 2
fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
END
}

loop_end() {
	for loop_word in $loop_mounts; do
		# Where the driver is dead nothing can be asked of it.
		umount "$loop_word" 2>/dev/null || umount -l "$loop_word" 2>/dev/null || true
	done
	for loop_word in $loop_slow; do
		loop_slow_end "$loop_word"
	done
	for loop_word in $loop_devices; do
		! loop_is_ours "${loop_word%%:*}" "${loop_word#*:}" || losetup -d "${loop_word%%:*}" || true
	done
	loop_mounts='' loop_devices='' loop_slow=''
}
