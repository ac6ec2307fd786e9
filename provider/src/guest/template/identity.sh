#!/bin/sh
# A template that was not cleaned leaves its machine-id to all its clones: it is older than this boot.
boot=$(($(date +%s) - $(cut -d. -f1 /proc/uptime)))
if [ "$(stat -c %Y /etc/machine-id)" -lt $boot ]; then
  rm -f /etc/machine-id
  [ -h /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
  systemd-machine-id-setup
fi
