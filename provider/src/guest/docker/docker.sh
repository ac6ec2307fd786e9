set -e
mounted() {
  findmnt -rn --mountpoint "$1" > /dev/null || { echo "nothing is mounted at $1: Docker is not set up on a bare directory" >&2; exit 1; }
}
unused() { # the data root $1
  [ -z "$(ls -A "$1/containers" 2>/dev/null)" ] || { echo "containers live in $1: a root in use is not moved" >&2; exit 1; }
}
accept() { # the new daemon.json, unless the daemon that is there refuses it
  if command -v dockerd > /dev/null && dockerd --help 2>&1 | grep -q -e --validate; then
    set -- "$1"
    # The unit's flags count: a key that repeats one of them stops the daemon.
    if systemctl cat docker.service 2>/dev/null | grep -q '^ExecStart=.*fd://'; then set -- "$1" -H fd://; fi
    file=$1
    shift
    dockerd --validate "$@" --config-file "$file" || { rm -f "$file"; exit 1; }
  else
    file=$1
  fi
  mv -f "$file" /etc/docker/daemon.json
}
# systemd allows three starts a minute, and a socket whose service failed stays failed.
fresh() { systemctl reset-failed docker.service docker.socket containerd.service 2>/dev/null || true; }
up() {
  fresh
  systemctl "$1" docker.service || {
    journalctl -u docker.service -u containerd.service -n 15 -o cat --no-pager >&2
    exit 1
  }
}
start() {
  systemctl enable --quiet docker.service
  systemctl is-active --quiet docker.service || up start
}
reload() { if systemctl is-active --quiet docker.service; then systemctl reload docker.service; else start; fi; }
restart() {
  systemctl enable --quiet docker.service
  up restart
}
halt() { # without the socket, or the next client would start Docker again
  for unit in docker.socket docker.service containerd.service; do
    ! systemctl is-active --quiet $unit || systemctl stop $unit
  done
}
release() {
  held=$(apt-mark showhold docker.io docker-cli docker-ce docker-ce-cli)
  # shellcheck disable=SC2086
  [ -z "$held" ] || apt-mark unhold $held
}
