#!/bin/bash
# layer.sh OUT: what every guest has above its Debian, because it is no full machine.
set -eu
units=$1/etc/systemd/system
mkdir -p "$units" "$1/etc/cloud/cloud.cfg.d" "$1/etc/systemd/system-generators"

# Debian's unit waits for a virtio port; this one makes a socket where the port would be. The commands it refuses
# would reach through to the machine: its file systems, its clock, its processors.
cat > "$units/qemu-guest-agent.service" <<'UNIT'
[Unit]
Description=QEMU Guest Agent
ConditionPathIsDirectory=/dev/virtio-ports
[Service]
ExecStartPre=/bin/rm -f /dev/virtio-ports/org.qemu.guest_agent.0
ExecStart=/usr/sbin/qemu-ga --method=unix-listen --path=/dev/virtio-ports/org.qemu.guest_agent.0 --block-rpcs=guest-fsfreeze-freeze,guest-fsfreeze-freeze-list,guest-fstrim,guest-set-time,guest-set-vcpus,guest-set-memory-blocks,guest-suspend-disk,guest-suspend-ram,guest-suspend-hybrid
Restart=always
RestartSec=0
[Install]
WantedBy=multi-user.target
UNIT

enable() { mkdir -p "$units/$1.wants"; ln -s "/usr/lib/systemd/system/$2" "$units/$1.wants/$2"; }
enable multi-user.target systemd-networkd.service
enable network-online.target systemd-networkd-wait-online.service
enable sysinit.target systemd-resolved.service
ln -s ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"

# Like a cloud image: a guest whose seed says nothing of the network asks for an address.
mkdir -p "$1/etc/systemd/network"
printf '[Match]\nName=eth*\n[Network]\nDHCP=ipv4\n' > "$1/etc/systemd/network/90-default.network"

# Hardware and kernel belong to the machine; timers only make noise.
for unit in dev-hugepages.mount sys-kernel-{config,debug,tracing}.mount sys-fs-fuse-connections.mount \
  systemd-{udevd,udev-trigger,udev-settle,logind,modules-load,sysctl,pstore,network-generator}.service modprobe@.service \
  getty@.service console-getty.service getty-static.service \
  ldconfig.service systemd-journal-catalog-update.service \
  apt-daily.timer apt-daily-upgrade.timer fstrim.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
  cloud-init-hotplugd.socket; do
  ln -s /dev/null "$units/$unit"
done

# More than one candidate, so that cloud-init searches and finds nothing once the seed is gone, as on a VM.
echo 'datasource_list: [ NoCloud, ConfigDrive, None ]' > "$1/etc/cloud/cloud.cfg.d/90-lab.cfg"

# systemd skips the devices of fstab where /sys is read-only; a VM mounts them.
generator=$1/etc/systemd/system-generators/systemd-fstab-generator
cat > "$generator" <<'GENERATOR'
#!/bin/sh
/usr/lib/systemd/system-generators/systemd-fstab-generator "$@"
[ -r /etc/fstab ] || exit 0
while read -r what where type options _; do
  case $what in /dev/*) ;; UUID=* | LABEL=*) what=$(findfs "$what") || continue ;; *) continue ;; esac
  case $where in / | [!/]*) continue ;; esac
  case ,$options, in *,noauto,*) continue ;; *,nofail,*) kind=wants ;; *) kind=requires ;; esac
  unit=$(systemd-escape --path --suffix=mount "$where")
  printf '[Unit]\nSourcePath=/etc/fstab\nBefore=local-fs.target\n[Mount]\nWhat=%s\nWhere=%s\nType=%s\nOptions=%s\n' \
    "$what" "$where" "$type" "$options" > "$1/$unit"
  mkdir -p "$1/local-fs.target.$kind"
  ln -s "../$unit" "$1/local-fs.target.$kind/$unit"
done < /etc/fstab
GENERATOR
chmod 755 "$generator"
