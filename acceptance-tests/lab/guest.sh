#!/bin/bash
# guest.sh RUN DIR VMID MEMORY_MIB LOWER [MAC BRIDGE]...: runs in the lab; becomes the guest and ends as it ends.
set -eu
run=$1 dir=$2 vmid=$3 memory=$4 lower=$5
shift 5
# The one line that goes to stdout is the process id of the guest's init.
exec 3>&1 >&2
mkdir -p "$dir"/{upper,work,root,docker,containerd,proc}

# Before the cgroup namespace is made.
. "$run/cgroup.sh"

name=g$vmid
ip netns delete "$name" 2>/dev/null || :
ip netns add "$name"
ip -n "$name" link set lo up
index=0
while [ $# -ge 2 ]; do
  tap=tap${vmid}i$index
  ip link delete "$tap" 2>/dev/null || :
  ip link show "$2" >/dev/null 2>&1 || { ip link add "$2" type bridge; ip link set "$2" up; }
  ip link add "$tap" type veth peer name "eth$index" address "$1" netns "$name"
  ip link set "$tap" master "$2" up
  index=$((index + 1))
  shift 2
done
# Nobody else has our addresses; looking for them would cost each boot a second and more.
nsenter --net="/run/netns/$name" bash -c 'for file in /proc/sys/net/ipv6/conf/{default,eth*}/accept_dad; do [ ! -e "$file" ] || echo 0 > "$file"; done'
# Once entered, the network namespace needs no name: it goes with the last process of the guest.
exec nsenter --net="/run/netns/$name" bash -c 'ip netns delete "$1"; shift; exec "$@"' - "$name" \
  unshare --mount --uts --ipc --pid --cgroup --fork --kill-child bash "$run/guest-init.sh" "$dir" "$lower"
