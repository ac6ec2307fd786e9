#!/bin/bash
# disk.sh DEV NODE LINK MINOR: shows loop device MINOR as DEV/NODE with the name DEV/disk/by-id/LINK, as udev would.
set -eu
dev=$1 node=$2 link=$3 minor=$4
mknod -m 660 "$dev/$node" b 7 "$minor"
# /sys knows the disk by this name, and so do lsblk and libmount.
mknod -m 660 "$dev/loop$minor" b 7 "$minor"
ln -s "../../$node" "$dev/disk/by-id/$link"
