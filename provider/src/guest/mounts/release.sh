# Stops and removes the mounts that bear $mark, but for those at a path of $keep, one a line.
fail() { echo "$*" >&2; exit 1; }
for unit in /etc/systemd/system/*.mount; do
  grep -qsx "$mark" "$unit" || continue
  where=$(sed -n 's/^Where=//p' "$unit") name=${unit##*/}
  case $keep in *"
$where
"*) continue ;; esac
  device=$(findmnt -rno MAJ:MIN --mountpoint "$where" 2>/dev/null)
  systemctl stop "$name"
  ! findmnt -rn --mountpoint "$where" > /dev/null || fail "$where is in use and cannot be unmounted; stop what uses it first"
  # Containers have mounts of their own, which keep the device although the guest has let go of it.
  for user in $([ -z "$device" ] || grep -ls " $device " /proc/[0-9]*/mountinfo); do
    grep -qs -e /docker- -e /docker/ "${user%/mountinfo}/cgroup" || continue
    systemctl start "$name"
    fail "a container uses $where; stop it first"
  done
  systemctl disable --quiet "$name"
  rm -f "$unit"
  chattr -i "$where" 2>/dev/null
  rmdir "$where" 2>/dev/null
  gone=1
done
[ -z "$gone" ] || systemctl daemon-reload
