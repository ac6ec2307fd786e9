#!/bin/bash
# lab.sh RUN DEBIAN: process 1 of the lab. Its end is the end of all guests, mounts and links.
set -eu
run=$1 debian=$2
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
ip link add vmbr0 type bridge
# One address of the bridge for each name that guests may reach (see RUN/names).
while read -r address _; do ip address add "$address/24" dev vmbr0; done < "$run/names"
ip link set vmbr0 up

records=()
while read -r address name; do records+=("--host-record=$name,$address"); done < "$run/names"
dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --log-facility="$run/dnsmasq.log" \
  --interface=vmbr0 --bind-interfaces --no-resolv --no-hosts --no-poll "${records[@]}" --address=/#/ \
  --dhcp-authoritative --dhcp-range=198.51.100.50,198.51.100.199,12h --dhcp-leasefile="$run/leases" \
  --dhcp-option=option:router,198.51.100.1 --dhcp-no-override --no-ping 3>&- &
OTEL_TRACES_EXPORTER=none docker-registry serve "$run/registry.yml" >"$run/registry.log" 2>&1 3>&- &
exec 4< <(exec unshare --mount bash "$run/node.sh" "$run" "$debian" 3>&-)
read -r -u 4 node
# /proc is the machine's, so this is the process id as the machine sees it.
read -r pid _ < /proc/self/stat
echo "$pid $node" >&3
exec 3>&- 4<&-
# Orphans of guests come here, and bash reaps them.
sleep infinity &
while :; do wait; done
