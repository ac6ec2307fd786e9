#!/bin/sh
# Cloud images carry no guest agent, and everything after the first boot goes through it.
if ! command -v qemu-ga >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
  for pause in 2 5 10 20 40; do
    if command -v apt-get >/dev/null; then
      apt-get update && apt-get -o DPkg::Lock::Timeout=300 -y --no-install-recommends install qemu-guest-agent && break
    elif command -v dnf >/dev/null; then
      dnf -y install qemu-guest-agent && break
    elif command -v zypper >/dev/null; then
      zypper --non-interactive install qemu-guest-agent && break
    fi
    sleep $pause
  done
fi
# Debian's unit has no [Install] section and waits for udev to see the port, which it did before the package came.
systemctl enable qemu-guest-agent.service || true
systemctl start qemu-guest-agent.service
