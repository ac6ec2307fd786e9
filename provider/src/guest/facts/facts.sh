# Says what this guest is and what Docker on it looks like, as one JSON object. A missing tool gives null or nothing.
text() { # one JSON string, or null
  if [ -n "$1" ]; then printf '"%s"' "$(printf %s "$1" | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g')"; else printf null; fi
}
field() { printf ',"%s":' "$1"; text "$2"; }
file() { printf ',"%s":' "$1"; if [ -r "$2" ]; then printf '"%s"' "$(base64 -w0 < "$2")"; else printf null; fi; }

os() { sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | tr -d "\"'"; }
printf '{"os_id":'; text "$(os ID)"
field os_version "$(os VERSION_ID)"
field os_codename "$(os VERSION_CODENAME)"
field kernel "$(uname -r)"
field arch "$(uname -m)"
field hostname "$(uname -n)"
field boot_id "$(cat /proc/sys/kernel/random/boot_id)"
field virtualization "$(systemd-detect-virt 2>/dev/null)"

# Docker must not run on a node, nor on the other products whose storage or network it would disturb.
printf ',"proxmox":['
{
  for package in proxmox-ve pve-manager proxmox-backup-server pmg-api; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' $package 2>/dev/null)" != installed ] || echo $package
  done
  [ ! -e /etc/pve/.version ] || echo /etc/pve
} | sed 's/.*/"&"/' | paste -sd, -
printf ']'

dpkg-query -W -f '${db:Status-Want} ${db:Status-Status} ${Package} ${Version}\n' \
  docker-ce docker-ce-cli containerd.io docker-compose-plugin docker-buildx-plugin \
  docker.io docker-cli docker-compose docker-compose-v2 docker-buildx containerd runc podman-docker qemu-guest-agent \
  2>/dev/null |
  awk '$2 == "installed" { packages = packages "," "\"" $3 "\":\"" $4 "\""; if ($1 == "hold") held = held ",\"" $3 "\"" }
    END { printf ",\"packages\":{%s},\"held\":[%s]", substr(packages, 2), substr(held, 2) }'

file daemon_json /etc/docker/daemon.json
file containerd_toml /etc/containerd/config.toml
file manifest /etc/pmoves/docker.json
printf ',"files":{'
sha256sum /etc/systemd/system/docker.service.d/pmoves.conf /etc/systemd/system/containerd.service.d/pmoves.conf \
  /etc/systemd/system/pmoves-prune.service /etc/systemd/system/pmoves-prune.timer \
  /etc/docker/certs.d/*/ca.crt /etc/apt/apt.conf.d/90pmoves-proxy \
  $(grep -lsx X-Pmoves=mount /etc/systemd/system/*.mount) 2>/dev/null |
  awk '{ sub(/^\\/, "", $1); printf "%s\"%s\":\"%s\"", comma, $2, $1; comma = "," }' # a backslash before odd names
printf '}'

printf ',"units":{'
systemctl show -p Id -p LoadState -p ActiveState docker.service docker.socket containerd.service 2>/dev/null |
  awk -F= '/=/ { got[$1] = $2 }
    function unit() { if (got["LoadState"] == "loaded") { printf "%s\"%s\":\"%s\"", comma, got["Id"], got["ActiveState"]; comma = "," } split("", got) }
    /^$/ { unit() }
    END { unit() }'
printf '}'

# Asking would start a stopped daemon by its socket, so it is only asked when it runs.
info=''
if command -v docker > /dev/null && grep -qsx dockerd /proc/[0-9]*/comm; then
  engine() { timeout 20 docker -H unix:///var/run/docker.sock "$@" 2>/dev/null; }
  info=$(engine info --format '{"server":{{json .ServerVersion}},"driver":{{json .Driver}},"root":{{json .DockerRootDir}},"logging":{{json .LoggingDriver}},"live_restore":{{json .LiveRestoreEnabled}},"swarm":{{json .Swarm.LocalNodeState}},"containers":{{json .Containers}},"warnings":{{json .Warnings}}')
  case $info in
    '{"server":""'*) info='' ;;
    '{"server":"'*) info="$info,\"volumes\":$(engine volume ls -q | wc -l)}" ;;
    *) info='' ;;
  esac
fi
printf ',"docker":%s' "${info:-null}"
field compose "$(docker compose version --short 2>/dev/null)"

comma=""
printf ',"nics":['
for nic in /sys/class/net/*; do
  name=${nic##*/}
  case $name in lo | docker0 | docker_gwbridge | br-* | veth*) continue ;; esac
  [ "$(cat "$nic/type" 2>/dev/null)" = 1 ] || continue
  # A VLAN or a bridge has the MAC address of the NIC below it.
  stacked=false
  for lower in "$nic"/lower_*; do [ ! -e "$lower" ] || stacked=true; done
  addresses=$(ip -o address show dev "$name" scope global 2>/dev/null | awk '{ printf "%s\"%s\"", comma, $4; comma = "," }')
  printf '%s{"mac":"%s","name":"%s","mtu":%s,"stacked":%s,"addresses":[%s]}' \
    "${comma:-}" "$(cat "$nic/address")" "$name" "$(cat "$nic/mtu")" $stacked "$addresses"
  comma=,
done
printf ']'

# Network filesystems are left out: a dead server would make this hang.
mounts=$(findmnt -Jbl -t ext2,ext3,ext4,xfs,btrfs,zfs,f2fs -o TARGET,SOURCE,FSTYPE,SIZE,USED 2>/dev/null)
printf ',"mounts":%s' "${mounts:-null}"
field docker_group "$(getent group docker | cut -d: -f4)"
printf '}\n'
