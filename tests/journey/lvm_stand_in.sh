# shellcheck shell=sh
# Programs of lvm that are stood in for, sourced by a journey: bin/ has them, what they
# are called with goes into lvm.log, and their snapshot of the file system below $WORK is a
# small tmpfs in which src/a says "still".  For root.

mkdir bin
for program in lvs lvcreate lvremove mount umount; do
	cat >bin/$program <<'END'
#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"$WORK/lvm.log"
case $name in
lvs) case $* in *lv_name\ VG/*|*lv_name\ vg0/*) [ -e "$WORK/lv" ] ;; *) echo "  vg0 data" ;; esac ;;
lvcreate) : >"$WORK/lv" ;;
lvremove) rm "$WORK/lv" ;;
mount) for dir; do :; done; PATH=$REAL_PATH mount -t tmpfs none "$dir" && cp -a "$WORK/tree/." "$dir$WORK_IN_MOUNT/" ;;
umount) PATH=$REAL_PATH umount "$1" ;;
esac
END
	chmod +x bin/$program
done
REAL_PATH=$PATH
export REAL_PATH
mkdir tree
mount_point=$(df --output=target . | tail -1)
[ "$mount_point" != / ] || mount_point=
WORK_IN_MOUNT=
export WORK_IN_MOUNT
mkdir -p "tree${WORK#"$mount_point"}/src"
echo still >"tree${WORK#"$mount_point"}/src/a"
