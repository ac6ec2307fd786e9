# Starts the script as the unit $name, unless it runs already.
case $(systemctl is-active "$name.service") in
  active | activating | deactivating) exit 0 ;;
esac
set -e
mkdir -p -m 0700 /run/pmoves
cd /run/pmoves
rm -f "$name.result" "$name.log"
WRITE
(umask 077; : > "$name.log")
systemctl reset-failed "$name.service" 2>/dev/null || true
# Gone from systemd when it ends, with or without success: the result is in a file.
exec systemd-run --quiet --collect --unit="$name" \
  --setenv=PATH="$PATH" --setenv=LC_ALL=C --setenv=HOME=/root \
  /bin/sh -c 'cd /run/pmoves; /bin/sh "$0.sh" > "$0.log" 2>&1 < /dev/null; echo $? > "$0.part"; rm -f "$0.sh"; mv "$0.part" "$0.result"' "$name"
