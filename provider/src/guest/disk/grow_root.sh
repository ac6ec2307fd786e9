# Grows the partition of / and its filesystem to the size of the disk.
source=$(findmnt -nvo SOURCE /)
[ -b "$source" ] || exit 0
name=$(basename "$(readlink -f "$source")")
disk=$(lsblk -ndo PKNAME "/dev/$name")
[ ! -w "/sys/class/block/${disk:-$name}/device/rescan" ] || echo 1 > "/sys/class/block/${disk:-$name}/device/rescan"
part=$(cat "/sys/class/block/$name/partition" 2>/dev/null)
if [ -n "$disk" ] && [ -n "$part" ]; then
  command -v growpart > /dev/null || { echo "the guest has no growpart (cloud-guest-utils), so the partition stays as it is" >&2; exit 1; }
  answer=$(growpart "/dev/$disk" "$part" 2>&1) || case $answer in
    NOCHANGE*) ;;
    *) echo "$answer" >&2; exit 1 ;;
  esac
fi
case $(findmnt -nvo FSTYPE /) in
  ext4) resize2fs "/dev/$name" >&2 ;;
  xfs) xfs_growfs / >&2 ;;
  btrfs) btrfs filesystem resize max / >&2 ;;
esac
