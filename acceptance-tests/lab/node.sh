#!/bin/bash
# node.sh RUN DEBIAN: becomes the file system that the lab's node has, with LXC and ifupdown2, in the lab's network.
set -eu
run=$1 debian=$2 root=$1/node/root
# /proc is still the machine's, so this is the process id as the machine sees it.
read -r pid _ < /proc/self/stat
mkdir -p "$run"/node/{upper,work,root}
mount -t overlay overlay -o "lowerdir=$debian/node:$debian/base,upperdir=$run/node/upper,workdir=$run/node/work" "$root"
mount -t proc proc "$root/proc"
# What is in it depends on the network that it is mounted in.
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root$run" "$root$debian" "$root/.old"
mount --bind "$run" "$root$run"
# What templates are made of.
mount --bind "$debian" "$root$debian"
mount -o remount,bind,ro "$root$debian"
for file in subuid subgid; do echo root:100000:65536 > "$root/etc/$file"; done
cd "$root"
# No chroot: the kernel makes no user namespaces in one.
pivot_root . .old
umount -l /.old
echo "$pid"
exec sleep infinity >/dev/null
