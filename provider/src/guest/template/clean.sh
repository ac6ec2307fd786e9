# Takes away what makes this guest one machine. Docker's packages, images and volumes stay.
fail() { echo "$*" >&2; exit 1; }
root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null)
for unit in docker.socket docker.service containerd.service; do
  if systemctl is-active --quiet $unit; then systemctl stop $unit || fail "$unit does not stop"; fi
done
[ -z "$root" ] || rm -f "$root/engine-id"
if command -v cloud-init > /dev/null; then
  cloud-init clean --logs > /dev/null || fail "cloud-init cannot be cleaned"
elif command -v ssh-keygen > /dev/null; then
  # Nothing else would make host keys for a clone.
  cat > /etc/systemd/system/pmoves-host-keys.service << 'END'
[Unit]
Description=SSH host keys of a clone
Before=ssh.service sshd.service
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
END
  systemctl -q enable pmoves-host-keys.service || fail "the unit for host keys cannot be enabled"
fi
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -rf /var/lib/dhcp/* /run/systemd/netif/leases/* /var/lib/systemd/random-seed /root/.bash_history /var/log/journal/*
find /var/log -type f -exec truncate -s 0 {} +
if command -v apt-get > /dev/null; then apt-get clean; fi
# Empty, not missing: systemd then draws a new one at the next boot.
: > /etc/machine-id || fail "the machine-id cannot be emptied"
[ -h /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
sync
