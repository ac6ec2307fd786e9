# Finds the disk with serial $serial, formats it with $kind if it is blank, mounts it at $mount, grows it.
# $mark is a line for the unit of a mount that may be taken back.
# Answers with one JSON object; exit status 69 and a package when tools are missing.
fail() { echo "$*" >&2; exit 1; }
tools() {
  case $1 in
    ext4) command -v resize2fs > /dev/null || { echo e2fsprogs; exit 69; } ;;
    xfs) command -v xfs_growfs > /dev/null || { echo xfsprogs; exit 69; } ;;
  esac
}

udevadm settle --timeout=10 2>/dev/null
tries=0 device='' link=''
while [ -z "$device" ]; do
  for found in /dev/disk/by-id/*[-_]"$serial"; do
    [ -b "$found" ] || continue
    real=$(readlink -f "$found")
    [ -z "$device" ] || [ "$device" = "$real" ] || fail "two disks have the serial $serial: $device and $real"
    device=$real link=${link:-$found}
  done
  tries=$((tries + 1))
  [ -n "$device" ] || [ $tries -lt 60 ] || fail "no disk with the serial $serial appeared in 30 s"
  [ -n "$device" ] || sleep 0.5
done
name=${device##*/}
[ ! -w "/sys/class/block/$name/device/rescan" ] || echo 1 > "/sys/class/block/$name/device/rescan"

probe() { blkid -p -o value -s "$1" "$device"; }
here=$(findmnt -rnvo SOURCE --mountpoint "$mount")
if [ -n "$here" ] && [ "$(readlink -f "$here")" != "$device" ]; then fail "$mount is a mount of $here, not of $device"; fi

# blkid answers 2 for a blank disk and for an unreadable one.
head -c 65536 "$device" > /dev/null || fail "$device cannot be read"
blkid -p "$device" > /dev/null 2>&1
probed=$? formatted=false
if [ $probed = 2 ]; then
  for user in "/sys/class/block/$name"/holders/* "/sys/class/block/$name/$name"*; do
    [ ! -e "$user" ] || fail "$device is in use by ${user##*/}"
  done
  tools "$kind"
  "mkfs.$kind" -q -L "$serial" "$device" >&2 || fail "$device cannot be formatted"
  formatted=true
elif [ $probed != 0 ]; then
  fail "$device holds something that blkid cannot name (status $probed); it is left alone"
fi
type=$(probe TYPE) label=$(probe LABEL) uuid=$(probe UUID)
case $type in
  ext4 | xfs) ;;
  *) fail "$device holds ${type:-a partition table ($(probe PTTYPE))}; it is left alone" ;;
esac
[ -n "$here" ] || [ "$label" = "$serial" ] ||
  fail "$device holds a filesystem that was not made here (label \"$label\"); it is left alone"

tools "$type"
if [ -z "$here" ]; then
  mkdir -p "$mount"
  [ -z "$(ls -A "$mount")" ] || fail "$mount is not empty: the disk would hide what is in it"
fi
if ! grep -Eqs "^[^#[:space:]]+[[:space:]]+$mount/?[[:space:]]" /etc/fstab; then
  unit=$(systemd-escape --path --suffix=mount "$mount")
  check=''
  # A container has neither udev nor device units, so the check would wait for one in vain.
  if [ -S /run/udev/control ]; then
    check=$(systemd-escape --path --template=systemd-fsck@.service "$link")
    check="Wants=$check
After=$check"
  fi
  text="[Unit]
Description=Data disk $serial
$mark
$check

[Mount]
What=$link
Where=$mount
Type=$type

[Install]
WantedBy=local-fs.target"
  if [ "$(cat "/etc/systemd/system/$unit" 2>/dev/null)" != "$text" ]; then
    printf '%s\n' "$text" > "/etc/systemd/system/$unit" || fail "the mount unit cannot be written"
    systemctl daemon-reload
  fi
  systemctl enable --quiet "$unit" || fail "$unit cannot be enabled"
fi
if [ -z "$here" ]; then
  systemctl start "$(systemd-escape --path --suffix=mount "$mount")" || fail "$device cannot be mounted at $mount"
  findmnt -rn --mountpoint "$mount" > /dev/null || fail "$mount is not mounted"
fi

case $type in
  ext4) resize2fs "$device" >&2 ;;
  xfs) xfs_growfs "$mount" >&2 ;;
esac || fail "the filesystem of $device cannot be grown"

printf '{"device":"%s","uuid":"%s","filesystem":"%s","size":%s,"formatted":%s}\n' \
  "$device" "$uuid" "$type" "$(blockdev --getsize64 "$device")" $formatted
