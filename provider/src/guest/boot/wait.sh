# Waits for the boot, and where `network` is set for an address; then names missing kernel modules.
ready() {
  case $(systemctl is-system-running 2>/dev/null) in
    running | degraded | maintenance) ;;
    *) return 1 ;;
  esac
  [ -z "$network" ] || [ -n "$(ip -o address show scope global 2>/dev/null)" ]
}
tries=0
until ready; do
  tries=$((tries + 1))
  [ $tries -lt 20 ] || exit 75
  sleep 0.5
done
grep -qw overlay /proc/filesystems || echo overlay
[ -e /proc/sys/net/bridge ] || echo br_netfilter
