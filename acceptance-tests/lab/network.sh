#!/bin/bash
# network.sh DIR CARD...: runs on the lab's node, in mount and network namespaces of its own, which become the network of
# one Proxmox VE node with these cards: DIR/interfaces is its /etc/network/interfaces.
set -eu
dir=$1
shift
# What is in it depends on the network that it is mounted in.
mount -t sysfs sysfs /sys
# ifupdown2 remembers here what it has brought up, and would take down what another node has.
mkdir -p /run/network /var/tmp/network
mount -t tmpfs tmpfs /run/network
mount -t tmpfs tmpfs /var/tmp/network
# Where the iproute2 of Debian 13 has no such directory, ifupdown2 fails; that of Proxmox VE makes it.
mkdir -p /etc/iproute2/rt_tables.d
touch /etc/network/interfaces "$dir/interfaces"
mount --bind "$dir/interfaces" /etc/network/interfaces
index=0
for card; do
  ip link add "$card" type veth peer name "far$index"
  ip link set "far$index" up
  index=$((index + 1))
done
echo $$
exec sleep infinity >/dev/null
