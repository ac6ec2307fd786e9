# shellcheck shell=bash
# Sourced with $run, $vmid and $memory (MiB) set: moves this process into control groups of its own guest, which the
# janitor finds in RUN/cgroups.

# Reading comes first: the file changes with every move.
mapfile -t memberships < /proc/self/cgroup
for membership in "${memberships[@]}"; do
  IFS=: read -r _ controllers path <<< "$membership"
  case $controllers in
    '') mounted=/sys/fs/cgroup/unified; [ -d $mounted ] || mounted=/sys/fs/cgroup ;;
    name=*) mounted=/sys/fs/cgroup/${controllers#name=} ;;
    *) mounted=/sys/fs/cgroup/$controllers ;;
  esac
  parent=$mounted${path%/} group=$mounted${path%/}/pmoves-${run##*/}-$vmid
  echo "$group" >> "$run/cgroups"
  if [ -d "$group" ]; then find "$group" -mindepth 1 -depth -type d -exec rmdir {} \; ; else mkdir "$group"; fi
  case $controllers in
    cpuset) for file in cpuset.cpus cpuset.mems; do cat "$parent/$file" > "$group/$file"; done ;;
    devices) # a guest may make any node, but not get at the machine's disks with it
      for disk in $(grep -hv '^7:' /sys/class/block/*/dev); do echo "b $disk rw" > "$group/devices.deny"; done ;;
    memory) echo $((memory << 20)) > "$group/memory.limit_in_bytes" ;;
  esac
  echo 0 > "$group/cgroup.procs"
done
