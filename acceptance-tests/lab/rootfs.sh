#!/bin/bash
# rootfs.sh OUT SUITE MIRROR SECURITY PACKAGES DOCKER_PACKAGES NODE_PACKAGES
# Makes OUT/base (a small Debian as a cloud image has it), OUT/docker (what the Docker packages and the
# guest agent add to it, as an overlay layer) and OUT/node (the same for what runs containers and networks on a node).
# Runs in its own mount and PID namespace.
set -eu -o pipefail
out=$1 suite=$2 mirror=$3 security=$4 packages=$5 docker=$6 node=$7
mount --make-rprivate /

skip=()
for directory in man doc locale info lintian; do skip+=("--dpkgopt=path-exclude=/usr/share/$directory/*"); done
mmdebstrap --quiet --mode=root --variant=minbase --skip=check/empty --dpkgopt=force-unsafe-io "${skip[@]}" \
  --aptopt='APT::Install-Recommends "false"' --include="$packages" "$suite" "$out/base" \
  "deb $mirror $suite main" "deb $mirror $suite-updates main" "deb $security $suite-security main"
# mmdebstrap leaves the machine's own resolver in there, and guests would ask it in vain.
rm -f "$out/base/etc/resolv.conf" "$out/base/etc/hostname"
: > "$out/base/etc/machine-id"

# layer NAME PACKAGES: installs packages above the base.
layer() {
  mkdir -p "$out/$1" "$out/work" "$out/merged"
  root=$out/merged
  mount -t overlay overlay -o "lowerdir=$out/base,upperdir=$out/$1,workdir=$out/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/run"
  mkdir "$root/run/names"
  for name in resolv.conf hosts; do
    [ -e "$root/etc/$name" ] || : > "$root/etc/$name"
    cp "/etc/$name" "$root/run/names/"
    mount --bind "$root/run/names/$name" "$root/etc/$name"
  done
  printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
  inside apt-get -qq update
  inside apt-get -qq -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 --no-install-recommends install ${2//,/ }
  inside apt-get -qq clean
  umount "$root/etc/resolv.conf" "$root/etc/hosts"
  rm -rf "$root/usr/sbin/policy-rc.d" "$root/etc/resolv.conf" "$root"/var/lib/apt/lists/*
  umount "$root/run" "$root/proc" "$root"
  rm -rf "$out/work" "$out/merged"
}
layer docker "$docker"
mkdir -p "$out/docker/etc/systemd/system/multi-user.target.wants"
ln -s ../qemu-guest-agent.service "$out/docker/etc/systemd/system/multi-user.target.wants/"
layer node "$node"
