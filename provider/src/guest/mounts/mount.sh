# Makes the unit $unit with $text, which mounts a filesystem of $type at $where, and starts it. $mark tells units of ours.
# Exit status 69 and a package when tools are missing.
fail() { echo "$*" >&2; exit 1; }
case $type in
  nfs*) command -v mount.nfs > /dev/null || { echo nfs-common; exit 69; } ;;
  cifs) command -v mount.cifs > /dev/null || { echo cifs-utils; exit 69; } ;;
esac
name=${unit##*/}
mounted() { findmnt -rn --mountpoint "$where" > /dev/null; }
if [ "$(cat "$unit" 2>/dev/null)" != "$text" ]; then
  if [ -e "$unit" ]; then
    grep -qx "$mark" "$unit" || fail "$unit is somebody else's"
    systemctl stop "$name"
    ! mounted || fail "$where is in use, so it cannot be mounted anew; stop what uses it first"
  elif mounted; then
    fail "something else is mounted at $where"
  else
    mkdir -p "$where"
    [ -z "$(ls -A "$where")" ] || fail "$where is not empty: the share would hide what is in it"
    # As long as the share is away, nothing shall be written beneath it.
    chattr +i "$where" 2>/dev/null
  fi
  printf '%s\n' "$text" > "$unit" || fail "$unit cannot be written"
  systemctl daemon-reload
fi
systemctl enable --quiet "$name" || fail "$name cannot be enabled"
mounted || systemctl start "$name" || {
  journalctl -u "$name" -n 5 -o cat --no-pager >&2
  exit 1
}
mounted || fail "$where is not mounted"
