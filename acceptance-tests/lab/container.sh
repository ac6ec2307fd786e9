#!/bin/bash
# container.sh RUN DIR VMID MEMORY_MIB TEMPLATE DEVICE [NAME DEVICE PATH]...: runs in the node, in a mount namespace of
# its own; starts the container of DIR/config and tells on stdout what becomes of it: up, then stop or reboot.
# DEVICE holds its root, which is unpacked from the directories in TEMPLATE (upper ones first, with colons between them),
# unless it was before; the others are its mount points.
set -eu
run=$1 dir=$2 vmid=$3 memory=$4 template=$5 device=$6
shift 6
exec 3>&1 >&2
. "$run/cgroup.sh"
place=/srv/$vmid
inside() { lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- "$@"; }

# volume DEVICE DIRECTORY: mounts it as its owner made it, or empty, owned by the container's root.
volume() {
  if blkid "$1" >/dev/null; then
    local status
    # Those who had it mounted may still be on their way out; until they are gone the status is 8.
    for _ in {1..100}; do
      status=0
      e2fsck -fp "$1" || status=$?
      [ $status = 8 ] || break
      sleep 0.1
    done
    # Another status than 0 says that something was mended, or could not be.
    [ $status -le 1 ]
    # It may have grown.
    resize2fs "$1"
  else
    mkfs.ext4 -q -E root_owner=100000:100000 "$1"
  fi
  mkdir -p "$2"
  mount "$1" "$2"
}

volume "$device" "$place/rootfs"
if [ ! -d "$place/rootfs/etc" ]; then
  # An overlay wants two layers at least.
  mkdir -p "$place"/{template,nothing}
  mount -t overlay -o "ro,lowerdir=$place/nothing:$template" overlay "$place/template"
  tar -C "$place/template" --exclude='./dev/*' -c . | inside tar -C "$place/rootfs" -x
  umount "$place/template"
  tar -C "$dir/once" -c . | inside tar -C "$place/rootfs" -x --no-same-owner --no-overwrite-dir
  inside ssh-keygen -q -A -f "$place/rootfs"
fi
tar -C "$dir/always" -c . | inside tar -C "$place/rootfs" -x --no-same-owner --no-overwrite-dir
while [ $# -ge 3 ]; do
  volume "$2" "$place/$1"
  echo "lxc.mount.entry = $place/$1 ${3#/} none bind,create=dir 0 0" >> "$dir/config"
  shift 3
done
if [ -d /sys/fs/cgroup/memory ]; then
  echo "lxc.cgroup.memory.limit_in_bytes = $((memory << 20))" >> "$dir/config"
else
  echo "lxc.cgroup2.memory.max = $((memory << 20))" >> "$dir/config"
fi

rm -f "$dir/news"
mkfifo "$dir/news"
# Open for reading and writing, so that nobody who opens it waits.
exec 4<> "$dir/news"
{ lxc-start -F -P "$run/guests" -n "$vmid" -o "$dir/lxc.log" </dev/null 3>&- 4>&- || :; echo gone >&4; } &
while read -r -u 4 news && [ "$news" != gone ]; do echo "$news" >&3; done
wait
