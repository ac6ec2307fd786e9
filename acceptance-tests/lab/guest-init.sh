#!/bin/bash
# guest-init.sh DIR LOWER: process 1 of a guest; makes its file system and becomes systemd.
set -eu
dir=$1 lower=$2 root=$1/root
# /proc is still the machine's, so this is the process id as the machine sees it.
read -r pid _ < /proc/self/stat
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

mkdir -p "$root"/dev/{pts,shm,mqueue,net,disk/by-id} "$root"/var/lib/{docker,containerd}
for device in null zero full random urandom tty fuse net/tun; do
  [ ! -e "/dev/$device" ] || cp -a "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"
for link in ptmx=pts/ptmx fd=/proc/self/fd stdin=fd/0 stdout=fd/1 stderr=fd/2 kmsg=null; do
  ln -s "${link#*=}" "$root/dev/${link%%=*}"
done
while read -r node link minor; do bash "${0%/*}/disk.sh" "$root/dev" "$node" "$link" "$minor"; done < "$dir/disks"
if [ -d "$dir/agent" ]; then mkdir "$root/dev/virtio-ports"; mount --bind "$dir/agent" "$root/dev/virtio-ports"; fi

arguments="systemd.log_target=console systemd.show_status=0"
if [ -d /sys/fs/cgroup/memory ]; then # the controllers sit in version 1, and only there are limits real
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
    mkdir "$root/sys/fs/cgroup/$controller"
    mount -t cgroup -o $controller cgroup "$root/sys/fs/cgroup/$controller"
  done
  mkdir "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  arguments="$arguments SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
else
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi

# What belongs to the whole machine is read-only; network settings are per namespace, a fresh proc has the right ones.
readonly() { mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; }
for path in sysrq-trigger irq bus sys; do [ ! -e "$root/proc/$path" ] || readonly "$root/proc/$path"; done
mount -t proc proc "$dir/proc"
mount --bind "$dir/proc/sys/net" "$root/proc/sys/net"
cat /proc/sys/kernel/random/uuid > "$dir/boot_id"
mount --bind "$dir/boot_id" "$root/proc/sys/kernel/random/boot_id"
umount "$dir/proc"

# An overlay cannot carry the overlays of containers.
for data in docker containerd; do mount --bind "$dir/$data" "$root/var/lib/$data"; done
touch "$root/dev/console"
mount --bind "$dir/console.log" "$root/dev/console"
hostname localhost

mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old
echo "$pid" >&3
exec 3>&-
# The clock, modules and ports are the machine's.
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux container=lab \
  setpriv --bounding-set -sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm /sbin/init $arguments </dev/null >>/dev/console 2>&1
